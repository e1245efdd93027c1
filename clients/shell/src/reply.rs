//! Reading what a command answered.

use sheaf_document::{RawDocument, ValueRef};

/// The reply as it is if the command succeeded, else its error in words.
pub fn checked(reply: RawDocument<'_>) -> Result<RawDocument<'_>, String> {
    if reply.get("ok").and_then(number) == Some(1.0) {
        return Ok(reply);
    }
    let text = |key| reply.get(key).and_then(ValueRef::as_str).unwrap_or("?");
    let code = reply.get("code").and_then(number).unwrap_or_default();
    Err(format!("{} ({code} {})", text("errmsg"), text("codeName")))
}

/// Any number as a double: counts and flags come as int, long or double.
pub fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Double(number) => Some(number),
        ValueRef::Int32(number) => Some(f64::from(number)),
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        ValueRef::Int64(number) => Some(number as f64),
        ValueRef::Boolean(truth) => Some(f64::from(u8::from(truth))),
        _ => None,
    }
}

/// The documents of a cursor reply's batch, and the cursor's id (0 when it is exhausted).
pub fn batch(reply: RawDocument<'_>) -> Option<(Vec<RawDocument<'_>>, i64)> {
    let cursor = reply.get("cursor")?.as_document()?;
    let documents = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"))?.as_array()?;
    let id = match cursor.get("id")? {
        ValueRef::Int64(id) => id,
        other => return number(other).filter(|id| *id == 0.0).map(|_| (Vec::new(), 0)),
    };
    Some((documents.iter().filter_map(ValueRef::as_document).collect(), id))
}
