//! BSON as a value: views over bytes, builders, the order across types, key encoding, dotted paths, decimal
//! arithmetic and extended JSON. No I/O, no clock, no storage.
//!
//! Two representations, and when to use which:
//! - [`RawDocument`] and [`ValueRef`] borrow bytes that were validated once (at the door, by
//!   [`RawDocument::validate`]). A stored document travels through the database in this form.
//! - [`Value`] is what an evaluation produces: it borrows where it can and owns where it must.
//!
//! A [`RawDocument`] holds well-formed framing by construction; bytes that turn out to be malformed deeper down
//! end an iteration early instead of panicking.

mod bson_type;
mod compare;
pub mod decimal;
mod error;
pub mod json;
pub mod key;
mod raw;
mod scalar;
mod value;
pub mod vector;

pub use bson_type::BsonType;
pub use compare::{compare, compare_refs, equal, hash_value};
pub use error::{Error, Result};
pub use raw::{ArrayBuilder, DocumentBuilder, Element, Elements, RawArray, RawDocument, RawDocumentBuf};
pub use scalar::{Binary, Decimal128, ObjectId, Regex, Timestamp};
pub use value::{ArrayValue, DocumentValue, Value, ValueRef};

/// Largest document, in bytes, that a client may store: 16 MiB, as in MongoDB.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Headroom, in bytes, that internal documents (replies, commands with metadata) may have above [`DOCUMENT_BYTES_MAX`].
pub const DOCUMENT_BYTES_HEADROOM: usize = 16 * 1024;

/// Deepest nesting of documents and arrays inside a document that is read, as in MongoDB. What is stored may be less deep,
/// so that there is room for what a command or a reply puts around it.
pub const DEPTH_MAX: usize = 200;

/// What an error says of nesting deeper than [`DEPTH_MAX`].
pub const NESTING_DEPTH: &str = "nesting depth";

/// How two strings compare, and the bytes whose `memcmp` order is that comparison.
///
/// The binary order (UTF-8 bytes) is what `None` means wherever an `Option<&dyn Collate>` is asked for; the other
/// implementation is the ICU collator of the language crate.
pub trait Collate: Send + Sync {
    /// Compares two strings.
    fn compare(&self, left: &str, right: &str) -> std::cmp::Ordering;
    /// Appends the sort key of `text`: bytes whose `memcmp` order equals [`Collate::compare`].
    fn sort_key(&self, text: &str, out: &mut Vec<u8>);
}
