//! To binary data, and from it to text.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sheaf_document::{BsonType, Value};

use super::format::{ByteOrder, Format};
use super::{failure, unsupported};
use crate::{Error, Result};

/// Standard base64: padded, and padding asked for.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new());

/// Base64 for addresses: written without padding, read with or without.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Subtype of UUIDs.
const UUID: u8 = 4;

/// The bytes as they are stored: those of the old subtype begin with their length.
pub(super) fn stored_bytes(subtype: u8, bytes: &[u8]) -> Cow<'_, [u8]> {
    if subtype != 2 {
        return Cow::Borrowed(bytes);
    }
    let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    Cow::Owned([&len.to_le_bytes(), bytes].concat())
}

pub(super) fn to_binary(
    input: Value<'_>,
    subtype: u8,
    format: Option<Format>,
    order: ByteOrder,
) -> Result<Value<'_>> {
    let bytes = match input {
        Value::Binary { subtype: own, bytes } if own == subtype => {
            return Ok(Value::Binary { subtype, bytes });
        }
        Value::Binary { subtype: own, .. } => {
            return Err(failure(format!(
                "binary data of subtype {own} does not convert to subtype {subtype}"
            )));
        }
        Value::Int32(number) => order.arrange(number.to_le_bytes().to_vec()),
        Value::Int64(number) => order.arrange(number.to_le_bytes().to_vec()),
        Value::Double(number) => order.arrange(number.to_le_bytes().to_vec()),
        Value::String(text) => of_text(&text, subtype, format)?,
        other => return Err(unsupported(&other, BsonType::Binary)),
    };
    Ok(Value::Binary { subtype, bytes: Cow::Owned(bytes) })
}

fn format_needed() -> Error {
    Error::location(4_341_115, "$convert needs a format between text and binary data")
}

fn of_text(text: &str, subtype: u8, format: Option<Format>) -> Result<Vec<u8>> {
    let format = format.ok_or_else(format_needed)?;
    let refused = |what: &str| failure(format!("'{text}' is not {what}"));
    if (format == Format::Uuid) != (subtype == UUID) {
        return Err(failure("the format uuid goes with subtype 4, and other formats with other subtypes"));
    }
    match format {
        Format::Auto => Err(failure("the format auto does not say how text is read")),
        Format::Base64 => BASE64.decode(text).map_err(|_| refused("base64")),
        Format::Base64Url => BASE64_URL.decode(text).map_err(|_| refused("base64url")),
        Format::Hex => of_hex(text).ok_or_else(|| refused("pairs of hexadecimal digits")),
        Format::Utf8 => Ok(text.as_bytes().to_vec()),
        Format::Uuid => of_uuid(text).ok_or_else(|| refused("a UUID")),
    }
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// `8-4-4-4-12` hexadecimal digits.
fn of_uuid(text: &str) -> Option<Vec<u8>> {
    let lengths = text.split('-').map(str::len);
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    of_hex(&text.replace('-', ""))
}

pub(super) fn to_text(subtype: u8, bytes: &[u8], format: Option<Format>) -> Result<String> {
    let bytes = &*stored_bytes(subtype, bytes);
    match format.ok_or_else(format_needed)? {
        Format::Auto if subtype == UUID => uuid_text(bytes),
        Format::Auto | Format::Base64 => Ok(BASE64.encode(bytes)),
        Format::Base64Url => Ok(BASE64_URL.encode(bytes)),
        Format::Hex => Ok(hex(bytes, false)),
        Format::Utf8 => {
            let text = std::str::from_utf8(bytes).map_err(|_| failure("the binary data is not UTF-8"))?;
            Ok(text.to_owned())
        }
        Format::Uuid if subtype == UUID => uuid_text(bytes),
        Format::Uuid => Err(failure(format!("binary data of subtype {subtype} is not written as a UUID"))),
    }
}

fn hex(bytes: &[u8], lower: bool) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    digits.map(|digit| if lower { digit } else { digit.to_ascii_uppercase() }).collect()
}

fn uuid_text(bytes: &[u8]) -> Result<String> {
    let digits = hex(bytes, true);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    if bytes.len() != 16 {
        return Err(failure(format!("a UUID has 16 bytes, found {}", bytes.len())));
    }
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}
