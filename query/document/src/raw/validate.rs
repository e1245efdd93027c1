//! Checking bytes from outside, once, iteratively: a hostile document can neither overflow the stack nor make the
//! reader allocate what it claims.

use super::element::{find_nul, read_i32, split_string, value_len};
use crate::{BsonType, DEPTH_MAX, Error, NESTING_DEPTH, Result};

fn malformed(offset: usize, reason: &'static str) -> Error {
    Error::Malformed { offset, reason }
}

/// Checks the length prefix against the length of `bytes`, and the terminator.
pub(super) fn framing(bytes: &[u8], offset: usize) -> Result<()> {
    let claimed = read_i32(bytes).ok_or(malformed(offset, "a document needs a length of 4 bytes"))?;
    if usize::try_from(claimed) != Ok(bytes.len()) || bytes.len() < 5 {
        return Err(malformed(offset, "the length prefix is not the length of the document"));
    }
    if bytes.last() != Some(&0) {
        return Err(malformed(offset + bytes.len() - 1, "a document ends with a zero byte"));
    }
    Ok(())
}

/// Checks a whole document.
pub(super) fn document(bytes: &[u8]) -> Result<()> {
    framing(bytes, 0)?;
    // Ends of the documents we are in, innermost last; a position is always below the innermost end.
    let mut ends = [0usize; DEPTH_MAX];
    let mut depth = 0usize;
    let mut end = bytes.len() - 1;
    let mut position = 4;
    loop {
        if position == end {
            let Some(outer) = depth.checked_sub(1) else { return Ok(()) };
            depth = outer;
            position = end + 1;
            end = ends.get(depth).copied().unwrap_or(position);
            continue;
        }
        let (value_start, kind) = key(bytes, position, end)?;
        let rest = bytes.get(value_start..end).unwrap_or_default();
        let len = value_len(kind, rest)
            .filter(|&len| len <= rest.len())
            .ok_or(malformed(value_start, "the value is cut off or its length is wrong"))?;
        let nested = value(kind, rest.get(..len).unwrap_or_default(), value_start)?;
        position = value_start + len;
        if let Some(nested) = nested {
            let slot = ends.get_mut(depth).ok_or(Error::Limit {
                what: NESTING_DEPTH,
                actual: DEPTH_MAX + 1,
                limit: DEPTH_MAX,
            })?;
            *slot = end;
            depth += 1;
            end = position - 1;
            position = nested + 4;
        }
    }
}

/// Checks tag and key at `position`; returns where the value starts, and its type.
fn key(bytes: &[u8], position: usize, end: usize) -> Result<(usize, BsonType)> {
    let rest = bytes.get(position..end).unwrap_or_default();
    let (&tag, rest) = rest.split_first().ok_or(malformed(position, "an element is cut off"))?;
    let kind = BsonType::from_tag(tag).ok_or(malformed(position, "unknown type tag"))?;
    let len = find_nul(rest).ok_or(malformed(position + 1, "the key has no terminator"))?;
    std::str::from_utf8(rest.get(..len).unwrap_or_default())
        .map_err(|_| malformed(position + 1, "the key is not UTF-8"))?;
    Ok((position + 1 + len + 1, kind))
}

/// Checks one value whose length is known. Returns the offset of the document inside it that is still to be walked.
fn value(kind: BsonType, bytes: &[u8], offset: usize) -> Result<Option<usize>> {
    match kind {
        BsonType::String | BsonType::JavaScript | BsonType::Symbol => {
            split_string(bytes).ok_or(malformed(offset, "the string is not UTF-8 or has no terminator"))?;
        }
        BsonType::Boolean if !matches!(bytes, [0 | 1]) => {
            return Err(malformed(offset, "a boolean is 0 or 1"));
        }
        BsonType::Document | BsonType::Array => {
            framing(bytes, offset)?;
            return Ok(Some(offset));
        }
        BsonType::JavaScriptWithScope => {
            let (_, scope) = bytes
                .get(4..)
                .and_then(split_string)
                .ok_or(malformed(offset, "the code is not UTF-8 or has no terminator"))?;
            let scope_offset = offset + bytes.len() - scope.len();
            framing(scope, scope_offset)?;
            return Ok(Some(scope_offset));
        }
        BsonType::Binary => binary(bytes, offset)?,
        BsonType::DbPointer => {
            split_string(bytes)
                .filter(|(_, id)| id.len() == 12)
                .ok_or(malformed(offset, "the namespace is not UTF-8 or has no terminator"))?;
        }
        BsonType::Regex => {
            std::str::from_utf8(bytes)
                .map_err(|_| malformed(offset, "the regular expression is not UTF-8"))?;
        }
        _ => {}
    }
    Ok(None)
}

fn binary(bytes: &[u8], offset: usize) -> Result<()> {
    let Some((&subtype, data)) = bytes.get(4..).and_then(<[u8]>::split_first) else {
        return Err(malformed(offset, "binary data without a subtype"));
    };
    if subtype != 2 {
        return Ok(());
    }
    let inner = read_i32(data).and_then(|len| usize::try_from(len).ok());
    if inner.and_then(|len| len.checked_add(4)) != Some(data.len()) {
        return Err(malformed(offset, "the inner length of old binary data is wrong"));
    }
    Ok(())
}
