//! Creating and dropping indexes.

use std::sync::{Arc, PoisonError};

use sheaf_document::ValueRef;
use sheaf_storage::{IterOptions, WriteBatch};

use super::change::{delete_index, put_sequence, take_id};
use super::collection::Collection;
use super::index_specification::{INDEXES_MAX, IndexSpecification};
use super::{Catalog, record};
use crate::collection::duplicate_key;
use crate::index::Index;
use crate::key_layout::{self, IndexId};
use crate::operation::{CreateIndexesOutcome, IndexTarget};
use crate::{Error, Result, error_code};

/// Bytes of entries that are committed together while an index is built.
const BUILD_BATCH_BYTES: usize = 4 << 20;

impl Catalog {
    /// Creates indexes that do not exist yet and fills them. Either all of them come to be or none.
    ///
    /// Writers of the collection wait meanwhile. Entries are written in batches under a mark that makes the next
    /// opening delete them; the last batch removes the mark and adds the indexes to the collection.
    pub(crate) fn create_indexes(
        &self,
        collection: &Arc<Collection>,
        specifications: &[IndexSpecification],
    ) -> Result<CreateIndexesOutcome> {
        let mut next = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        if current.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{} is a view and cannot have indexes", current.namespace),
            ));
        }
        let wanted = missing_indexes(&current, specifications)?;
        let before = current.index_count();
        let outcome = |added: usize| CreateIndexesOutcome {
            indexes_before: to_u64(before),
            indexes_after: to_u64(before + added),
            created_collection: false,
        };
        if wanted.is_empty() {
            return Ok(outcome(0));
        }
        let mut added = Vec::with_capacity(wanted.len());
        for specification in wanted {
            added.push(Arc::new(Index::new(IndexId(take_id(&mut next)?), specification)?));
        }
        self.begin_usage(&added);
        self.mark_construction(&added, &current, *next)?;
        if let Err(error) = self.fill(&current, &added) {
            self.abandon(&added)?;
            return Err(error);
        }
        let mut batch = WriteBatch::new();
        for index in &added {
            batch.delete(key_layout::construction(index.id));
        }
        let count = added.len();
        let indexes = current.indexes.iter().cloned().chain(added).collect();
        self.replace(current.changed(current.namespace.clone(), current.options.clone(), indexes)?, batch)?;
        Ok(outcome(count))
    }

    pub(super) fn mark_construction(
        &self,
        added: &[Arc<Index>],
        collection: &Collection,
        next: u32,
    ) -> Result<()> {
        let mut batch = WriteBatch::new();
        put_sequence(&mut batch, next);
        for index in added {
            let mark = record::number_record("collection", i64::from(collection.id.0));
            batch.put(key_layout::construction(index.id), mark.into_bytes());
        }
        self.tablet.commit(batch, None)?;
        Ok(())
    }

    pub(super) fn abandon(&self, added: &[Arc<Index>]) -> Result<()> {
        let mut batch = WriteBatch::new();
        for index in added {
            delete_index(&mut batch, index.id);
            batch.delete(key_layout::construction(index.id));
        }
        self.tablet.commit(batch, None)?;
        Ok(())
    }

    /// Writes the entries of every document. A duplicate within one batch shows up in the batch's own map, one across
    /// batches in the store.
    pub(super) fn fill(&self, collection: &Collection, added: &[Arc<Index>]) -> Result<()> {
        let range = key_layout::documents(collection.id);
        let snapshot = self.tablet.snapshot();
        let mut documents = snapshot.iter(IterOptions {
            lower: Some(range.lower),
            upper: Some(range.upper),
            ..IterOptions::default()
        })?;
        let mut batch = WriteBatch::new();
        let mut pending = std::collections::HashSet::new();
        let mut valid = documents.seek_to_first()?;
        while valid {
            let document =
                sheaf_document::RawDocument::from_bytes(documents.value()).map_err(record::damaged)?;
            let document_key = documents.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default();
            for index in added {
                let found = index.entries(document, document_key)?;
                index.multikey.add(&found.multikey);
                for (key, value) in found.entries {
                    if index.specification.unique
                        && (!pending.insert(key.clone()) || self.tablet.snapshot().get(&key)?.is_some())
                    {
                        return Err(duplicate_key(collection, index, document, &key));
                    }
                    batch.put(key, value);
                }
            }
            if batch.size_bytes() >= BUILD_BATCH_BYTES {
                self.tablet.commit(std::mem::take(&mut batch), None)?;
                pending.clear();
            }
            valid = documents.next()?;
        }
        for index in added.iter().filter(|index| index.multikey.any()) {
            let paths = record::multikey_record(&index.multikey.paths());
            batch.put(key_layout::multikey(index.id), paths.into_bytes());
        }
        for index in added {
            index.multikey.mark_stored(&index.multikey.paths());
        }
        if !batch.is_empty() {
            self.tablet.commit(batch, None)?;
        }
        Ok(())
    }

    /// Drops indexes. Returns how many there were before.
    pub(crate) fn drop_indexes(&self, collection: &Arc<Collection>, target: &IndexTarget) -> Result<u64> {
        let _change = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        if current.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{} is a view and has no indexes", current.namespace),
            ));
        }
        let doomed = find_targets(&current, target)?;
        let mut batch = WriteBatch::new();
        for index in current.indexes.iter().filter(|index| doomed.contains(&index.id)) {
            delete_index(&mut batch, index.id);
        }
        let kept = current.indexes.iter().filter(|index| !doomed.contains(&index.id)).cloned().collect();
        if !doomed.is_empty() {
            self.replace(current.changed(current.namespace.clone(), current.options.clone(), kept)?, batch)?;
        }
        Ok(to_u64(current.index_count()))
    }

    /// Changes what can change of an index without touching its entries: whether it is hidden, and when its
    /// documents expire (`collMod`).
    pub(crate) fn change_index(
        &self,
        collection: &Arc<Collection>,
        name: &str,
        change: impl FnOnce(&mut IndexSpecification) -> Result<()>,
    ) -> Result<()> {
        let _changes = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        let mut indexes = current.indexes.clone();
        let Some(index) = indexes.iter_mut().find(|index| index.specification.name == name) else {
            return Err(Error::new(
                error_code::INDEX_NOT_FOUND,
                format!("{} has no index {name:?}", current.namespace),
            ));
        };
        let mut specification = index.specification.clone();
        change(&mut specification)?;
        let mut changed = Index::new(index.id, specification)?;
        changed.multikey.load(&index.multikey.paths());
        changed.is_filled = index.is_filled;
        changed.usage = Arc::clone(&index.usage);
        *index = Arc::new(changed);
        let changed = current.changed(current.namespace.clone(), current.options.clone(), indexes)?;
        self.replace(changed, WriteBatch::new())
    }
}

