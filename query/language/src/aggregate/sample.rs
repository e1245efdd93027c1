//! `$sample`.

use sheaf_document::ValueRef;

use super::parse::document_argument;
use crate::numeric::as_f64;
use crate::{Error, Result};

/// Reads `{size: n}`.
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
        if number.is_nan() || number < 1.0 {
            return Err(Error::location(28_747, format!("the 'size' of $sample is positive, not {number}")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be positive")]
        {
            size = Some(number as u64);
        }
    }
    size.ok_or_else(|| Error::location(28_749, "$sample needs a 'size'"))
}
