//! To numbers.

use sheaf_document::decimal::Rounding;
use sheaf_document::{BsonType, Decimal128, Value};

use super::binary::stored_bytes;
use super::format::ByteOrder;
use super::{failure, unsupported};
use crate::Result;
use crate::expression::number::f64_to_i64_truncated;

/// The integer part of a number, if it fits a long.
pub(super) fn truncated_i64(input: &Value<'_>, target: &str) -> Result<i64> {
    let number = match input {
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        Value::Double(number) => f64_to_i64_truncated(*number),
        Value::Decimal128(number) => number.to_i64(Rounding::TowardZero),
        _ => None,
    };
    number.ok_or_else(|| failure(format!("the {} {input:?} does not fit {target}", input.type_name())))
}

/// An integer written in digits, with a sign or none.
fn integer_text(text: &str, target: &str) -> Result<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_integer { text.parse().ok() } else { None };
    number.ok_or_else(|| failure(format!("'{text}' is not read as {target}")))
}

fn binary_integer(bytes: &[u8], order: ByteOrder, target: &str, widths: &[usize]) -> Result<i64> {
    if !widths.contains(&bytes.len()) {
        let message = format!("{} bytes of binary data do not make {target}", bytes.len());
        return Err(failure(message));
    }
    let mut bytes = order.arrange(bytes.to_vec());
    // The sign goes on upwards.
    let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xFF } else { 0 };
    bytes.resize(8, sign);
    Ok(bytes.first_chunk().map_or(0, |chunk| i64::from_le_bytes(*chunk)))
}

pub(super) fn to_int<'a>(input: &Value<'a>, order: ByteOrder) -> Result<Value<'a>> {
    let number = match input {
        Value::Boolean(truth) => i64::from(*truth),
        Value::String(text) => integer_text(text, "an int")?,
        Value::Binary { subtype, bytes } => {
            binary_integer(&stored_bytes(*subtype, bytes), order, "an int", &[1, 2, 4])?
        }
        Value::Int32(_) | Value::Int64(_) | Value::Double(_) | Value::Decimal128(_) => {
            truncated_i64(input, "an int")?
        }
        other => return Err(unsupported(other, BsonType::Int32)),
    };
    let number = i32::try_from(number).map_err(|_| failure(format!("{number} does not fit an int")))?;
    Ok(Value::Int32(number))
}

pub(super) fn to_long<'a>(input: &Value<'a>, order: ByteOrder) -> Result<Value<'a>> {
    Ok(Value::Int64(match input {
        Value::Boolean(truth) => i64::from(*truth),
        Value::String(text) => integer_text(text, "a long")?,
        Value::DateTime(millis) => *millis,
        Value::Binary { subtype, bytes } => {
            binary_integer(&stored_bytes(*subtype, bytes), order, "a long", &[1, 2, 4, 8])?
        }
        Value::Int32(_) | Value::Int64(_) | Value::Double(_) | Value::Decimal128(_) => {
            truncated_i64(input, "a long")?
        }
        other => return Err(unsupported(other, BsonType::Int64)),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "to double rounds, as everywhere")]
pub(super) fn to_double<'a>(input: &Value<'a>, order: ByteOrder) -> Result<Value<'a>> {
    Ok(Value::Double(match input {
        Value::Double(number) => *number,
        Value::Int32(number) => f64::from(*number),
        Value::Int64(number) | Value::DateTime(number) => *number as f64,
        Value::Boolean(truth) => f64::from(u8::from(*truth)),
        Value::Decimal128(number) => {
            let double = number.to_f64();
            if double.is_infinite() && number.is_finite() {
                return Err(failure(format!("the decimal {number} does not fit a double")));
            }
            double
        }
        Value::String(text) => double_of_text(text)?,
        Value::Binary { subtype, bytes } => {
            let bytes = order.arrange(stored_bytes(*subtype, bytes).into_owned());
            match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 8]>::try_from(bytes.as_slice())) {
                (Ok(bytes), _) => f32::from_le_bytes(bytes).into(),
                (_, Ok(bytes)) => f64::from_le_bytes(bytes),
                _ => return Err(failure(format!("{} bytes do not make a double", bytes.len()))),
            }
        }
        other => return Err(unsupported(other, BsonType::Double)),
    }))
}

fn double_of_text(text: &str) -> Result<f64> {
    let refused = || failure(format!("'{text}' is not read as a double"));
    let number: f64 = text.parse().map_err(|_| refused())?;
    // A numeral beyond the doubles is no infinity, and one below them no zero.
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let nonzero = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if digits && (number.is_infinite() || (number == 0.0 && nonzero)) {
        return Err(refused());
    }
    Ok(number)
}

pub(super) fn to_decimal<'a>(input: &Value<'a>) -> Result<Value<'a>> {
    Ok(Value::Decimal128(match input {
        Value::Decimal128(number) => *number,
        Value::Int32(number) => Decimal128::from(*number),
        Value::Int64(number) | Value::DateTime(number) => Decimal128::from(*number),
        Value::Double(number) => Decimal128::from_f64(*number),
        Value::Boolean(truth) => Decimal128::from(i32::from(*truth)),
        Value::String(text) => decimal_of_text(text)?,
        other => return Err(unsupported(other, BsonType::Decimal128)),
    }))
}

fn decimal_of_text(text: &str) -> Result<Decimal128> {
    let refused = || failure(format!("'{text}' is not read as a decimal"));
    let (number, _) = Decimal128::parse_rounded(&cut_digits(text)).map_err(|_| refused())?;
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let nonzero = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if digits && (number.is_infinite() || (number.is_zero() && nonzero)) {
        return Err(refused());
    }
    Ok(number)
}

/// The text with every digit after the 34th significant one made 0: what does not fit is cut off, not rounded.
fn cut_digits(text: &str) -> String {
    let mut significant = 0;
    let mut in_exponent = false;
    let cut = |letter: char| {
        in_exponent |= matches!(letter, 'e' | 'E');
        if in_exponent || !letter.is_ascii_digit() {
            return letter;
        }
        significant += usize::from(significant > 0 || letter != '0');
        if significant > 34 { '0' } else { letter }
    };
    text.chars().map(cut).collect()
}
