//! Index entries: their bytes, and the set of them that a document has.

use std::collections::BTreeMap;

use sheaf_document::{Binary, Collate, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::text::TextIndex;

use super::multikey::bit;
use super::wildcard::WildcardScope;
use super::{Index, IndexContent, KeyKind, KeyPath, keys, text};
use crate::executor::RowEntry;
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
        if !self.wants(document)? {
            return Ok(Entries::default());
        }
        if !self.has_entries() {
            self.check_places(document)?;
            return Ok(Entries::default());
        }
        let mut writer = EntryWriter { index: self, document_key, entries: BTreeMap::new() };
        let multikey = match &self.content {
            IndexContent::Values => writer.values(document)?,
            IndexContent::Places => writer.places(document)?,
            IndexContent::Terms(text) => writer.terms(document, text)?,
            IndexContent::Paths(scope) => writer.paths(document, scope)?,
        };
        Ok(Entries { entries: writer.entries, multikey })
    }

    /// The values that make up this key of a document; nulls if the document has no such key.
    pub(crate) fn values_of_key(&self, document: RawDocument<'_>, entry_key: &[u8]) -> Vec<Value<'static>> {
        let mut found = vec![Value::Null; self.paths.len()];
        if !matches!(self.content, IndexContent::Values) {
            return found;
        }
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

    /// The key of an entry as a document: `_id` of a document that has no entry because it is found by its own key.
    pub(crate) fn key_document(
        &self,
        document: RawDocument<'_>,
        entry: Option<&RowEntry>,
    ) -> Result<RawDocumentBuf> {
        let mut out = DocumentBuilder::new();
        let Some(RowEntry { key, value }) = entry else {
            if let Some(id) = document.get("_id") {
                out.append_ref("_id", id);
            }
            return Ok(out.build());
        };
        if matches!(self.content, IndexContent::Values) {
            for (path, value) in self.paths.iter().zip(self.values_of_key(document, key)) {
                let hashed = value
                    .as_ref()
                    .filter(|_| path.kind == KeyKind::Hashed)
                    .map(|value| hash(value, self.collate()));
                out.append_value(path.path.as_str(), &hashed.map_or(value, Value::Int64));
            }
            return Ok(out.build());
        }
        if self.collator.is_some() {
            return Err(Error::not_supported("the key of a wildcard or geo index with a collation"));
        }
        let parts = split(key, value, self.specification.unique)?;
        let (mut fields, mut bits) = (parts.fields, type_bits_of(value, self.specification.unique)?);
        let mut wildcard = None;
        for path in &self.paths {
            let value = sheaf_document::key::decode(&mut fields, path.descending, &mut bits)?;
            let name = wildcard.take().unwrap_or_else(|| path.path.as_str().to_owned());
            out.append_value(&name, &value);
            if let (KeyKind::WildcardPath, Value::String(text)) = (path.kind, &value) {
                wildcard = Some(text.to_string());
            }
        }
        Ok(out.build())
    }

    fn encode_field(&self, value: ValueRef<'_>, path: &KeyPath, key: &mut Vec<u8>) -> Result<()> {
        match path.kind {
            KeyKind::Hashed => {
                if let ValueRef::Array(_) = value {
                    return Err(Error::location(16766, "a hashed index does not take arrays"));
                }
                let hashed = ValueRef::Int64(hash(value, self.collate()));
                sheaf_document::key::encode(hashed, path.descending, None, key);
            }
            KeyKind::Value | KeyKind::WildcardValue => {
                sheaf_document::key::encode(value, path.descending, self.collate(), key);
            }
            // Paths, terms and numbers of cells are compared by their bytes.
            KeyKind::WildcardPath | KeyKind::Term | KeyKind::PlaneCell | KeyKind::SphereCell => {
                sheaf_document::key::encode(value, path.descending, None, key);
            }
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

/// Code of an array in a field beside the wildcard of a compound wildcard index.
const ARRAY_BESIDE_WILDCARD: i32 = 7_246_301;

/// Makes the entries of one document in one index.
struct EntryWriter<'i> {
    index: &'i Index,
    document_key: &'i [u8],
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl EntryWriter<'_> {
    /// Adds the entry of a key; what is missing counts as null.
    fn add(&mut self, values: &[Option<ValueRef<'_>>]) -> Result<()> {
        let mut key = key_layout::entries_prefix(self.index.id);
        let mut type_bits = Vec::new();
        for (value, path) in values.iter().zip(&self.index.paths) {
            let value = value.unwrap_or(ValueRef::Null);
            self.index.encode_field(value, path, &mut key)?;
            sheaf_document::key::type_bits(value, &mut type_bits);
        }
        let (key, value) = self.index.finish(key, self.document_key, &type_bits)?;
        self.entries.insert(key, value);
        Ok(())
    }

    /// The entries of an index over the values at its paths. Returns the arrays on them.
    fn values(&mut self, document: RawDocument<'_>) -> Result<Vec<u64>> {
        let index = self.index;
        keys::for_each_key(document, &index.paths, &mut |values| {
            if index.specification.sparse && values.iter().all(Option::is_none) {
                return Ok(());
            }
            self.add(values)
        })
    }

    /// The entries of a geo index: every key of the plain fields with every cell of the places. A document without a
    /// place in any of them has none, except in the first version of indexes on the sphere.
    fn places(&mut self, document: RawDocument<'_>) -> Result<Vec<u64>> {
        let index = self.index;
        let mut cells = Vec::new();
        let mut multikey = vec![0; index.paths.len()];
        for (position, path) in index.paths.iter().enumerate() {
            if !matches!(path.kind, KeyKind::PlaneCell | KeyKind::SphereCell) {
                continue;
            }
            let numbers: Vec<Option<i64>> =
                index.cell_numbers(document, path)?.into_iter().map(Some).collect();
            if let (Some(bits), true) = (multikey.get_mut(position), numbers.len() > 1) {
                *bits = bit(path.path.components().len());
            }
            cells.push((position, numbers));
        }
        if index.is_geo_sparse() && cells.iter().all(|(_, numbers)| numbers.is_empty()) {
            return Ok(multikey);
        }
        for (_, numbers) in cells.iter_mut().filter(|(_, numbers)| numbers.is_empty()) {
            numbers.push(None);
        }
        let plain: Vec<KeyPath> =
            index.paths.iter().filter(|path| path.kind == KeyKind::Value).cloned().collect();
        let plain_bits = keys::for_each_key(document, &plain, &mut |values| {
            let mut values = values.iter().copied();
            let key: Vec<Option<ValueRef<'_>>> = index
                .paths
                .iter()
                .map(|path| (path.kind == KeyKind::Value).then(|| values.next()).flatten().flatten())
                .collect();
            self.places_of_key(key, &cells)
        })?;
        let mut plain_bits = plain_bits.into_iter();
        for (bits, path) in multikey.iter_mut().zip(&index.paths) {
            if path.kind == KeyKind::Value {
                *bits = plain_bits.next().unwrap_or(0);
            }
        }
        Ok(multikey)
    }

    /// Fills the geo fields of a key with every combination of cells.
    fn places_of_key(
        &mut self,
        mut key: Vec<Option<ValueRef<'_>>>,
        cells: &[(usize, Vec<Option<i64>>)],
    ) -> Result<()> {
        let Some(((position, numbers), rest)) = cells.split_first() else {
            if self.entries.len() >= keys::KEYS_MAX {
                return Err(keys::too_many());
            }
            return self.add(&key);
        };
        for number in numbers {
            if let Some(slot) = key.get_mut(*position) {
                *slot = number.map(ValueRef::Int64);
            }
            self.places_of_key(key.clone(), rest)?;
        }
        Ok(())
    }

    /// The entries of a text index: one for every stem of the document.
    fn terms(&mut self, document: RawDocument<'_>, index: &TextIndex) -> Result<Vec<u64>> {
        let refused = |path: &KeyPath| {
            Error::new(
                error_code::CANNOT_BUILD_INDEX_KEYS,
                format!("the field \"{}\" of a text index cannot have an array", path.path),
            )
        };
        let plain = self.plain_values(document, refused)?;
        let Some(position) = self.index.position_of(KeyKind::Term) else {
            return Err(Error::internal("a text index has no field of terms"));
        };
        let terms = index.terms(document)?;
        for term in terms.keys() {
            let term = text::term_key(term);
            let mut key = plain.clone();
            if let Some(slot) = key.get_mut(position) {
                *slot = Some(ValueRef::String(&term));
            }
            self.add(&key)?;
        }
        let mut multikey = vec![0; self.index.paths.len()];
        if let (Some(bits), true) = (multikey.get_mut(position), terms.len() > 1) {
            *bits = bit(1);
        }
        Ok(multikey)
    }

    /// The entries of a wildcard index: one for every value that it has. With fields beside the wildcard, a document
    /// without any has one all the same, by which those fields find it.
    fn paths(&mut self, document: RawDocument<'_>, scope: &WildcardScope) -> Result<Vec<u64>> {
        let refused = |path: &KeyPath| {
            Error::location(
                ARRAY_BESIDE_WILDCARD,
                format!("the field \"{}\" beside a wildcard cannot have an array", path.path),
            )
        };
        let plain = self.plain_values(document, refused)?;
        let Some(position) = self.index.position_of(KeyKind::WildcardPath) else {
            return Err(Error::internal("a wildcard index has no field of paths"));
        };
        let met_array = scope.each_value(document, &mut |path, value| {
            let mut key = plain.clone();
            for (slot, part) in key.iter_mut().skip(position).zip([ValueRef::String(path), value]) {
                *slot = Some(part);
            }
            self.add(&key)
        })?;
        if self.entries.is_empty() && plain.len() > 2 {
            let mut key = plain.clone();
            for slot in key.iter_mut().skip(position).take(2) {
                *slot = Some(ValueRef::MinKey);
            }
            self.add(&key)?;
        }
        let mut multikey = vec![0; self.index.paths.len()];
        if let (Some(bits), true) = (multikey.get_mut(position + 1), met_array) {
            *bits = bit(1);
        }
        Ok(multikey)
    }

    /// The values of the plain fields, which must not have arrays; nothing in the places of the others.
    fn plain_values<'d>(
        &self,
        document: RawDocument<'d>,
        refused: impl Fn(&KeyPath) -> Error,
    ) -> Result<Vec<Option<ValueRef<'d>>>> {
        let mut found = vec![None; self.index.paths.len()];
        for (slot, path) in found.iter_mut().zip(&self.index.paths) {
            if path.kind != KeyKind::Value {
                continue;
            }
            let bits = keys::for_each_key(document, std::slice::from_ref(path), &mut |values| {
                *slot = values.first().copied().flatten();
                Ok(())
            })?;
            if bits.iter().any(|bits| *bits != 0) {
                return Err(refused(path));
            }
        }
        Ok(found)
    }
}

/// The hash that a hashed index orders by. With a collation, what is equal by it hashes alike: the hash is that of the
/// bytes by which such strings are compared.
pub(crate) fn hash(value: ValueRef<'_>, collate: Option<&dyn Collate>) -> i64 {
    if collate.is_none() {
        return sheaf_language::hashed_index_key(value);
    }
    let mut bytes = Vec::new();
    sheaf_document::key::encode(value, false, collate, &mut bytes);
    sheaf_language::hashed_index_key(ValueRef::Binary(Binary { subtype: 0, bytes: &bytes }))
}

/// The two parts of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryParts<'a> {
    /// The encoded fields.
    pub(crate) fields: &'a [u8],
    /// The document key.
    pub(crate) document_key: &'a [u8],
}

/// The type bits behind what else the value of an entry has.
fn type_bits_of(value: &[u8], is_unique: bool) -> Result<&[u8]> {
    let bits = || {
        let (_, rest) = split_len(value)?;
        if !is_unique {
            return Some(rest);
        }
        let (key_len, rest) = split_len(rest)?;
        rest.get(key_len..)
    };
    bits().ok_or_else(malformed)
}

fn malformed() -> Error {
    Error::new(error_code::DATA_CORRUPTION_DETECTED, "an index entry does not have the form of its index")
}

/// Takes an entry apart.
pub(crate) fn split<'a>(key: &'a [u8], value: &'a [u8], is_unique: bool) -> Result<EntryParts<'a>> {
    parts(key, value, is_unique).ok_or_else(malformed)
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
