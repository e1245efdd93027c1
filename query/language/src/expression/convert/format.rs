//! How binary data is written as text, and in which order the bytes of a number stand.

use sheaf_document::Value;

use crate::{Error, Result};

/// How binary data is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As UUIDs where the subtype says so, else base64.
    Auto,
    Base64,
    Base64Url,
    Hex,
    Utf8,
    Uuid,
}

impl Format {
    /// The format of this name; nothing if it is null.
    pub(super) fn read(value: &Value<'_>) -> Result<Option<Self>> {
        let name = match value {
            value if value.is_nullish() => return Ok(None),
            Value::String(name) => name,
            other => {
                let message = format!("$convert takes a string as its format, found {}", other.type_name());
                return Err(Error::location(4_341_114, message));
            }
        };
        Ok(Some(match name.as_ref() {
            "auto" => Self::Auto,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "hex" => Self::Hex,
            "utf8" => Self::Utf8,
            "uuid" => Self::Uuid,
            other => return Err(Error::location(4_341_125, format!("'{other}' is no format of $convert"))),
        }))
    }
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    /// The order of this name; the least significant byte first if it is null.
    pub(super) fn read(value: &Value<'_>) -> Result<Self> {
        match value {
            value if value.is_nullish() => Ok(Self::Little),
            Value::String(name) if name == "big" => Ok(Self::Big),
            Value::String(name) if name == "little" => Ok(Self::Little),
            Value::String(name) => {
                Err(Error::location(9_130_002, format!("'{name}' is no byte order, big and little are")))
            }
            other => {
                let message =
                    format!("$convert takes a string as its byteOrder, found {}", other.type_name());
                Err(Error::location(9_130_001, message))
            }
        }
    }

    /// Bytes in this order from the least significant first, or back.
    pub(super) fn arrange(self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self == Self::Big {
            bytes.reverse();
        }
        bytes
    }
}
