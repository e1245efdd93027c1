//! `create.idIndex`: the specification of the index on `_id`, which can only be what it is anyway.

use sheaf_document::{RawDocument, ValueRef};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::{Error, Result, error_code};
use sheaf_language::Collation;

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::number::{to_double, to_exact_integer};

/// Checks it.
pub(crate) fn check(arguments: &Arguments<'_>, options: &CollectionOptions) -> Result<()> {
    let Some(document) = arguments.document("idIndex")? else { return Ok(()) };
    if options.view_on.is_some() || options.clustered_index.is_some() || options.time_series.is_some() {
        return Err(Error::new(crate::codes::INVALID_OPTIONS, "create.idIndex is for plain collections"));
    }
    let mut has = (false, false);
    for element in document {
        match element.key() {
            "key" => {
                check_key(element.value())?;
                has.0 = true;
            }
            "name" => {
                check_name(element.value())?;
                has.1 = true;
            }
            "v" => check_version(element.value())?,
            "collation" => check_collation(element.value(), options)?,
            "ns" => {}
            other => {
                return Err(Error::new(
                    error_code::INVALID_INDEX_SPECIFICATION_OPTION,
                    format!("create.idIndex cannot have the option {other:?}"),
                ));
            }
        }
    }
    match has {
        (true, true) => Ok(()),
        (false, _) => Err(Error::new(FAILED_TO_PARSE, "create.idIndex needs the field \"key\"")),
        (true, false) => Err(Error::new(FAILED_TO_PARSE, "create.idIndex needs the field \"name\"")),
    }
}

fn wrong_type(field: &str, value: ValueRef<'_>, expected: &str) -> Error {
    Error::new(
        crate::arguments::TYPE_MISMATCH,
        format!("create.idIndex.{field} must be {expected}, not of type {}", value.kind().name()),
    )
}

fn check_key(value: ValueRef<'_>) -> Result<()> {
    let ValueRef::Document(key) = value else { return Err(wrong_type("key", value, "a document")) };
    let is_id = key.iter().count() == 1 && key.get("_id").and_then(to_double) == Some(1.0);
    if is_id { Ok(()) } else { Err(Error::new(BAD_VALUE, "create.idIndex.key must be {_id: 1}")) }
}

fn check_name(value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::String("") => {
            Err(Error::new(error_code::CANNOT_CREATE_INDEX, "create.idIndex.name must not be empty"))
        }
        ValueRef::String(_) => Ok(()),
        other => Err(wrong_type("name", other, "a string")),
    }
}

fn check_version(value: ValueRef<'_>) -> Result<()> {
    if !value.kind().is_number() {
        return Err(wrong_type("v", value, "a number"));
    }
    match to_exact_integer(value) {
        None => Err(Error::new(BAD_VALUE, "create.idIndex.v must be a whole number")),
        Some(1 | 2) => Ok(()),
        Some(other) => {
            Err(Error::new(error_code::CANNOT_CREATE_INDEX, format!("there is no index version {other}")))
        }
    }
}

fn check_collation(value: ValueRef<'_>, options: &CollectionOptions) -> Result<()> {
    let ValueRef::Document(wanted) = value else { return Err(wrong_type("collation", value, "a document")) };
    let own = options.collation.as_ref().map(|own| own.as_raw());
    if resolved(Some(wanted))? == resolved(own)? {
        Ok(())
    } else {
        Err(Error::new(BAD_VALUE, "create.idIndex.collation must be the collection's"))
    }
}

/// The collation with every field filled in; nothing for the order of bytes.
fn resolved(collation: Option<RawDocument<'_>>) -> Result<Option<Collation>> {
    let collation = collation.map(Collation::parse).transpose()?;
    Ok(collation.filter(|collation| !collation.is_simple()))
}
