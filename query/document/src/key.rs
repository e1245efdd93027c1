//! Order-preserving encoding: bytes whose `memcmp` order is [`compare`](crate::compare)'s. The format is described in
//! `KEY_FORMAT.md` beside this crate.

mod decode;
mod number;
#[cfg(test)]
mod tests;
mod type_bits;

pub use decode::decode;
pub use type_bits::type_bits;

use crate::{Collate, RawDocument, ValueRef};

/// Version of the format; see `KEY_FORMAT.md`.
pub const FORMAT_VERSION: u8 = 1;

/// First bytes of encoded values. Numbers have those between `NAN` and `STRING` (see [`number`]).
mod tag {
    pub const END: u8 = 0x04;
    pub const MIN_KEY: u8 = 0x08;
    pub const UNDEFINED: u8 = 0x10;
    pub const NULL: u8 = 0x18;
    pub const NAN: u8 = 0x20;
    pub const ZERO: u8 = 0x30;
    pub const STRING: u8 = 0x40;
    pub const DOCUMENT: u8 = 0x48;
    pub const ARRAY: u8 = 0x50;
    pub const BINARY: u8 = 0x58;
    pub const OBJECT_ID: u8 = 0x60;
    pub const FALSE: u8 = 0x68;
    pub const TRUE: u8 = 0x69;
    pub const DATE_TIME: u8 = 0x70;
    pub const TIMESTAMP: u8 = 0x78;
    pub const REGEX: u8 = 0x80;
    pub const DB_POINTER: u8 = 0x88;
    pub const JAVASCRIPT: u8 = 0x90;
    pub const JAVASCRIPT_WITH_SCOPE: u8 = 0x98;
    pub const MAX_KEY: u8 = 0xF0;
}

/// In text, announces one of the two lowest bytes.
const ESCAPE: u8 = 0x01;

/// Added to the place of a type in front of a document's element, so that it is above [`tag::END`].
const PLACE_BASE: u8 = 0x08;

/// Appends the encoding of a value. `descending` inverts it; under a collation strings are encoded by their sort keys.
pub fn encode(value: ValueRef<'_>, descending: bool, collation: Option<&dyn Collate>, out: &mut Vec<u8>) {
    let start = out.len();
    encode_ascending(value, collation, out);
    if descending {
        for byte in out.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

fn encode_ascending(value: ValueRef<'_>, collation: Option<&dyn Collate>, out: &mut Vec<u8>) {
    match value {
        ValueRef::MinKey => out.push(tag::MIN_KEY),
        ValueRef::Undefined => out.push(tag::UNDEFINED),
        ValueRef::Null => out.push(tag::NULL),
        ValueRef::Int32(number) => number::encode_integer(i64::from(number), out),
        ValueRef::Int64(number) => number::encode_integer(number, out),
        ValueRef::Double(number) => number::encode_double(number, out),
        ValueRef::Decimal128(number) => number::encode_decimal(number, out),
        ValueRef::String(text) | ValueRef::Symbol(text) => {
            out.push(tag::STRING);
            match collation {
                None => write_text(text.as_bytes(), out),
                Some(collation) => {
                    let mut key = Vec::with_capacity(text.len() * 2);
                    collation.sort_key(text, &mut key);
                    write_text(&key, out);
                }
            }
        }
        ValueRef::Document(document) => {
            out.push(tag::DOCUMENT);
            write_elements(document, collation, out);
        }
        ValueRef::Array(array) => {
            out.push(tag::ARRAY);
            for item in array.iter() {
                encode_ascending(item, collation, out);
            }
            out.push(tag::END);
        }
        ValueRef::Binary(binary) => {
            out.push(tag::BINARY);
            write_length(binary.bytes.len(), out);
            out.push(binary.subtype);
            out.extend_from_slice(binary.bytes);
        }
        ValueRef::ObjectId(id) => {
            out.push(tag::OBJECT_ID);
            out.extend_from_slice(&id.0);
        }
        ValueRef::Boolean(truth) => out.push(if truth { tag::TRUE } else { tag::FALSE }),
        ValueRef::DateTime(millis) => {
            out.push(tag::DATE_TIME);
            out.extend_from_slice(&(millis.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        }
        ValueRef::Timestamp(timestamp) => {
            out.push(tag::TIMESTAMP);
            out.extend_from_slice(&timestamp.as_u64().to_be_bytes());
        }
        rare => encode_rare(rare, out),
    }
}

/// Types that keys seldom have.
fn encode_rare(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Regex(regex) => {
            out.push(tag::REGEX);
            write_text(regex.pattern.as_bytes(), out);
            write_text(regex.options.as_bytes(), out);
        }
        ValueRef::DbPointer { namespace, id } => {
            out.push(tag::DB_POINTER);
            write_length(namespace.len(), out);
            write_text(namespace.as_bytes(), out);
            out.extend_from_slice(&id.0);
        }
        ValueRef::JavaScript(code) => {
            out.push(tag::JAVASCRIPT);
            write_text(code.as_bytes(), out);
        }
        ValueRef::JavaScriptWithScope { code, scope } => {
            out.push(tag::JAVASCRIPT_WITH_SCOPE);
            write_text(code.as_bytes(), out);
            write_elements(scope, None, out);
        }
        _ => out.push(tag::MAX_KEY),
    }
}

fn write_elements(document: RawDocument<'_>, collation: Option<&dyn Collate>, out: &mut Vec<u8>) {
    for element in document {
        out.push(PLACE_BASE + element.kind().order());
        write_text(element.key_bytes(), out);
        encode_ascending(element.value(), collation, out);
    }
    out.push(tag::END);
}

/// A length of at most a document's, so it fits.
fn write_length(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(position) = rest.iter().position(|&byte| byte <= ESCAPE) {
        let (before, after) = rest.split_at(position);
        out.extend_from_slice(before);
        if let Some((&low, after)) = after.split_first() {
            out.extend_from_slice(&[ESCAPE, low + 1]);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(0);
}
