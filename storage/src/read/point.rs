//! Looks up one key: memtables, then L0 from the newest table, then one table of each level below. Never builds a merge.
//!
//! Versions of a key grow towards the newer sources, so the first source with a visible version has the newest one. A
//! range tombstone hides what is older than itself, in its own source and in all that follow; so a lookup carries the
//! newest covering tombstone along and compares it with the version it finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::error::Result;
use crate::file_id::FileId;
use crate::manifest::{TableHandle, Version};
use crate::range_tombstone::RangeTombstones;
use crate::read::view::ReadView;
use crate::sstable::block::Block;
use crate::sstable::reader::FoundVersion;
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// The newest tombstone met so far that covers the key.
struct Cover<'a> {
    key: &'a [u8],
    visible: Timestamp,
    tombstone: Option<Timestamp>,
}

impl Cover<'_> {
    fn meet(&mut self, ranges: Option<&RangeTombstones>) {
        if let Some(ranges) = ranges {
            self.tombstone = self.tombstone.max(ranges.newest_covering(self.key, self.visible));
        }
    }

    fn hides(&self, version: Timestamp) -> bool {
        self.tombstone.is_some_and(|tombstone| tombstone > version)
    }
}

/// For each table the block its last answer came from, while keys are asked for in ascending order.
type Neighbours = BTreeMap<FileId, Option<Arc<Block>>>;

/// The value of `key` for a reader at `visible`.
pub fn get(view: &ReadView, key: &[u8], visible: Timestamp) -> Result<Option<ValueSlice>> {
    get_near(view, key, visible, None)
}

fn get_near(
    view: &ReadView,
    key: &[u8],
    visible: Timestamp,
    near: Option<&mut Neighbours>,
) -> Result<Option<ValueSlice>> {
    match find_near(view, key, visible, near)? {
        Some(found) if view.expiry.hides(key, found.timestamp, visible) => Ok(None),
        Some(found) if found.kind != ValueKind::Delete => view.resolve(found.kind, found.value).map(Some),
        _ => Ok(None),
    }
}

/// The newest version of `key` at or below `visible`: a value, a reference or a delete. `None` when there is none or a
/// range tombstone hides it.
pub fn find(view: &ReadView, key: &[u8], visible: Timestamp) -> Result<Option<FoundVersion>> {
    find_near(view, key, visible, None)
}

fn find_near(
    view: &ReadView,
    key: &[u8],
    visible: Timestamp,
    near: Option<&mut Neighbours>,
) -> Result<Option<FoundVersion>> {
    let mut cover = Cover { key, visible, tombstone: None };
    let hash = key_hash(key);
    for memtable in &view.memtables {
        cover.meet(memtable.range_tombstones().as_deref());
        if let Some(version) = memtable.get_hashed(key, hash, visible) {
            let (timestamp, kind) = (version.timestamp, version.kind);
            let found = || FoundVersion { timestamp, kind, value: ValueSlice::copied(version.value) };
            return Ok((!cover.hides(timestamp)).then(found));
        }
        if cover.tombstone.is_some() {
            return Ok(None);
        }
    }
    find_in_version(&view.version, hash, cover, near)
}

fn find_in_version(
    version: &Version,
    hash: u64,
    mut cover: Cover<'_>,
    mut near: Option<&mut Neighbours>,
) -> Result<Option<FoundVersion>> {
    for table in version.level(0) {
        if let Some(answer) = find_in_table(table, hash, &mut cover, near.as_deref_mut())? {
            return Ok(answer);
        }
    }
    for level in version.levels.iter().skip(1) {
        let at = level.partition_point(|table| !table.meta.largest.admits(cover.key));
        let Some(table) = level.get(at) else { continue };
        if let Some(answer) = find_in_table(table, hash, &mut cover, near.as_deref_mut())? {
            return Ok(answer);
        }
    }
    Ok(None)
}

/// `Some` ends the lookup: with a version, or with the certainty that older ones are hidden.
fn find_in_table(
    table: &TableHandle,
    hash: u64,
    cover: &mut Cover<'_>,
    near: Option<&mut Neighbours>,
) -> Result<Option<Option<FoundVersion>>> {
    if !table.meta.covers(cover.key) || table.meta.oldest > cover.visible {
        return Ok(None);
    }
    let reader = table.reader()?;
    cover.meet(reader.range_tombstones().map(|ranges| &**ranges));
    let found = match near {
        Some(near) => {
            let near = near.entry(table.meta.file_id).or_default();
            reader.get_near(cover.key, hash, cover.visible, near)?
        }
        None if reader.may_contain(hash)? => reader.get(cover.key, cover.visible)?,
        None => None,
    };
    if let Some(found) = found {
        return Ok(Some((!cover.hides(found.timestamp)).then_some(found)));
    }
    Ok(cover.tombstone.is_some().then_some(None))
}

/// `get` for many keys. They are looked up in key order, and those in one block share one search of the index and one
/// look into the cache; answers come in the order asked.
pub fn multi_get(view: &ReadView, keys: &[&[u8]], visible: Timestamp) -> Result<Vec<Option<ValueSlice>>> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|&at| keys.get(at).copied());
    let mut values = vec![None; keys.len()];
    let mut near = Neighbours::new();
    for at in order {
        if let (Some(key), Some(slot)) = (keys.get(at), values.get_mut(at)) {
            *slot = get_near(view, key, visible, Some(&mut near))?;
        }
    }
    Ok(values)
}