/// Text indexes compare words by their bytes.
fn check_text_collation(specification: &IndexSpecification) -> Result<()> {
    let is_text = specification.has_kind(super::index_key::IndexFieldKind::Text);
    if is_text && specification.collation.is_some() {
        return Err(Error::new(
            error_code::CANNOT_CREATE_INDEX,
            "a text index has the collation {locale: \"simple\"}; say so where the collection has another one",
        ));
    }
    Ok(())
}

/// Those of the given indexes that a collection has not yet, with its collation filled in.
pub(crate) fn missing_indexes(
    collection: &Collection,
    specifications: &[IndexSpecification],
) -> Result<Vec<IndexSpecification>> {
    let mut specifications = specifications.to_vec();
    for specification in &mut specifications {
        inherit_collation(specification, collection)?;
        check_text_collation(specification)?;
    }
    new_specifications(collection, specifications)
}

pub(super) fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Fills in the collation: the collection's if none is given; the locale `simple` is kept as none.
fn inherit_collation(specification: &mut IndexSpecification, collection: &Collection) -> Result<()> {
    match &specification.collation {
        None => specification.collation.clone_from(&collection.options.collation),
        Some(given) => {
            let collation = sheaf_language::Collation::parse(given.as_raw())?;
            let is_simple = collation.collator().is_none();
            specification.collation = (!is_simple).then(|| collation.to_document());
        }
    }
    Ok(())
}

/// The specifications that no index of the collection has yet; a conflict is an error.
fn new_specifications(
    collection: &Collection,
    specifications: Vec<IndexSpecification>,
) -> Result<Vec<IndexSpecification>> {
    let mut wanted: Vec<IndexSpecification> = Vec::new();
    for specification in specifications {
        if specification.key.is_id() {
            continue;
        }
        let existing = collection.indexes.iter().map(|index| &index.specification);
        if !exists(existing.chain(&wanted), &specification)? {
            wanted.push(specification);
        }
    }
    let count = collection.indexes.len() + wanted.len();
    if !wanted.is_empty() && count > INDEXES_MAX {
        return Err(Error::new(
            error_code::CANNOT_CREATE_INDEX,
            format!(
                "a collection may have {INDEXES_MAX} indexes, {} would have {count}",
                collection.namespace
            ),
        ));
    }
    Ok(wanted)
}

