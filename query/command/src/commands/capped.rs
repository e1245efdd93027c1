//! `convertToCapped` and `cloneCollectionAsCapped`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::arguments::BAD_VALUE;
use crate::codes::INVALID_OPTIONS;
use crate::lookup;
use crate::number::to_integer;
use crate::request::Request;

/// Largest size of a capped collection in bytes: a petabyte.
const CAPPED_BYTES_MAX: i64 = 1 << 50;

/// The size, a number above 0; it is rounded up to a multiple of 256 bytes.
fn size(request: &Request<'_>) -> Result<i64> {
    let bad = |what: &str| Error::new(INVALID_OPTIONS, format!("{}.size must be {what}", request.name));
    let Some(value) = request.arguments.value("size") else { return Err(bad("given")) };
    let Some(size) = to_integer(value) else { return Err(bad("a number")) };
    if size < 1 {
        return Err(bad("greater than 0"));
    }
    if size > CAPPED_BYTES_MAX {
        return Err(Error::new(
            BAD_VALUE,
            format!("{}.size must be at most {CAPPED_BYTES_MAX}", request.name),
        ));
    }
    Ok(size.saturating_add(255) & !255)
}

pub(crate) fn convert(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace().map_err(|error| match request.subject().as_str() {
        // A dollar sign is looked up as it is: it only names nothing.
        Some(name) if name.contains('$') => Error::new(error_code::NAMESPACE_NOT_FOUND, error.message),
        _ => error,
    })?;
    if namespace.collection() == "system.views" {
        return Err(Error::new(BAD_VALUE, format!("{namespace} belongs to the system and cannot be capped")));
    }
    let size = size(request)?;
    refuse_buckets(request, &namespace)?;
    lookup::existing(request, &namespace)?;
    request.session.engine().copy_as_capped(&namespace, &namespace, size)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn clone(request: &Request<'_>) -> Result<DocumentBuilder> {
    let from = request.namespace()?;
    let size = size(request)?;
    let to = match request.arguments.value("toCollection").and_then(|value| value.as_str()) {
        Some(name) => Namespace::new(request.database, name)?,
        None => {
            return Err(Error::new(
                error_code::INVALID_NAMESPACE,
                "cloneCollectionAsCapped.toCollection must name a collection",
            ));
        }
    };
    refuse_buckets(request, &from)?;
    lookup::existing(request, &from)?;
    refuse_buckets(request, &to)?;
    if from == to {
        return Err(Error::new(error_code::NAMESPACE_EXISTS, format!("{to} cannot be a copy of itself")));
    }
    request.session.engine().copy_as_capped(&from, &to, size)?;
    Ok(DocumentBuilder::new())
}

/// The buckets of a time series cannot be capped.
fn refuse_buckets(request: &Request<'_>, namespace: &Namespace) -> Result<()> {
    if !namespace.collection().starts_with("system.buckets.") {
        return Ok(());
    }
    Err(Error::new(
        error_code::ILLEGAL_OPERATION,
        format!("{} does not work on {namespace}, which holds a time series' buckets", request.name),
    ))
}
