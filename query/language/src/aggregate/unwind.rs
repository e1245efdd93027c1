//! `$unwind`: a document per element of an array.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};

use super::put_field::{self, Path, put_field};
use crate::{Error, Result};

/// Which array, and what to do about its absence.
#[derive(Clone, Debug)]
pub struct Unwind {
    path: Path,
    index_path: Option<Path>,
    preserve_empty: bool,
}

impl Unwind {
    /// Reads `"$path"` or `{path, includeArrayIndex, preserveNullAndEmptyArrays}`.
    pub fn parse(value: ValueRef<'_>) -> Result<Self> {
        let mut unwind = Self { path: Vec::new(), index_path: None, preserve_empty: false };
        match value {
            ValueRef::String(path) => unwind.path = parse_path(path)?,
            ValueRef::Document(document) => {
                for element in document {
                    unwind.option(element.key(), element.value())?;
                }
                if unwind.path.is_empty() {
                    return Err(Error::location(28_812, "$unwind needs a 'path'"));
                }
            }
            other => {
                let reason = format!(
                    "$unwind needs a path or a document, not a value of type {}",
                    other.kind().name()
                );
                return Err(Error::location(15_981, reason));
            }
        }
        Ok(unwind)
    }

    fn option(&mut self, name: &str, value: ValueRef<'_>) -> Result<()> {
        let wrong = |code: i32, what: &str| {
            let reason =
                format!("the '{name}' of $unwind is {what}, not a value of type {}", value.kind().name());
            Err(Error::location(code, reason))
        };
        match (name, value) {
            ("path", ValueRef::String(path)) => self.path = parse_path(path)?,
            ("path", _) => return wrong(28_808, "a string"),
            ("preserveNullAndEmptyArrays", ValueRef::Boolean(preserve)) => self.preserve_empty = preserve,
            ("preserveNullAndEmptyArrays", _) => return wrong(28_809, "a boolean"),
            ("includeArrayIndex", ValueRef::String("")) => {
                return wrong(28_810, "a string that is not empty");
            }
            ("includeArrayIndex", ValueRef::String(path)) if path.starts_with('$') => {
                let reason = format!(
                    "the 'includeArrayIndex' of $unwind names a field without a dollar, not '{path}'"
                );
                return Err(Error::location(28_822, reason));
            }
            ("includeArrayIndex", ValueRef::String(path)) => {
                self.index_path = Some(put_field::parse_path(path)?)
            }
            ("includeArrayIndex", _) => return wrong(28_810, "a string that is not empty"),
            _ => return Err(Error::location(28_811, format!("$unwind has no option '{name}'"))),
        }
        Ok(())
    }

    /// The path, dotted, without its dollar.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// Hands the documents that come of one to `emit`, in order.
    pub fn each<E>(
        &self,
        document: RawDocument<'_>,
        mut emit: impl FnMut(RawDocumentBuf) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let array = match find(document, &self.path) {
            Some(ValueRef::Array(array)) => array,
            Some(value) if !value.is_nullish() => return emit(self.with_index(document.to_buf(), None)),
            _ if self.preserve_empty => return emit(self.with_index(document.to_buf(), None)),
            _ => return Ok(()),
        };
        let mut index = 0i64;
        for item in array.iter() {
            let replaced = put_field(document, &self.path, Some(&Value::from(item)));
            emit(self.with_index(replaced, Some(index)))?;
            index += 1;
        }
        if index == 0 && self.preserve_empty {
            emit(self.with_index(put_field(document, &self.path, None), None))?;
        }
        Ok(())
    }

    fn with_index(&self, document: RawDocumentBuf, index: Option<i64>) -> RawDocumentBuf {
        match &self.index_path {
            None => document,
            Some(path) => put_field(document.as_raw(), path, Some(&index.map_or(Value::Null, Value::Int64))),
        }
    }
}

fn parse_path(text: &str) -> Result<Path> {
    match text.strip_prefix('$') {
        Some(path) => put_field::parse_path(path),
        None => Err(Error::location(
            28_818,
            format!("the path of $unwind starts with a dollar, '{text}' does not"),
        )),
    }
}

fn find<'a>(document: RawDocument<'a>, path: &[Box<str>]) -> Option<ValueRef<'a>> {
    let (first, rest) = path.split_first()?;
    let value = document.get(first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_document()?, rest) }
}
