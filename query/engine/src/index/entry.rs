//! Index entries: their bytes, and the set of them that a document has.

use std::collections::BTreeMap;

use sheaf_document::{RawDocument, Value, ValueRef};

use super::{Index, keys};
use crate::{Error, Result, error_code, key_layout};

/// The entries of one document in one index.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// By key. The fields' values are recovered from the key where a message needs them.
    pub(crate) entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For each field, the arrays on its path.
    pub(crate) multikey: Vec<u64>,
}

impl Index {
    /// The entries of a document; none if it does not belong into the index.
    pub(crate) fn entries(&self, document: RawDocument<'_>, document_key: &[u8]) -> Result<Entries> {
        let mut entries = BTreeMap::new();
        if !self.wants(document)? {
            return Ok(Entries::default());
        }
        if !self.specification.has_entries() {
            self.check_places(document)?;
            return Ok(Entries::default());
        }
        let prefix = key_layout::entries_prefix(self.id);
        let multikey = keys::for_each_key(document, &self.paths, &mut |values| {
            if self.specification.sparse && values.iter().all(Option::is_none) {
                return Ok(());
            }
            let mut key = prefix.clone();
            let mut type_bits = Vec::new();
            for (value, path) in values.iter().zip(&self.paths) {
                let value = value.unwrap_or(ValueRef::Null);
                self.encode_field(value, path, &mut key)?;
                sheaf_document::key::type_bits(value, &mut type_bits);
            }
            let (key, value) = self.finish(key, document_key, &type_bits)?;
            entries.insert(key, value);
            Ok(())
        })?;
        Ok(Entries { entries, multikey })
    }

    /// The values that make up this key of a document; nulls if the document has no such key.
    pub(crate) fn values_of_key(&self, document: RawDocument<'_>, entry_key: &[u8]) -> Vec<Value<'static>> {
        let mut found = vec![Value::Null; self.paths.len()];
        let prefix = key_layout::entries_prefix(self.id);
        let outcome = keys::for_each_key(document, &self.paths, &mut |values| {
            let mut key = prefix.clone();
            for (value, path) in values.iter().zip(&self.paths) {
                self.encode_field(value.unwrap_or(ValueRef::Null), path, &mut key)?;
            }
            if entry_key.starts_with(&key) {
                found = values
                    .iter()
                    .map(|value| Value::from(value.unwrap_or(ValueRef::Null)).into_owned())
                    .collect();
            }
            Ok(())
        });
        // A document that cannot be taken apart has no values to show.
        if outcome.is_err() {
            found.fill(Value::Null);
        }
        found
    }

    fn encode_field(&self, value: ValueRef<'_>, path: &super::KeyPath, key: &mut Vec<u8>) -> Result<()> {
        if path.hashed {
            if let ValueRef::Array(_) = value {
                return Err(Error::location(16766, "a hashed index does not take arrays"));
            }
            let hashed = ValueRef::Int64(hash(value));
            sheaf_document::key::encode(hashed, path.descending, None, key);
        } else {
            sheaf_document::key::encode(value, path.descending, self.collate(), key);
        }
        Ok(())
    }

    /// Puts the document key where the kind of index has it.
    fn finish(&self, mut key: Vec<u8>, document_key: &[u8], type_bits: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let fields_len = key.len().saturating_sub(key_layout::PREFIX_BYTES);
        let what = || format!("index \"{}\"", self.specification.name);
        let own_key_len = if self.specification.unique { 2 + document_key.len() } else { 0 };
        let mut value = Vec::with_capacity(2 + own_key_len + type_bits.len());
        let fields_len = u16::try_from(fields_len).unwrap_or(u16::MAX);
        value.extend_from_slice(&fields_len.to_le_bytes());
        if self.specification.unique {
            let len = u16::try_from(document_key.len()).unwrap_or(u16::MAX);
            value.extend_from_slice(&len.to_le_bytes());
            value.extend_from_slice(document_key);
        } else {
            key.extend_from_slice(document_key);
        }
        value.extend_from_slice(type_bits);
        key_layout::check_key_len(key.len(), &what())?;
        Ok((key, value))
    }
}

/// The hash that a hashed index orders by.
pub(crate) fn hash(value: ValueRef<'_>) -> i64 {
    sheaf_language::hashed_index_key(value)
}

/// The two parts of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryParts<'a> {
    /// The encoded fields.
    pub(crate) fields: &'a [u8],
    /// The document key.
    pub(crate) document_key: &'a [u8],
}

/// Takes an entry apart.
pub(crate) fn split<'a>(key: &'a [u8], value: &'a [u8], is_unique: bool) -> Result<EntryParts<'a>> {
    parts(key, value, is_unique).ok_or_else(|| {
        Error::new(error_code::DATA_CORRUPTION_DETECTED, "an index entry does not have the form of its index")
    })
}

fn parts<'a>(key: &'a [u8], value: &'a [u8], is_unique: bool) -> Option<EntryParts<'a>> {
    let (fields_len, rest) = split_len(value)?;
    let (fields, suffix) = key.get(key_layout::PREFIX_BYTES..)?.split_at_checked(fields_len)?;
    if !is_unique {
        return Some(EntryParts { fields, document_key: suffix });
    }
    let (key_len, rest) = split_len(rest)?;
    Some(EntryParts { fields, document_key: rest.get(..key_len)? })
}

fn split_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_le_bytes(*len)), rest))
}
