//! `getParameter` and `setParameter`: the server's parameters, of which there are few.

use std::time::Duration;

use sheaf_document::{DocumentBuilder, Value, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::codes::INVALID_OPTIONS;
use crate::number::{to_double, to_integer, to_truth};
use crate::request::Request;

/// A string is longer than allowed.
const OVERFLOW: ErrorCode = ErrorCode(15);

/// Longest description of an automation service, in bytes.
const DESCRIPTOR_BYTES_MAX: usize = 64;

/// What can be set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    log_level: i32,
    quiet: bool,
    automation_service_descriptor: String,
    /// What is to change of the deletion of expired documents; what it is now, the database knows.
    ttl_seconds: Option<u64>,
    ttl_enabled: Option<bool>,
    /// What is to change of how long a transaction may run.
    transaction_seconds: Option<u64>,
}

/// A parameter: its name, whether it can be set while the server runs, and reading it.
type Line = (&'static str, bool, fn(&Request<'_>, &Parameters) -> Value<'static>);

const PARAMETERS: [Line; 10] = [
    ("authenticationMechanisms", false, |_, _| Value::array(vec![Value::from("SCRAM-SHA-256")])),
    ("automationServiceDescriptor", true, |_, own| Value::from(own.automation_service_descriptor.clone())),
    ("enableTestCommands", false, |_, _| Value::Boolean(false)),
    ("featureCompatibilityVersion", false, |request, _| {
        let set = request.commands().state().feature_compatibility_version;
        let mut version = DocumentBuilder::new();
        version.append("version", set.unwrap_or(crate::version::FEATURE_COMPATIBILITY_VERSION));
        Value::from(version.build())
    }),
    ("logLevel", true, |_, own| Value::Int32(own.log_level)),
    ("quiet", true, |_, own| Value::Boolean(own.quiet)),
    ("requireApiVersion", false, |_, _| Value::Boolean(false)),
    ("transactionLifetimeLimitSeconds", true, |request, _| {
        let seconds = request.commands().database().transaction_lifetime().as_secs();
        Value::Int32(i32::try_from(seconds).unwrap_or(i32::MAX))
    }),
    ("ttlMonitorEnabled", true, |request, _| {
        Value::Boolean(request.commands().database().expiry_schedule().1)
    }),
    ("ttlMonitorSleepSecs", true, |request, _| {
        let seconds = request.commands().database().expiry_schedule().0.as_secs();
        Value::Int32(i32::try_from(seconds).unwrap_or(i32::MAX))
    }),
];

pub(crate) fn get(request: &Request<'_>) -> Result<DocumentBuilder> {
    let (all, details) = read_subject(request)?;
    let own = request.commands().state().parameters.clone();
    let mut body = DocumentBuilder::new();
    let mut found = false;
    for (name, at_runtime, read) in PARAMETERS {
        if !all && request.arguments.value(name).is_none() {
            continue;
        }
        found = true;
        let value = read(request, &own);
        if details {
            body.document(name, |item| {
                item.append_value("value", &value);
                item.append("settableAtRuntime", at_runtime).append("settableAtStartup", false);
            });
        } else {
            body.append_value(name, &value);
        }
    }
    if !found {
        return Err(Error::new(INVALID_OPTIONS, "no parameter of that name"));
    }
    Ok(body)
}

/// Whether every parameter is asked for, and whether with details.
fn read_subject(request: &Request<'_>) -> Result<(bool, bool)> {
    match request.subject() {
        ValueRef::String("*") => Ok((true, false)),
        ValueRef::Document(document) => {
            let options = Arguments::new("getParameter", document)?;
            let all = options.flag("allParameters")?.unwrap_or(false);
            let details = options.flag("showDetails")?.unwrap_or(false);
            match options.string("setAt")? {
                None | Some("startup" | "runtime") => {}
                Some(other) => {
                    return Err(Error::new(
                        BAD_VALUE,
                        format!("getParameter.setAt is \"startup\" or \"runtime\", not {other:?}"),
                    ));
                }
            }
            options.finish()?;
            Ok((all, details))
        }
        _ => Ok((false, false)),
    }
}

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let generic = ["comment", "lsid", "maxTimeMS", "readConcern", "apiVersion", "apiStrict", "txnNumber"];
    let wanted = arguments.iter().filter(|(key, _)| {
        *key != request.name && !generic.contains(key) && !crate::generic::is_attached(key)
    });
    let mut own = request.commands().state().parameters.clone();
    let mut was = None;
    for (name, value) in wanted {
        let before =
            PARAMETERS.iter().find(|(known, ..)| *known == name).map(|(_, _, read)| read(request, &own));
        set_one(&mut own, arguments, name, value)?;
        was = was.or(before);
    }
    let Some(was) = was else {
        return Err(Error::new(INVALID_OPTIONS, "setParameter needs a parameter to set"));
    };
    apply_to_database(request, &mut own);
    request.commands().state().parameters = own;
    let mut body = DocumentBuilder::new();
    body.append_value("was", &was);
    Ok(body)
}

