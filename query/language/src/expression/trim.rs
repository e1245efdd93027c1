//! `$trim`, `$ltrim`, `$rtrim`.

use sheaf_document::Value;

use super::operator::{Arguments, NamedFields, Operator};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::named("$ltrim", &FIELDS, |arguments, _| trim("$ltrim", arguments, true, false)),
    Operator::named("$rtrim", &FIELDS, |arguments, _| trim("$rtrim", arguments, false, true)),
    Operator::named("$trim", &FIELDS, |arguments, _| trim("$trim", arguments, true, true)),
];

const FIELDS: NamedFields =
    NamedFields { not_document: 50696, unknown: 50694, fields: &[("input", Some(50695)), ("chars", None)] };

/// What is trimmed if nothing is named.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\0' | ' ' | '\t' | '\n' | '\u{B}' | '\u{C}' | '\r' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}'
    )
}

fn trim<'a>(operator: &str, arguments: &Arguments<'a>, start: bool, end: bool) -> Result<Value<'a>> {
    let input = arguments.get(0);
    if input.is_nullish() {
        return Ok(Value::Null);
    }
    let Value::String(input) = input else {
        let message = format!("{operator} takes a string as its 'input', found {}", input.type_name());
        return Err(Error::location(50699, message));
    };
    let wanted = match arguments.get(1) {
        _ if !arguments.given(1) => None,
        Value::String(wanted) => Some(wanted),
        value if value.is_nullish() => return Ok(Value::Null),
        other => {
            let message = format!("{operator} takes a string as its 'chars', found {}", other.type_name());
            return Err(Error::location(50700, message));
        }
    };
    let trimmed =
        |character: char| wanted.map_or_else(|| is_blank(character), |wanted| wanted.contains(character));
    let mut text: &str = input;
    if start {
        text = text.trim_start_matches(trimmed);
    }
    if end {
        text = text.trim_end_matches(trimmed);
    }
    Ok(text.to_owned().into())
}