/// Whether an index is there just so. Same name with another key or other options, or same key (and collation and
/// filter) under another name, is a conflict.
fn exists<'a>(
    mut existing: impl Iterator<Item = &'a IndexSpecification>,
    wanted: &IndexSpecification,
) -> Result<bool> {
    existing.try_fold(false, |found, index| {
        let is_text = |specification: &IndexSpecification| {
            specification.has_kind(super::index_key::IndexFieldKind::Text)
        };
        if is_text(index) && is_text(wanted) && index.kind_options != wanted.kind_options {
            return Err(Error::new(
                error_code::INDEX_OPTIONS_CONFLICT,
                format!("a collection has one text index; there is \"{}\" already", index.name),
            ));
        }
        // What makes two indexes on the same key two different ones.
        let same_signature = index.key.document() == wanted.key.document()
            && index.collation == wanted.collation
            && index.partial_filter == wanted.partial_filter
            && index.unique == wanted.unique
            && index.sparse == wanted.sparse
            && index.wildcard_projection == wanted.wildcard_projection;
        let same_options = index.expire_after_seconds == wanted.expire_after_seconds
            && index.listed_kind_options()? == wanted.listed_kind_options()?;
        match (index.name == wanted.name, same_signature) {
            (true, true) if same_options => Ok(true),
            (true, _) => Err(Error::new(
                error_code::INDEX_KEY_SPECS_CONFLICT,
                format!("an index \"{}\" exists with another key or other options", wanted.name),
            )),
            (false, true) => Err(Error::new(
                error_code::INDEX_OPTIONS_CONFLICT,
                format!("the index \"{}\" exists as \"{}\"", wanted.name, index.name),
            )),
            (false, false) => Ok(found),
        }
    })
}

/// The key of a clustered collection was to be dropped.
const CLUSTERED_KEY_STAYS: i32 = 5_979_800;

fn find_targets(collection: &Collection, target: &IndexTarget) -> Result<Vec<IndexId>> {
    let missing = |what: String| {
        Error::new(error_code::INDEX_NOT_FOUND, format!("{} has no index {what}", collection.namespace))
    };
    let found: Vec<&Arc<Index>> = match target {
        IndexTarget::All => collection.secondary_indexes().collect(),
        IndexTarget::Names(names) => names
            .iter()
            .map(|name| collection.index_named(name).ok_or_else(|| missing(format!("named \"{name}\""))))
            .collect::<Result<_>>()?,
        IndexTarget::KeyPattern(key) => {
            let has_key = |index: &&Arc<Index>| same_key(index, key.as_raw());
            let mut matching = collection.indexes.iter().filter(has_key);
            let first = matching.next().ok_or_else(|| missing(format!("with the key {key:?}")))?;
            if matching.next().is_some() {
                return Err(Error::new(
                    error_code::AMBIGUOUS_INDEX_KEY_PATTERN,
                    format!("several indexes have the key {key:?}; name the one to drop"),
                ));
            }
            vec![first]
        }
    };
    if found.iter().any(|index| index.specification.key.is_id()) && collection.options.is_clustered() {
        return Err(Error::location(
            CLUSTERED_KEY_STAYS,
            format!("the key of the clustered collection {} cannot be dropped", collection.namespace),
        ));
    }
    if found.iter().any(|index| index.specification.key.is_id()) {
        return Err(Error::new(error_code::INVALID_OPTIONS, "the index on _id cannot be dropped"));
    }
    Ok(found.iter().map(|index| index.id).collect())
}

/// Whether an index has this key pattern; numbers of different types are the same direction.
pub(crate) fn same_key(index: &Index, key: sheaf_document::RawDocument<'_>) -> bool {
    let mut left = index.specification.key.document().iter();
    let mut right = key.iter();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(left), Some(right)) => {
                let same = left.key() == right.key() && same_direction(left.value(), right.value());
                if !same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

fn same_direction(left: ValueRef<'_>, right: ValueRef<'_>) -> bool {
    sheaf_document::compare_refs(left, right, None).is_eq()
}
