//! The arguments of stages that read the system, checked strictly: no field is ignored.

use sheaf_document::{RawDocument, ValueRef};

use crate::{Error, ErrorCode, Result, error_code};

/// A field that a stage does not know.
const UNKNOWN_FIELD: ErrorCode = ErrorCode(40_415);
/// A field that a stage needs.
const MISSING_FIELD: ErrorCode = ErrorCode(40_414);
/// Two fields that exclude each other.
const UNSUPPORTED_FORMAT: ErrorCode = ErrorCode(12);

/// The argument of a stage as a document, else the stage's own error.
pub(super) fn document<'a>(stage: &RawDocument<'a>, name: &str) -> Result<RawDocument<'a>> {
    let code = match name {
        "$collStats" => 5_447_000,
        "$indexStats" => 28_803,
        "$listClusterCatalog" => 9_621_302,
        "$listCatalog" => 6_200_600,
        "$querySettings" => 7_746_800,
        "$currentOp" | "$listLocalSessions" | "$listSessions" => error_code::TYPE_MISMATCH.0,
        _ => error_code::FAILED_TO_PARSE.0,
    };
    match stage.get(name) {
        Some(ValueRef::Document(argument)) => Ok(argument),
        other => {
            let kind = other.map_or("nothing", |value| value.kind().name());
            Err(Error::location(code, format!("{name} takes a document, not {kind}")))
        }
    }
}

fn unknown(name: &str, field: &str) -> Error {
    Error::new(UNKNOWN_FIELD, format!("{name} has no option \"{field}\""))
}

fn wrong_type(name: &str, field: &str, value: ValueRef<'_>) -> Error {
    Error::new(
        error_code::TYPE_MISMATCH,
        format!("the option \"{field}\" of {name} must not be of type {}", value.kind().name()),
    )
}

/// Checks an argument whose options are all booleans. Nothing is converted.
pub(super) fn flags(name: &str, argument: RawDocument<'_>, known: &[&str]) -> Result<()> {
    for element in argument {
        if !known.contains(&element.key()) {
            return Err(unknown(name, element.key()));
        }
        if !matches!(element.value(), ValueRef::Boolean(_)) {
            return Err(wrong_type(name, element.key(), element.value()));
        }
    }
    Ok(())
}

/// Whether a boolean option is set.
pub(super) fn is_set(argument: RawDocument<'_>, field: &str) -> bool {
    argument.get(field) == Some(ValueRef::Boolean(true))
}

/// Checks the argument of `$currentOp`.
pub(super) fn current_op(argument: RawDocument<'_>) -> Result<()> {
    const NAME: &str = "$currentOp";
    let known = [
        "allUsers",
        "idleConnections",
        "idleCursors",
        "idleSessions",
        "localOps",
        "truncateOps",
        "backtrace",
        "targetAllNodes",
    ];
    flags(NAME, argument, &known)?;
    if is_set(argument, "targetAllNodes") {
        return Err(Error::new(
            error_code::FAILED_TO_PARSE,
            "targetAllNodes is for a sharded cluster, which this is not",
        ));
    }
    Ok(())
}

/// Checks the argument of `$listLocalSessions` and `$listSessions`.
pub(super) fn sessions(name: &str, argument: RawDocument<'_>) -> Result<()> {
    let mut names_users = false;
    for element in argument {
        match (element.key(), element.value()) {
            ("allUsers", ValueRef::Boolean(_)) => {}
            ("users", ValueRef::Array(users)) => {
                for user in users.iter().filter(|user| !user.is_nullish()) {
                    names_users = true;
                    check_user(name, user)?;
                }
            }
            ("allUsers" | "users", other) => return Err(wrong_type(name, element.key(), other)),
            (field, _) => return Err(unknown(name, field)),
        }
    }
    if names_users && is_set(argument, "allUsers") {
        return Err(Error::new(
            UNSUPPORTED_FORMAT,
            format!("{name} takes \"users\" or \"allUsers\", not both"),
        ));
    }
    Ok(())
}

fn check_user(name: &str, user: ValueRef<'_>) -> Result<()> {
    let ValueRef::Document(user) = user else { return Err(wrong_type(name, "users", user)) };
    for element in user {
        match (element.key(), element.value()) {
            ("user" | "db", ValueRef::String(_) | ValueRef::Null | ValueRef::Undefined) => {}
            ("user" | "db", other) => return Err(wrong_type(name, element.key(), other)),
            (field, _) => return Err(unknown(name, field)),
        }
    }
    for field in ["user", "db"] {
        if user.get(field).is_none_or(ValueRef::is_nullish) {
            return Err(Error::new(MISSING_FIELD, format!("a user of {name} needs the field \"{field}\"")));
        }
    }
    Ok(())
}

/// What `$collStats` is asked for.
#[derive(Default)]
pub(super) struct CollectionFigures {
    pub(super) latency: bool,
    pub(super) storage: bool,
    pub(super) count: bool,
    pub(super) executions: bool,
    /// What sizes are divided by.
    pub(super) scale: i64,
}

/// Reads the argument of `$collStats`.
pub(super) fn collection_figures(argument: RawDocument<'_>) -> Result<CollectionFigures> {
    const NAME: &str = "$collStats";
    let mut figures = CollectionFigures { scale: 1, ..CollectionFigures::default() };
    for element in argument {
        let options = match element.value() {
            ValueRef::Document(options) => Some(options),
            ValueRef::Null => None,
            other if ["latencyStats", "storageStats", "count", "queryExecStats"].contains(&element.key()) => {
                return Err(wrong_type(NAME, element.key(), other));
            }
            _ => None,
        };
        // MongoDB looks at no other option of storageStats than its scale, and refuses none.
        let allowed: Option<&[&str]> = match element.key() {
            "latencyStats" => Some(&["histograms"]),
            "storageStats" => None,
            "count" | "queryExecStats" => Some(&[]),
            field => return Err(unknown(NAME, field)),
        };
        let Some(options) = options else { continue };
        let is_allowed = |name: &str| allowed.is_none_or(|allowed| allowed.contains(&name));
        if let Some(other) = options.iter().find(|option| !is_allowed(option.key())) {
            if allowed.is_some_and(<[&str]>::is_empty) {
                return Err(Error::location(31_170, format!("{} of {NAME} takes no options", element.key())));
            }
            return Err(unknown(NAME, other.key()));
        }
        match element.key() {
            "latencyStats" => {
                if let Some(value) = options.get("histograms")
                    && !matches!(value, ValueRef::Boolean(_))
                {
                    return Err(wrong_type(NAME, "histograms", value));
                }
                figures.latency = true;
            }
            "storageStats" => {
                figures.scale = scale(options)?;
                figures.storage = true;
            }
            "count" => figures.count = true,
            _ => figures.executions = true,
        }
    }
    Ok(figures)
}

fn scale(options: RawDocument<'_>) -> Result<i64> {
    let scale = match options.get("scale") {
        None | Some(ValueRef::Null) => 1,
        Some(ValueRef::Int32(scale)) => i64::from(scale),
        Some(ValueRef::Int64(scale)) => scale,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a cast of a float saturates; the range is checked below"
        )]
        Some(ValueRef::Double(scale)) => scale as i64,
        Some(other) => return Err(wrong_type("$collStats", "scale", other)),
    };
    if scale < 1 {
        return Err(Error::new(
            error_code::BAD_VALUE,
            format!("the scale of $collStats must be at least 1, not {scale}"),
        ));
    }
    Ok(scale)
}
