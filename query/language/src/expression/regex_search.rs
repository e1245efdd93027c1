//! `$regexFind`, `$regexFindAll`, `$regexMatch`. A constant pattern is compiled once per query.

use sheaf_document::{ArrayBuilder, ArrayValue, DocumentBuilder, Value, ValueRef};

use super::measure::Budget;
use super::number::int_from_count;
use super::operator::Operator;
use super::parse::required;
use super::{Expression, Frame, Node, Scope};
use crate::regex::{Captures, Regex, RegexError};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$regexFind", |value, scope| parse(Kind::Find, value, scope)),
    Operator::special("$regexFindAll", |value, scope| parse(Kind::FindAll, value, scope)),
    Operator::special("$regexMatch", |value, scope| parse(Kind::Match, value, scope)),
];

/// Bytes that a pattern may have here; filters take longer ones.
const PATTERN_BYTES_MAX: usize = 16_384;

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Find,
    FindAll,
    Match,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Find => "$regexFind",
            Self::FindAll => "$regexFindAll",
            Self::Match => "$regexMatch",
        }
    }
}

/// A search with a regular expression.
#[derive(Clone)]
pub(crate) struct RegexSearch {
    kind: Kind,
    input: Expression,
    regex: Expression,
    options: Option<Expression>,
    /// The compiled pattern if it is constant; inside, nothing for a null pattern.
    compiled: Option<Option<Regex>>,
}

fn parse(kind: Kind, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let name = kind.name();
    let ValueRef::Document(document) = value else {
        let message = format!("{name} takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(51103, message));
    };
    let (mut input, mut regex, mut options) = (None, None, None);
    for element in document {
        match element.key() {
            "input" => input = Some(element.value()),
            "regex" => regex = Some(element.value()),
            "options" => options = Some(element.value()),
            other => return Err(Error::location(31024, format!("{name} has no argument '{other}'"))),
        }
    }
    let input = Expression::parse(required(input, 31022, name, "input")?, scope)?;
    let regex = Expression::parse(required(regex, 31023, name, "regex")?, scope)?;
    let options = options.map(|options| Expression::parse(options, scope)).transpose()?;
    let constant_options = match &options {
        None => Some(&Value::Missing),
        Some(options) => options.as_constant(),
    };
    let compiled = match (regex.as_constant(), constant_options) {
        (Some(regex), Some(options)) => Some(compile(name, regex, options)?),
        _ => None,
    };
    Ok(Node::RegexSearch(Box::new(RegexSearch { kind, input, regex, options, compiled })))
}

/// Compiles a pattern given as a string or a regular expression; nothing if it is null.
fn compile(name: &str, regex: &Value<'_>, options: &Value<'_>) -> Result<Option<Regex>> {
    let (pattern, own_options) = match regex {
        Value::Regex { pattern, options } => (Some(pattern), options.as_ref()),
        Value::String(pattern) => (Some(pattern), ""),
        value if value.is_nullish() => (None, ""),
        other => {
            let message =
                format!("{name} takes a string or a regex as its 'regex', found {}", other.type_name());
            return Err(Error::location(51105, message));
        }
    };
    let options = match options {
        Value::String(given) if own_options.is_empty() => given.as_ref(),
        Value::String(_) => {
            return Err(Error::location(
                51107,
                format!("{name} takes options in 'regex' or in 'options', not in both"),
            ));
        }
        value if value.is_nullish() => own_options,
        other => {
            let message = format!("{name} takes a string as its 'options', found {}", other.type_name());
            return Err(Error::location(51106, message));
        }
    };
    let Some(pattern) = pattern else { return Ok(None) };
    if pattern.contains('\0') {
        return Err(Error::location(51109, format!("the pattern of {name} contains a null byte")));
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        let message =
            format!("the pattern of {name} has {} bytes, the limit is {PATTERN_BYTES_MAX}", pattern.len());
        return Err(Error::location(51111, message));
    }
    if options.contains('\0') {
        return Err(Error::location(51110, format!("the options of {name} contain a null byte")));
    }
    Regex::compile(pattern, options).map(Some).map_err(|error| {
        let code = if matches!(error, RegexError::Option(_)) { 51108 } else { 51111 };
        Error::location(code, format!("{name}: {error}"))
    })
}

impl RegexSearch {
    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        visit("input", &self.input);
        visit("regex", &self.regex);
        if let Some(options) = &self.options {
            visit("options", options);
        }
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        let input = self.input.run(frame)?;
        let compiled_now;
        let regex = match &self.compiled {
            Some(compiled) => compiled.as_ref(),
            None => {
                let regex = self.regex.run(frame)?;
                let options = match &self.options {
                    None => Value::Missing,
                    Some(options) => options.run(frame)?,
                };
                compiled_now = compile(self.name(), &regex, &options)?;
                compiled_now.as_ref()
            }
        };
        let text = match &input {
            Value::String(text) => Some(text.as_ref()),
            value if value.is_nullish() => None,
            other => {
                let message =
                    format!("{} takes a string as its 'input', found {}", self.name(), other.type_name());
                return Err(Error::location(51104, message));
            }
        };
        let (Some(text), Some(regex)) = (text, regex) else {
            return Ok(match self.kind {
                Kind::Find => Value::Null,
                Kind::FindAll => Value::array(Vec::new()),
                Kind::Match => Value::Boolean(false),
            });
        };
        match self.kind {
            Kind::Match => Ok(regex.is_match(text).map_err(failed)?.into()),
            Kind::Find => {
                let found = regex.find_at(text, 0).map_err(failed)?;
                Ok(found.map_or(Value::Null, |captures| describe(text, &captures, 0, 0).0))
            }
            Kind::FindAll => find_all(regex, text, frame),
        }
    }
}

fn failed(error: RegexError) -> Error {
    Error::location(51156, error.to_string())
}

fn find_all<'a>(regex: &Regex, text: &str, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
    let mut budget = Budget::new(frame.environment);
    let mut found = Vec::new();
    let mut start = 0;
    let (mut known_byte, mut known_count) = (0, 0);
    while let Some(captures) = regex.find_at(text, start).map_err(failed)? {
        let (match_start, match_end) = captures.whole();
        let (value, count) = describe(text, &captures, known_byte, known_count);
        (known_byte, known_count) = (match_start, count);
        budget.add(&value)?;
        found.push(value);
        start = match_end;
        if match_start == match_end {
            // An empty match is left behind by one character.
            let next = text.get(match_end..).and_then(|rest| rest.chars().next());
            start += next.map_or(1, char::len_utf8);
        }
        if start >= text.len() {
            break;
        }
    }
    Ok(Value::array(found))
}

/// `{match, idx, captures}` of one match, and its index in code points. The index is counted on from a byte whose
/// index is known.
fn describe(
    text: &str,
    captures: &Captures,
    known_byte: usize,
    known_count: usize,
) -> (Value<'static>, usize) {
    let (start, end) = captures.whole();
    let count = known_count + text.get(known_byte..start).unwrap_or_default().chars().count();
    let mut groups = ArrayBuilder::new();
    for group in captures.groups() {
        match group.and_then(|(start, end)| text.get(start..end)) {
            Some(group) => groups.push(group),
            None => groups.push_ref(ValueRef::Null),
        };
    }
    let mut builder = DocumentBuilder::new();
    builder.append("match", text.get(start..end).unwrap_or_default());
    builder.append_value("idx", &int_from_count(count));
    builder.append_value("captures", &Value::Array(ArrayValue::Owned(groups.build())));
    (Value::from(builder.build()), count)
}
