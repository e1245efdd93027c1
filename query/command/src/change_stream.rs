//! What `$changeStream` is asked for: checked to the letter, and then refused, because the changes are not kept yet.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result, error_code};

use crate::arguments::{BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH, UNKNOWN_FIELD};
use crate::service::Commands;

/// The stage's name.
pub(crate) const STAGE: &str = "$changeStream";

const NOT_A_DOCUMENT: ErrorCode = ErrorCode(6_188_500);
const NOT_FIRST: ErrorCode = ErrorCode(40_602);
const NOT_A_REPLICA_SET: ErrorCode = ErrorCode(40_573);
const TOKEN_WITHOUT_DATA: ErrorCode = ErrorCode(40_647);
const TOKEN_TYPE_BITS: ErrorCode = ErrorCode(40_648);
const TOKEN_EMPTY: ErrorCode = ErrorCode(40_649);
const TOKEN_OF_UNKNOWN_TYPE: ErrorCode = ErrorCode(50_811);
const TIME_AND_TOKEN: ErrorCode = ErrorCode(40_674);
const TWO_TOKENS: ErrorCode = ErrorCode(50_865);

/// What `fullDocument` may be.
const AFTER_CHANGE: [&str; 4] = ["default", "required", "updateLookup", "whenAvailable"];

/// What `fullDocumentBeforeChange` may be.
const BEFORE_CHANGE: [&str; 3] = ["off", "required", "whenAvailable"];

/// Options that are true or false.
const FLAGS: [&str; 6] = [
    "allChangesForCluster",
    "allowToRunOnConfigDB",
    "showExpandedEvents",
    "showMigrationEvents",
    "showRawUpdateDescription",
    "showSystemEvents",
];

/// The first byte of a token, which begins with a timestamp.
const TIMESTAMP_TAG: &str = "82";

fn wrong_type(field: &str, value: ValueRef<'_>, expected: &str) -> Error {
    let found = value.kind().name();
    Error::new(TYPE_MISMATCH, format!("{STAGE}.{field} must be {expected}, not of type {found}"))
}