fn apply_to_database(request: &Request<'_>, own: &mut Parameters) {
    let database = request.commands().database();
    if let Some(seconds) = own.transaction_seconds.take() {
        database.set_transaction_lifetime(Duration::from_secs(seconds));
    }
    let (interval, is_enabled) = database.expiry_schedule();
    match (own.ttl_seconds.take(), own.ttl_enabled.take()) {
        (None, None) => {}
        (seconds, enabled) => database.set_expiry_schedule(
            seconds.map_or(interval, Duration::from_secs),
            enabled.unwrap_or(is_enabled),
        ),
    }
}

/// A time in whole seconds, at least one.
fn read_seconds(arguments: &Arguments<'_>, name: &str, value: ValueRef<'_>) -> Result<u64> {
    let seconds = to_integer(value).ok_or_else(|| arguments.wrong_type(name, value, "a number"))?;
    let seconds = u64::try_from(seconds).ok();
    seconds
        .filter(|seconds| (1..=i32::MAX.unsigned_abs().into()).contains(seconds))
        .ok_or_else(|| Error::new(BAD_VALUE, format!("{name} must be from 1 to {}", i32::MAX)))
}

fn set_one(own: &mut Parameters, arguments: &Arguments<'_>, name: &str, value: ValueRef<'_>) -> Result<()> {
    match name {
        "logLevel" => {
            let bad =
                || Error::new(BAD_VALUE, format!("logLevel must be a number from 0 to 5, not {value:?}"));
            let level = match value {
                ValueRef::Boolean(truth) => Some(i64::from(truth)),
                number => to_integer(number).filter(|_| to_double(number).is_some_and(|it| !it.is_nan())),
            };
            let level = level.ok_or_else(bad)?;
            own.log_level = i32::try_from(level).ok().filter(|level| *level >= 0).ok_or_else(bad)?;
        }
        "ttlMonitorEnabled" => {
            let enabled = to_truth(value).ok_or_else(|| arguments.wrong_type(name, value, "a boolean"))?;
            own.ttl_enabled = Some(enabled);
        }
        "ttlMonitorSleepSecs" => own.ttl_seconds = Some(read_seconds(arguments, name, value)?),
        "transactionLifetimeLimitSeconds" => {
            own.transaction_seconds = Some(read_seconds(arguments, name, value)?);
        }
        "quiet" => own.quiet = to_truth(value).unwrap_or(!value.is_nullish()),
        "automationServiceDescriptor" => {
            let ValueRef::String(text) = value else {
                return Err(arguments.wrong_type(name, value, "a string"));
            };
            if text.len() > DESCRIPTOR_BYTES_MAX {
                return Err(Error::new(
                    OVERFLOW,
                    format!(
                        "automationServiceDescriptor may have {DESCRIPTOR_BYTES_MAX} bytes, not {}",
                        text.len()
                    ),
                ));
            }
            text.clone_into(&mut own.automation_service_descriptor);
        }
        known if PARAMETERS.iter().any(|(parameter, ..)| *parameter == known) => {
            return Err(Error::new(
                error_code::ILLEGAL_OPERATION,
                format!("{known} cannot be set while the server runs"),
            ));
        }
        unknown => return Err(Error::new(INVALID_OPTIONS, format!("there is no parameter {unknown:?}"))),
    }
    Ok(())
}
