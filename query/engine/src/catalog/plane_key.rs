//! The options of indexes on the plane: the range of coordinates and how finely it is cut.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use crate::{Error, Result, error_code};

/// Lowest and highest coordinate where none is given: degrees.
const RANGE_DEFAULT: (f64, f64) = (-180.0, 180.0);

/// Bits of each coordinate where none are given.
const BITS_DEFAULT: i32 = 26;

/// Most bits of each coordinate.
const BITS_MAX: i32 = 32;

/// The range of an index on the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PlaneRange {
    /// Lowest coordinate.
    pub(crate) min: f64,
    /// Highest coordinate.
    pub(crate) max: f64,
    /// Bits of each coordinate.
    pub(crate) bits: i32,
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::INVALID_OPTIONS, message)
}

fn number(options: RawDocument<'_>, option: &str) -> Result<Option<f64>> {
    match options.get(option) {
        None => Ok(None),
        Some(ValueRef::Int32(number)) => Ok(Some(f64::from(number))),
        #[expect(clippy::cast_precision_loss, reason = "coordinates are not that exact")]
        Some(ValueRef::Int64(number)) => Ok(Some(number as f64)),
        Some(ValueRef::Double(number)) => Ok(Some(number)),
        Some(ValueRef::Decimal128(number)) => Ok(number.to_string().parse().ok()),
        Some(other) => Err(Error::new(
            error_code::TYPE_MISMATCH,
            format!("index option \"{option}\" must be a number, not of type {}", other.kind().name()),
        )),
    }
}

/// Reads the options and fills in what is left out.
pub(crate) fn plane_range(options: RawDocument<'_>) -> Result<PlaneRange> {
    let min = number(options, "min")?.unwrap_or(RANGE_DEFAULT.0);
    let max = number(options, "max")?.unwrap_or(RANGE_DEFAULT.1);
    if !min.is_finite() || !max.is_finite() || min >= max {
        return Err(refused(format!("index option \"min\" must be less than \"max\": {min} and {max}")));
    }
    let bits = number(options, "bits")?.unwrap_or(f64::from(BITS_DEFAULT));
    if !(1.0..=f64::from(BITS_MAX)).contains(&bits) {
        return Err(refused(format!("index option \"bits\" is from 1 to {BITS_MAX}, not {bits}")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range by the check above")]
    let bits = bits as i32;
    Ok(PlaneRange { min, max, bits })
}

/// The options as they are kept and listed: what was given, in one type each.
pub(super) fn normalize(options: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let range = plane_range(options)?;
    let mut kept = DocumentBuilder::new();
    for element in options {
        match element.key() {
            "bits" => kept.append("bits", range.bits),
            "min" => kept.append("min", range.min),
            "max" => kept.append("max", range.max),
            _ => kept.append_element(element),
        };
    }
    Ok(kept.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(fields: &[(&str, f64)]) -> Result<PlaneRange> {
        let mut options = DocumentBuilder::new();
        for (name, value) in fields {
            options.append(name, *value);
        }
        plane_range(options.build().as_raw())
    }

    #[test]
    fn ranges_are_filled_in_and_checked() {
        assert_eq!(range(&[]).expect("default"), PlaneRange { min: -180.0, max: 180.0, bits: 26 });
        assert_eq!(range(&[("min", 0.0), ("bits", 3.9)]).expect("valid").bits, 3);
        for fields in
            [[("min", 1.0), ("max", 1.0)], [("bits", 0.0), ("max", 9.0)], [("bits", 33.0), ("min", 0.0)]]
        {
            assert_eq!(range(&fields).expect_err("refused").code, error_code::INVALID_OPTIONS, "{fields:?}");
        }
        assert!(range(&[("max", f64::NAN)]).is_err());
    }
}
