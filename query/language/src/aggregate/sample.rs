//! `$sample`.

use sheaf_document::ValueRef;
use sheaf_document::decimal::Rounding;

use super::parse::document_argument;
use crate::numeric::as_f64;
use crate::{Error, Result};

/// Reads `{size: n}`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the size is checked to be positive"
)]
pub fn parse(value: ValueRef<'_>) -> Result<u64> {
    let document = document_argument("$sample", 28_745, value)?;
    let mut size = None;
    for element in document {
        if element.key() != "size" {
            return Err(Error::location(28_748, format!("$sample has no option '{}'", element.key())));
        }
        let number = as_f64(element.value()).ok_or_else(|| {
            Error::location(
                28_746,
                format!("the 'size' of $sample is a number, not of type {}", element.kind().name()),
            )
        })?;
        size = Some(whole(element.value(), number));
    }
    let size = size.ok_or_else(|| Error::location(28_749, "$sample needs a 'size'"))?;
    if size.is_nan() || size < 1.0 {
        return Err(Error::location(28_747, format!("the 'size' of $sample is positive, not {size}")));
    }
    Ok(size as u64)
}

/// As MongoDB reads a long: doubles are cut, decimals rounded.
fn whole(value: ValueRef<'_>, number: f64) -> f64 {
    match value {
        ValueRef::Decimal128(decimal) => match decimal.to_i64(Rounding::HalfEven) {
            #[expect(clippy::cast_precision_loss, reason = "a size beyond 2^53 is more than there is")]
            Some(whole) => whole as f64,
            None => number,
        },
        _ => number,
    }
}