/// Refuses a pipeline with the stage, for what is wrong with it or because it is not supported.
pub(crate) fn check(commands: &Commands, pipeline: &[ValueRef<'_>]) -> Result<()> {
    for (position, stage) in pipeline.iter().enumerate() {
        let Some(element) = stage.as_document().and_then(|stage| stage.first()) else { continue };
        if element.key() != STAGE {
            continue;
        }
        check_options(element.value())?;
        if position > 0 {
            return Err(Error::new(NOT_FIRST, format!("{STAGE} must be the first stage of a pipeline")));
        }
        if !commands.is_replica_set() {
            return Err(Error::new(NOT_A_REPLICA_SET, format!("{STAGE} needs a replica set")));
        }
        return Err(Error::new(error_code::NOT_IMPLEMENTED, format!("{STAGE} is not supported")));
    }
    Ok(())
}

/// Refuses a view whose stages have it: a view answers queries, it does not follow changes.
pub(crate) fn refuse_in_view(commands: &Commands, stages: &[RawDocumentBuf]) -> Result<()> {
    let names = |stage: &RawDocumentBuf| stage.as_raw().first().is_some_and(|first| first.key() == STAGE);
    if !stages.iter().any(names) {
        return Ok(());
    }
    let code =
        if commands.is_replica_set() { error_code::OPTION_NOT_SUPPORTED_ON_VIEW } else { NOT_A_REPLICA_SET };
    Err(Error::new(code, format!("{STAGE} cannot stand in the definition of a view")))
}

fn check_options(options: ValueRef<'_>) -> Result<()> {
    let Some(options) = options.as_document() else {
        return Err(Error::new(
            NOT_A_DOCUMENT,
            format!("{STAGE} needs a document of options, not a value of type {}", options.kind().name()),
        ));
    };
    for option in options {
        let (name, value) = (option.key(), option.value());
        match name {
            "fullDocument" => check_name(name, value, &AFTER_CHANGE)?,
            "fullDocumentBeforeChange" => check_name(name, value, &BEFORE_CHANGE)?,
            "resumeAfter" | "startAfter" => match value.as_document() {
                Some(token) => check_token(name, token)?,
                None => return Err(wrong_type(name, value, "a document")),
            },
            "startAtOperationTime" if !matches!(value, ValueRef::Timestamp(_)) => {
                return Err(wrong_type(name, value, "a timestamp"));
            }
            "startAtOperationTime" => {}
            flag if FLAGS.contains(&flag) => {
                if !matches!(value, ValueRef::Boolean(_)) {
                    return Err(wrong_type(name, value, "a boolean"));
                }
            }
            unknown => {
                return Err(Error::new(UNKNOWN_FIELD, format!("{STAGE} has no option \"{unknown}\"")));
            }
        }
    }
    let has = |name: &str| options.get(name).is_some();
    if has("resumeAfter") && has("startAfter") {
        return Err(Error::new(TWO_TOKENS, format!("{STAGE} starts from one token, not from two")));
    }
    if has("startAtOperationTime") && (has("resumeAfter") || has("startAfter")) {
        return Err(Error::new(TIME_AND_TOKEN, format!("{STAGE} starts from a time or from a token")));
    }
    Ok(())
}

fn check_name(option: &str, value: ValueRef<'_>, known: &[&str]) -> Result<()> {
    match value {
        ValueRef::String(name) if known.contains(&name) => Ok(()),
        ValueRef::String(name) => Err(Error::new(
            BAD_VALUE,
            format!("{STAGE}.{option} is one of {}, not {name:?}", known.join(", ")),
        )),
        other => Err(wrong_type(option, other, "a string")),
    }
}

/// A token is `{_data: hexadecimal digits}`; old ones have `_typeBits` beside it.
fn check_token(option: &str, token: RawDocument<'_>) -> Result<()> {
    let refused = |code, what: &str| Err(Error::new(code, format!("{STAGE}.{option} {what}")));
    let Some(ValueRef::String(data)) = token.get("_data") else {
        return refused(TOKEN_WITHOUT_DATA, "is no resume token: its _data is not a string");
    };
    match token.get("_typeBits") {
        None | Some(ValueRef::Binary(_)) => {}
        Some(_) => return refused(TOKEN_TYPE_BITS, "is no resume token: its _typeBits are not binary"),
    }
    if data.is_empty() {
        return refused(TOKEN_EMPTY, "is an empty resume token");
    }
    if data.len() % 2 != 0 || !data.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return refused(FAILED_TO_PARSE, "is no resume token: its _data is not hexadecimal");
    }
    if !data.starts_with(TIMESTAMP_TAG) {
        return refused(TOKEN_OF_UNKNOWN_TYPE, "is no resume token: it does not begin with a time");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sheaf_document::{DocumentBuilder, Value};

    use super::*;

    fn code(option: &str, value: &Value<'_>) -> Option<i32> {
        let mut options = DocumentBuilder::new();
        options.append_value(option, value);
        check_options(ValueRef::Document(options.build().as_raw())).err().map(|error| error.code.0)
    }

    fn token(fill: impl FnOnce(&mut DocumentBuilder)) -> Value<'static> {
        let mut token = DocumentBuilder::new();
        fill(&mut token);
        Value::from(token.build())
    }

    fn token_code(data: &str) -> Option<i32> {
        let value = token(|token| {
            token.append("_data", data);
        });
        code("resumeAfter", &value)
    }

    #[test]
    fn options_are_checked_by_name_type_and_value() {
        assert_eq!(check_options(ValueRef::Int32(1)).err().map(|error| error.code), Some(NOT_A_DOCUMENT));
        assert_eq!(code("fullDocument", &Value::from("updateLookup")), None);
        assert_eq!(code("fullDocument", &Value::from("off")), Some(2));
        assert_eq!(code("fullDocument", &Value::Int32(1)), Some(14));
        assert_eq!(code("fullDocumentBeforeChange", &Value::from("off")), None);
        assert_eq!(code("fulldocument", &Value::from("default")), Some(40_415));
        assert_eq!(code("showExpandedEvents", &Value::Null), Some(14));
        assert_eq!(code("showExpandedEvents", &Value::Boolean(true)), None);
    }

    #[test]
    fn tokens_are_checked_by_their_form() {
        for (data, expected) in
            [("", 40_649), ("abc", 9), ("zz", 9), ("00", 50_811)].map(|(data, code)| (data, Some(code)))
        {
            assert_eq!(token_code(data), expected, "{data}");
        }
        assert_eq!(token_code("8264000000"), None);
        assert_eq!(code("startAfter", &token(|_| {})), Some(40_647));
    }
}
