//! Reading the fields of a command, or of a document in one.
//!
//! Every field is asked for by name and type; [`Arguments::finish`] refuses what nobody asked for. A field that is
//! null counts as left out, as everywhere in MongoDB's commands.

use std::cell::Cell;
use std::collections::HashSet;

use sheaf_document::{RawArray, RawDocument, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result};

use crate::number;

/// A document field is missing that is required.
pub(crate) const MISSING_FIELD: ErrorCode = ErrorCode(40414);
/// A document has a field that nobody knows.
pub(crate) const UNKNOWN_FIELD: ErrorCode = ErrorCode(40415);
/// A document has a field twice.
pub(crate) const DUPLICATE_FIELD: ErrorCode = ErrorCode(40413);
/// A value is of the wrong type.
pub(crate) const TYPE_MISMATCH: ErrorCode = ErrorCode(14);
/// A value is not acceptable.
pub(crate) const BAD_VALUE: ErrorCode = ErrorCode(2);
/// A value does not follow the grammar.
pub(crate) const FAILED_TO_PARSE: ErrorCode = ErrorCode(9);

/// The fields of one document, and which of them were asked for.
pub(crate) struct Arguments<'a> {
    /// How messages name the document: the command's name, or a path below it.
    scope: String,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    key: &'a str,
    value: ValueRef<'a>,
    is_taken: Cell<bool>,
}

impl<'a> Arguments<'a> {
    /// The fields of a document; a field that is there twice is refused.
    pub(crate) fn new(scope: impl Into<String>, document: RawDocument<'a>) -> Result<Self> {
        let scope = scope.into();
        let mut fields: Vec<Field<'a>> = Vec::new();
        // A client may send a million fields: looking through all of them for each would take hours.
        let mut keys = HashSet::new();
        for element in document {
            let (key, value) = (element.key(), element.value());
            if !keys.insert(key) {
                return Err(Error::new(DUPLICATE_FIELD, format!("{scope} has the field \"{key}\" twice")));
            }
            fields.push(Field { key, value, is_taken: Cell::new(false) });
        }
        Ok(Self { scope, fields })
    }

    /// How messages name the document.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Every field, in order; none counts as asked for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + '_ {
        self.fields.iter().map(|field| (field.key, field.value))
    }

    /// The fields that nobody asked for; they count as asked for now.
    pub(crate) fn untaken(&self) -> Vec<(&'a str, ValueRef<'a>)> {
        let untaken = self.fields.iter().filter(|field| !field.is_taken.replace(true));
        untaken.map(|field| (field.key, field.value)).collect()
    }

    /// The value of a field, null included.
    pub(crate) fn value(&self, key: &str) -> Option<ValueRef<'a>> {
        let field = self.fields.iter().find(|field| field.key == key)?;
        field.is_taken.set(true);
        Some(field.value)
    }

    /// The value of a field that is not null.
    pub(crate) fn present(&self, key: &str) -> Option<ValueRef<'a>> {
        self.value(key).filter(|value| !value.is_nullish())
    }

    /// Counts fields as asked for without looking at them.
    pub(crate) fn ignore(&self, keys: &[&str]) {
        for key in keys {
            let _seen = self.value(key);
        }
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(ValueRef<'a>) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.present(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.wrong_type(key, value, expected)),
            },
        }
    }

    /// The error of a field of the wrong type.
    pub(crate) fn wrong_type(&self, key: &str, value: ValueRef<'_>, expected: &str) -> Error {
        let (scope, found) = (&self.scope, value.kind().name());
        Error::new(TYPE_MISMATCH, format!("{scope}.{key} must be {expected}, not of type {found}"))
    }

    /// A document.
    pub(crate) fn document(&self, key: &str) -> Result<Option<RawDocument<'a>>> {
        self.typed(key, "a document", ValueRef::as_document)
    }

    /// An array.
    pub(crate) fn array(&self, key: &str) -> Result<Option<RawArray<'a>>> {
        self.typed(key, "an array", ValueRef::as_array)
    }

    /// A string.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a string", ValueRef::as_str)
    }

    /// A boolean, and nothing that counts as one.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "a boolean", |value| match value {
            ValueRef::Boolean(truth) => Some(truth),
            _ => None,
        })
    }

    /// A boolean, or a number that counts as one.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "a boolean or a number", number::to_truth)
    }

    /// A number of any type as an integer (see [`number::to_integer`]).
    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.typed(key, "a number", number::to_integer)
    }

    /// A number of any type as an integer that is not negative.
    pub(crate) fn count(&self, key: &str) -> Result<Option<u64>> {
        match self.integer(key)? {
            None => Ok(None),
            Some(number) => u64::try_from(number).map(Some).map_err(|_| {
                Error::new(BAD_VALUE, format!("{}.{key} must not be negative, but is {number}", self.scope))
            }),
        }
    }

    /// A 64-bit integer, and no other number.
    pub(crate) fn long(&self, key: &str) -> Result<Option<i64>> {
        self.typed(key, "a 64-bit integer", |value| match value {
            ValueRef::Int64(number) => Some(number),
            _ => None,
        })
    }

    /// An array of documents.
    pub(crate) fn documents(&self, key: &str) -> Result<Option<Vec<RawDocument<'a>>>> {
        let Some(array) = self.array(key)? else { return Ok(None) };
        let documents = array.iter().enumerate().map(|(index, value)| {
            value.as_document().ok_or_else(|| self.wrong_type(&format!("{key}.{index}"), value, "a document"))
        });
        documents.collect::<Result<Vec<_>>>().map(Some)
    }

    /// Turns a field that was left out into an error.
    pub(crate) fn required<T>(&self, key: &str, read: Option<T>) -> Result<T> {
        read.ok_or_else(|| Error::new(MISSING_FIELD, format!("{} needs the field \"{key}\"", self.scope)))
    }

    /// Refuses the first field that nobody asked for.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.fields.iter().find(|field| !field.is_taken.get()) {
            None => Ok(()),
            Some(field) => {
                Err(Error::new(UNKNOWN_FIELD, format!("{} has no field \"{}\"", self.scope, field.key)))
            }
        }
    }
}
