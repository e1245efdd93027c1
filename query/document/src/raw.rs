//! Documents as the bytes they are stored in (bsonspec.org 1.1).
//!
//! ```text
//! document  int32 total length | element* | 0x00
//! element   tag | key bytes 0x00 | value
//! ```
//!
//! [`RawDocument::validate`] checks everything once: lengths, tags, UTF-8, depth, terminators. After that a document
//! is passed around as a [`RawDocument`] and its parts are decoded only where somebody looks. Walking never panics:
//! bytes that are malformed after all (they were never validated) end the walk.

mod builder;
mod element;
mod validate;

pub use builder::{ArrayBuilder, DocumentBuilder};
pub use element::{Element, Elements};

use crate::{DOCUMENT_BYTES_MAX, Error, Result, ValueRef};

/// Bytes of the smallest document: a length and a terminator.
pub(crate) const EMPTY_DOCUMENT: [u8; 5] = [5, 0, 0, 0, 0];

/// A document in its stored bytes, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawDocument<'a> {
    bytes: &'a [u8],
}

impl<'a> RawDocument<'a> {
    /// The document without elements.
    pub const EMPTY: RawDocument<'static> = RawDocument { bytes: &EMPTY_DOCUMENT };

    /// Takes bytes whose contents were validated before (they come from a builder, or from storage under a checksum).
    /// Checks only the outer framing: the length prefix is the length of `bytes` and the last byte is the terminator.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        validate::framing(bytes, 0)?;
        Ok(Self { bytes })
    }

    /// Takes bytes from outside: checks every length, tag, string, terminator, the depth (at most
    /// [`DEPTH_MAX`](crate::DEPTH_MAX)) and the size (at most [`DOCUMENT_BYTES_MAX`]).
    pub fn validate(bytes: &'a [u8]) -> Result<Self> {
        Self::validate_with_limit(bytes, DOCUMENT_BYTES_MAX)
    }

    /// [`RawDocument::validate`] with another size limit, for internal documents such as commands and replies.
    pub fn validate_with_limit(bytes: &'a [u8], bytes_max: usize) -> Result<Self> {
        if bytes.len() > bytes_max {
            return Err(Error::Limit {
                what: "document size in bytes",
                actual: bytes.len(),
                limit: bytes_max,
            });
        }
        validate::document(bytes)?;
        Ok(Self { bytes })
    }

    /// The bytes, length prefix and terminator included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Size in bytes.
    pub const fn len_bytes(self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= EMPTY_DOCUMENT.len()
    }

    /// The elements, first to last; duplicate keys are all there.
    pub fn iter(self) -> Elements<'a> {
        Elements::new(self.bytes)
    }

    /// The first element with this key. Decodes nothing on the way.
    #[inline]
    pub fn get_element(self, key: &str) -> Option<Element<'a>> {
        self.iter().find(|element| element.has_key(key))
    }

    /// The value of the first element with this key.
    #[inline]
    pub fn get(self, key: &str) -> Option<ValueRef<'a>> {
        self.get_element(key).and_then(Element::value_checked)
    }

    /// The first element. A command document is named by the key of its first element.
    pub fn first(self) -> Option<Element<'a>> {
        self.iter().next()
    }

    /// An owned copy of the bytes.
    pub fn to_buf(self) -> RawDocumentBuf {
        RawDocumentBuf { bytes: self.bytes.to_vec() }
    }
}

impl<'a> IntoIterator for RawDocument<'a> {
    type Item = Element<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for RawDocument<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|element| (element.key(), element.value()))).finish()
    }
}

/// An array in its stored bytes, borrowed. BSON stores an array as a document whose keys are "0", "1", ...; the keys
/// are ignored on reading.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawArray<'a> {
    bytes: &'a [u8],
}

impl<'a> RawArray<'a> {
    /// The array without elements.
    pub const EMPTY: RawArray<'static> = RawArray { bytes: &EMPTY_DOCUMENT };

    /// As [`RawDocument::from_bytes`].
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        validate::framing(bytes, 0)?;
        Ok(Self { bytes })
    }

    /// The bytes, length prefix and terminator included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= EMPTY_DOCUMENT.len()
    }

    /// The elements as they are stored, with their keys.
    pub fn elements(self) -> Elements<'a> {
        Elements::new(self.bytes)
    }

    /// The values, first to last.
    pub fn iter(self) -> impl Iterator<Item = ValueRef<'a>> + Clone + use<'a> {
        self.elements().map_while(Element::value_checked)
    }

    /// The number of values; walks the array.
    pub fn count(self) -> usize {
        self.elements().count()
    }

    /// The value at this position, counted from 0; walks the array up to it.
    pub fn get(self, index: usize) -> Option<ValueRef<'a>> {
        self.elements().nth(index).and_then(Element::value_checked)
    }
}

impl std::fmt::Debug for RawArray<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A document in its stored bytes, owned.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawDocumentBuf {
    bytes: Vec<u8>,
}

impl RawDocumentBuf {
    /// The document without elements.
    pub fn new() -> Self {
        Self { bytes: EMPTY_DOCUMENT.to_vec() }
    }

    /// As [`RawDocument::from_bytes`], for owned bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        validate::framing(&bytes, 0)?;
        Ok(Self { bytes })
    }

    pub(crate) const fn from_parts(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The borrowed form.
    pub fn as_raw(&self) -> RawDocument<'_> {
        RawDocument { bytes: &self.bytes }
    }

    /// The same bytes read as an array.
    pub fn as_raw_array(&self) -> RawArray<'_> {
        RawArray { bytes: &self.bytes }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Goes on appending to this document.
    pub fn into_builder(self) -> DocumentBuilder {
        DocumentBuilder::from_buf(self)
    }
}

impl Default for RawDocumentBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RawDocumentBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_raw().fmt(f)
    }
}
