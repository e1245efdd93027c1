//! One element of a document, and the walk over all of them.

use crate::{
    BsonType, Decimal128, ObjectId, RawArray, RawDocument, Regex, Timestamp, ValueRef, scalar::Binary,
};

/// A key with its value, still in bytes.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    kind: BsonType,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Element<'a> {
    /// The type of the value.
    #[inline]
    pub const fn kind(self) -> BsonType {
        self.kind
    }

    /// The key in bytes, without its terminator.
    #[inline]
    pub const fn key_bytes(self) -> &'a [u8] {
        self.key
    }

    /// The key; empty if it is not UTF-8, which validated documents never have.
    #[inline]
    pub fn key(self) -> &'a str {
        std::str::from_utf8(self.key).unwrap_or_default()
    }

    /// Whether this is its key. Most keys differ in their length or their first letter: only what is left is worth a
    /// comparison of bytes, which is a call.
    #[inline]
    pub fn has_key(self, key: &str) -> bool {
        let key = key.as_bytes();
        self.key.len() == key.len() && self.key.first() == key.first() && self.key == key
    }

    /// The value's bytes, without tag and key.
    #[inline]
    pub const fn value_bytes(self) -> &'a [u8] {
        self.value
    }

    /// The value; null if the bytes are malformed, which validated documents never have.
    #[inline]
    pub fn value(self) -> ValueRef<'a> {
        self.value_checked().unwrap_or(ValueRef::Null)
    }

    /// The value, or nothing if its bytes are malformed.
    #[inline]
    pub fn value_checked(self) -> Option<ValueRef<'a>> {
        decode(self.kind, self.value)
    }
}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {:?}", self.key(), self.value())
    }
}

/// The elements of a document, first to last. Ends early at malformed bytes.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(super) fn new(document: &'a [u8]) -> Self {
        let end = document.len().saturating_sub(1);
        Self { rest: document.get(4..end).unwrap_or_default() }
    }

    /// What is left to walk, in bytes.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first()?;
        let parsed = split_element(tag, after_tag);
        match parsed {
            Some((element, rest)) => {
                self.rest = rest;
                Some(element)
            }
            None => {
                self.rest = &[];
                None
            }
        }
    }
}

#[inline]
fn split_element(tag: u8, after_tag: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let kind = BsonType::from_tag(tag)?;
    let key_len = find_nul(after_tag)?;
    let (key, with_nul) = after_tag.split_at_checked(key_len)?;
    let (_, rest) = with_nul.split_first()?;
    let (value, rest) = rest.split_at_checked(value_len(kind, rest)?)?;
    Some((Element { kind, key, value }, rest))
}

/// Position of the first NUL. Keys are short: a plain loop beats a call to memchr.
#[inline]
pub(super) fn find_nul(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == 0)
}

#[inline]
pub(super) fn read_i32(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|chunk| i32::from_le_bytes(*chunk))
}

#[inline]
fn read_len(bytes: &[u8]) -> Option<usize> {
    read_i32(bytes).and_then(|len| usize::try_from(len).ok())
}

/// Length in bytes of the value at the start of `bytes`, by its type and length prefix alone.
#[inline]
pub(super) fn value_len(kind: BsonType, bytes: &[u8]) -> Option<usize> {
    Some(match kind {
        BsonType::Undefined | BsonType::Null | BsonType::MinKey | BsonType::MaxKey => 0,
        BsonType::Boolean => 1,
        BsonType::Int32 => 4,
        BsonType::Double | BsonType::DateTime | BsonType::Timestamp | BsonType::Int64 => 8,
        BsonType::ObjectId => 12,
        BsonType::Decimal128 => 16,
        BsonType::String | BsonType::JavaScript | BsonType::Symbol => read_len(bytes)?.checked_add(4)?,
        BsonType::Binary => read_len(bytes)?.checked_add(5)?,
        BsonType::DbPointer => read_len(bytes)?.checked_add(16)?,
        BsonType::Document | BsonType::Array | BsonType::JavaScriptWithScope => read_len(bytes)?,
        BsonType::Regex => {
            let pattern = find_nul(bytes)?;
            let options = find_nul(bytes.get(pattern + 1..)?)?;
            pattern + options + 2
        }
    })
}

/// A length-prefixed, NUL-terminated string at the start of `bytes`, and what follows it.
#[inline]
pub(super) fn split_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let len = read_len(bytes)?;
    let (text, rest) = bytes.get(4..)?.split_at_checked(len)?;
    let (&0, text) = text.split_last()? else { return None };
    Some((std::str::from_utf8(text).ok()?, rest))
}

fn decode(kind: BsonType, bytes: &[u8]) -> Option<ValueRef<'_>> {
    let eight = || bytes.first_chunk::<8>().copied();
    Some(match kind {
        BsonType::Double => ValueRef::Double(f64::from_le_bytes(eight()?)),
        BsonType::String => ValueRef::String(split_string(bytes)?.0),
        BsonType::Document => ValueRef::Document(RawDocument::from_bytes(bytes).ok()?),
        BsonType::Array => ValueRef::Array(RawArray::from_bytes(bytes).ok()?),
        BsonType::Binary => ValueRef::Binary(decode_binary(bytes)?),
        BsonType::Undefined => ValueRef::Undefined,
        BsonType::ObjectId => ValueRef::ObjectId(ObjectId(*bytes.first_chunk()?)),
        BsonType::Boolean => ValueRef::Boolean(*bytes.first()? != 0),
        BsonType::DateTime => ValueRef::DateTime(i64::from_le_bytes(eight()?)),
        BsonType::Null => ValueRef::Null,
        BsonType::Regex => {
            let (pattern, rest) = bytes.split_at_checked(find_nul(bytes)?)?;
            let rest = rest.get(1..)?;
            let options = rest.get(..find_nul(rest)?)?;
            ValueRef::Regex(Regex {
                pattern: std::str::from_utf8(pattern).ok()?,
                options: std::str::from_utf8(options).ok()?,
            })
        }
        BsonType::DbPointer => {
            let (namespace, id) = split_string(bytes)?;
            ValueRef::DbPointer { namespace, id: ObjectId(*id.first_chunk()?) }
        }
        BsonType::JavaScript => ValueRef::JavaScript(split_string(bytes)?.0),
        BsonType::Symbol => ValueRef::Symbol(split_string(bytes)?.0),
        BsonType::JavaScriptWithScope => {
            let (code, scope) = split_string(bytes.get(4..)?)?;
            ValueRef::JavaScriptWithScope { code, scope: RawDocument::from_bytes(scope).ok()? }
        }
        BsonType::Int32 => ValueRef::Int32(read_i32(bytes)?),
        BsonType::Timestamp => ValueRef::Timestamp(Timestamp::from_u64(u64::from_le_bytes(eight()?))),
        BsonType::Int64 => ValueRef::Int64(i64::from_le_bytes(eight()?)),
        BsonType::Decimal128 => ValueRef::Decimal128(Decimal128(*bytes.first_chunk()?)),
        BsonType::MinKey => ValueRef::MinKey,
        BsonType::MaxKey => ValueRef::MaxKey,
    })
}

fn decode_binary(bytes: &[u8]) -> Option<Binary<'_>> {
    let (&subtype, data) = bytes.get(4..)?.split_first()?;
    let data = data.get(..read_len(bytes)?)?;
    // The old binary subtype repeats the length inside.
    let data = if subtype == 2 { data.get(4..)? } else { data };
    Some(Binary { subtype, bytes: data })
}
