//! Vectors of numbers in binary data of subtype 9, after the public description of the format:
//!
//! ```text
//! element type (1 byte) | padding in bits (1 byte) | elements, little-endian
//! ```
//!
//! Element types: 0x03 signed bytes, 0x10 bits (the first one is the highest bit of the first byte), 0x27 floats of 32
//! bits. Padding is the count of low bits in the last byte that do not belong to a vector of bits; it is 0 elsewhere.

use crate::{Error, Result, Value};

/// The subtype of binary data that holds a vector.
pub const SUBTYPE: u8 = 9;

const INT8: u8 = 0x03;
const PACKED_BIT: u8 = 0x10;
const FLOAT32: u8 = 0x27;

/// A vector of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// Floats of 32 bits.
    Float32(Vec<f32>),
    /// Signed bytes.
    Int8(Vec<i8>),
    /// Bits, eight to a byte.
    PackedBit {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many low bits of the last byte do not count, 0 to 7; 0 where there is no byte.
        padding: u8,
    },
}

impl Vector {
    /// The vector in the bytes of binary data of [`SUBTYPE`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let [element_type, padding, elements @ ..] = bytes else {
            return Err(invalid("it needs an element type and a padding"));
        };
        if *padding != 0 && *element_type != PACKED_BIT {
            return Err(invalid("only bits are padded"));
        }
        match *element_type {
            INT8 => Ok(Self::Int8(elements.iter().map(|byte| byte.cast_signed()).collect())),
            FLOAT32 => match elements.as_chunks() {
                (chunks, []) => {
                    Ok(Self::Float32(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()))
                }
                _ => Err(invalid("floats have 4 bytes each")),
            },
            PACKED_BIT => Self::packed_bit(elements.to_vec(), *padding),
            _ => Err(invalid("its element type is unknown")),
        }
    }

    /// A vector of bits; refused if the padding is not below 8 or pads nothing.
    pub fn packed_bit(bytes: Vec<u8>, padding: u8) -> Result<Self> {
        match padding {
            0 => {}
            1..8 if !bytes.is_empty() => {}
            1..8 => return Err(invalid("a vector without elements has no padding")),
            _ => return Err(invalid("the padding is below 8")),
        }
        Ok(Self::PackedBit { bytes, padding })
    }

    /// The count of elements: numbers or bits.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Float32(numbers) => numbers.len(),
            Self::Int8(numbers) => numbers.len(),
            Self::PackedBit { bytes, padding } => (bytes.len() * 8).saturating_sub((*padding).into()),
        }
    }

    /// The binary data of the vector.
    pub fn to_value(&self) -> Value<'static> {
        let mut bytes = Vec::new();
        match self {
            Self::Float32(numbers) => {
                bytes.extend_from_slice(&[FLOAT32, 0]);
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Self::Int8(numbers) => {
                bytes.extend_from_slice(&[INT8, 0]);
                bytes.extend(numbers.iter().map(|number| number.cast_unsigned()));
            }
            Self::PackedBit { bytes: bits, padding } => {
                bytes.extend_from_slice(&[PACKED_BIT, *padding]);
                bytes.extend_from_slice(bits);
            }
        }
        Value::Binary { subtype: SUBTYPE, bytes: bytes.into() }
    }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { what: "vector", reason: reason.to_owned() }
}
