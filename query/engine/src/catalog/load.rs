//! Reading the catalog when a database is opened, and finishing what was interrupted.

use std::sync::{Arc, Mutex, RwLock};

use sheaf_storage::{Clock, IterOptions, Snapshot, Tablet, WriteBatch};

use super::capped_copy::delete_copy;
use super::record::{self, FORMAT_VERSION};
use super::{Catalog, CatalogState};
use crate::key_layout::{self, CollectionId, IndexId, KeyRange};
use crate::{Error, Result, error_code};

impl Catalog {
    /// Reads the catalog of a store, or begins one.
    pub(crate) fn open(tablet: Tablet, clock: Arc<dyn Clock>) -> Result<Self> {
        let snapshot = tablet.snapshot();
        let mut batch = WriteBatch::new();
        check_format(&snapshot, &mut batch)?;
        let next = match snapshot.get(&key_layout::sequence())? {
            Some(value) => {
                let next = record::read_number(&value, "next")?;
                u32::try_from(next).map_err(|_| record::damaged("the sequence is out of range"))?
            }
            None => 1,
        };
        remove_interrupted(&snapshot, &mut batch)?;
        remove_copies(&snapshot, &mut batch)?;
        if !batch.is_empty() {
            tablet.commit(batch, None)?;
        }
        let mut state = CatalogState::default();
        for_each(&snapshot, key_layout::collections(), |_, value| {
            let collection = record::read_collection(value, |index| read_multikey(&snapshot, index))?;
            // How old its indexes are is not kept, so readers of an older time do without them.
            collection.mark_since(snapshot.timestamp());
            state.put(Arc::new(collection));
            Ok(())
        })?;
        let state = Arc::new(state);
        let catalog = Self {
            tablet,
            clock,
            state: RwLock::new(Arc::clone(&state)),
            changes: Mutex::new(next),
            publication: RwLock::new(()),
        };
        for database in state.databases() {
            state.collections(database).for_each(|collection| catalog.begin_usage(&collection.indexes));
        }
        Ok(catalog)
    }
}

fn check_format(snapshot: &Snapshot, batch: &mut WriteBatch) -> Result<()> {
    let Some(value) = snapshot.get(&key_layout::format())? else {
        let record = record::number_record("version", i64::from(FORMAT_VERSION));
        batch.put(key_layout::format(), record.into_bytes());
        return Ok(());
    };
    let found = record::read_number(&value, "version")?;
    if found == i64::from(FORMAT_VERSION) {
        return Ok(());
    }
    if found == 1 {
        check_takeover(snapshot)?;
        // Older builds would not keep the entries of all indexes, so they must not open it any more.
        let record = record::number_record("version", i64::from(FORMAT_VERSION));
        batch.put(key_layout::format(), record.into_bytes());
        return Ok(());
    }
    Err(Error::new(
        error_code::INCOMPATIBLE_SERVER_VERSION,
        format!("the database has format version {found}, this build reads {FORMAT_VERSION}"),
    ))
}

/// Version 1 kept the documents of capped and time series collections by `_id`; everything else is as it is now.
fn check_takeover(snapshot: &Snapshot) -> Result<()> {
    for_each(snapshot, key_layout::collections(), |_, value| {
        let collection = record::read_collection(value, |_| Ok(Vec::new()))?;
        if !collection.options.capped && collection.options.time_series.is_none() {
            return Ok(());
        }
        Err(Error::new(
            error_code::INCOMPATIBLE_SERVER_VERSION,
            format!(
                "{} was written in format version 1, which kept capped and time series collections otherwise; dump \
                 it with the build that wrote it, drop it there, and restore it here",
                collection.namespace
            ),
        ))
    })
}

/// Deletes the entries of indexes whose building was interrupted.
fn remove_interrupted(snapshot: &Snapshot, batch: &mut WriteBatch) -> Result<()> {
    for_each(snapshot, key_layout::constructions(), |key, _| {
        let id = key_layout::id_of_meta_key(key).ok_or_else(|| record::damaged("a key has no identifier"))?;
        let entries = key_layout::entries(IndexId(id));
        batch.delete_range(entries.lower, entries.upper);
        batch.delete(key_layout::multikey(IndexId(id)));
        batch.delete(key);
        Ok(())
    })
}

/// Deletes copies of collections whose writing was interrupted.
fn remove_copies(snapshot: &Snapshot, batch: &mut WriteBatch) -> Result<()> {
    for_each(snapshot, key_layout::copies(), |key, value| {
        let id = key_layout::id_of_meta_key(key).ok_or_else(|| record::damaged("a key has no identifier"))?;
        let index = u32::try_from(record::read_number(value, "idIndex")?)
            .map_err(|_| record::damaged("an identifier is out of range"))?;
        delete_copy(batch, CollectionId(id), std::iter::once(IndexId(index)));
        Ok(())
    })
}

fn read_multikey(snapshot: &Snapshot, index: IndexId) -> Result<Vec<u64>> {
    match snapshot.get(&key_layout::multikey(index))? {
        Some(value) => record::read_multikey(&value),
        None => Ok(Vec::new()),
    }
}

fn for_each(
    snapshot: &Snapshot,
    range: KeyRange,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut entries = snapshot.iter(IterOptions {
        lower: Some(range.lower),
        upper: Some(range.upper),
        ..IterOptions::default()
    })?;
    let mut valid = entries.seek_to_first()?;
    while valid {
        visit(entries.key(), entries.value())?;
        valid = entries.next()?;
    }
    Ok(())
}
