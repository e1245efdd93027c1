//! `$limit` and `$skip`.

use sheaf_document::ValueRef;

use crate::numeric::as_whole;
use crate::{Error, Result};

fn whole(name: &str, code: i32, value: ValueRef<'_>) -> Result<u64> {
    as_whole(value).and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        Error::location(code, format!("{name} needs a whole number that is not negative, not {value:?}"))
    })
}

/// Reads the argument of `$limit`.
pub fn limit(value: ValueRef<'_>) -> Result<u64> {
    match whole("$limit", 5_107_201, value)? {
        0 => Err(Error::location(15_958, "$limit needs a positive number")),
        limit => Ok(limit),
    }
}

/// Reads the argument of `$skip`.
pub fn skip(value: ValueRef<'_>) -> Result<u64> {
    whole("$skip", 5_107_200, value)
}
