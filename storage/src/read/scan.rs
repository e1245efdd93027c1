//! The user's iterator: one visible value per key, in either direction.
//!
//! Forward, the merge stands on the entry shown; versions of a key come newest first, so the first visible one decides
//! and the rest are stepped over. Backward, versions come oldest first, so the last visible one decides, and it is known
//! only when the key changes: the merge then stands before the key shown and the value has been copied out. Turning
//! round is a seek to the key shown.
//!
//! Range tombstones are asked for memtable by memtable, and once for all tables of the version; most of the time there
//! is none, which costs a test. A transaction's own writes are a memtable whose entries have the timestamp [`Timestamp::MAX`]: newer
//! than everything, visible always.
//!
//! An error stays: every later move returns it again, and the iterator is not valid.

use std::sync::Arc;

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::keyspace::Keyspace;
use crate::limits::LEVELS;
use crate::manifest::{TableHandle, TableRef, VersionRef};
use crate::memtable::Memtable;
use crate::range_tombstone::RangeTombstones;
use crate::read::merge::MergeCursor;
use crate::read::source::{LevelCursor, LevelTables, Source};
use crate::read::view::{ReadView, ViewRef};
use crate::sstable::block::Position;
use crate::sstable::block_file::Caching;
use crate::sstable::cursor::{Reach, TableCursor};
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// What an iterator walks over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IterOptions {
    /// The first key it may show.
    pub lower: Option<Vec<u8>>,
    /// The first key behind those it may show.
    pub upper: Option<Vec<u8>>,
    /// Values stay unread where they are in blob files; `value` is then empty for them.
    pub keys_only: bool,
}

/// Whether two keys are the same. Neighbours that are not differ mostly within their last eight bytes, which are compared as
/// one number.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.last_chunk::<8>() == b.last_chunk::<8>() && a == b
}

/// What the iterator shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Nowhere,
    /// The entry the merge stands on.
    Forward,
    /// `key` and `saved`; the merge stands on the entry before the key's versions.
    Backward,
}

/// Walks the keys of a snapshot. Owns what it reads.
pub struct Iter {
    view: ViewRef,
    merge: MergeCursor,
    /// Of memtables and of the version's tables; most of the time there is none.
    ranges: Vec<Arc<RangeTombstones>>,
    /// Range deletes of the transaction the iterator belongs to.
    own_ranges: Option<Arc<RangeTombstones>>,
    visible: Timestamp,
    options: IterOptions,
    standing: Standing,
    key: Vec<u8>,
    saved: Vec<u8>,
    saved_kind: ValueKind,
    /// The key of a search within its versions.
    target: Vec<u8>,
    blob: Option<ValueSlice>,
    error: Option<Error>,
}

/// After so many versions of a key that are of no use, the iterator searches for the next that may be. A key that is
/// written often has many of them in a memtable.
const STEPS_MAX: usize = 8;
/// A range over more tables of a level than this is not narrow enough for asking filters.
const FILTERED_TABLES_MAX: usize = 8;

/// The sources that may hold keys of the range, the newest first, and the range tombstones over them.
struct Inputs<'a> {
    view: &'a ReadView,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    visible: Timestamp,
    keys_only: bool,
    sources: Vec<Source>,
    ranges: Vec<Arc<RangeTombstones>>,
}

impl Inputs<'_> {
    fn push_level(&mut self, tables: LevelTables) {
        let cursor = LevelCursor::new(tables, Caching::Through);
        self.sources.push(Source::Level(if self.keys_only { cursor.without_values() } else { cursor }));
    }

    fn add_memtables(&mut self) {
        for memtable in self.view.memtables.iter().filter(|memtable| !memtable.is_empty()) {
            self.sources.push(Source::Memtable(memtable.cursor()));
            self.ranges.extend(memtable.range_tombstones());
        }
    }

    fn add_l0(&mut self) -> Result<()> {
        for table in self.view.version.level(0) {
            if table.meta.overlaps(self.lower, self.upper) {
                self.add_table(table)?;
            }
        }
        Ok(())
    }

    fn add_table(&mut self, table: &TableHandle) -> Result<()> {
        let reader = table.reader()?;
        if table.meta.oldest <= self.visible && reader.may_contain_range(self.lower, self.upper)? {
            let cursor = TableCursor::new(Arc::clone(reader), Caching::Through);
            self.sources.push(Source::Table(if self.keys_only { cursor.without_values() } else { cursor }));
        }
        Ok(())
    }

    fn add_level(&mut self, level: usize) -> Result<()> {
        let tables = self.view.version.level(level);
        let start =
            self.lower.map_or(0, |lower| tables.partition_point(|table| !table.meta.largest.admits(lower)));
        let within = |table: &TableRef| self.upper.is_none_or(|upper| table.meta.smallest.as_slice() < upper);
        let end = tables.partition_point(within).max(start);
        let overlapping = tables.get(start..end).unwrap_or_default();
        if overlapping.len() <= FILTERED_TABLES_MAX && self.lower.is_some() && self.upper.is_some() {
            let mut kept = Vec::with_capacity(overlapping.len());
            for table in overlapping {
                if table.reader()?.may_contain_range(self.lower, self.upper)? {
                    kept.push(TableRef::clone(table));
                }
            }
            if !kept.is_empty() {
                self.push_level(LevelTables::Chosen(kept));
            }
            return Ok(());
        }
        if !overlapping.is_empty() {
            let version = VersionRef::clone(&self.view.version);
            self.push_level(LevelTables::Within { version, level, range: start..end });
        }
        Ok(())
    }
}

impl Iter {
    /// Over `view` as of `visible`, with a transaction's own writes (all at [`Timestamp::MAX`]) on top. Stands nowhere.
    pub fn open(
        view: ViewRef,
        own: Option<&Memtable>,
        visible: Timestamp,
        options: IterOptions,
    ) -> Result<Iter> {
        if let (Some(lower), Some(upper)) = (&options.lower, &options.upper)
            && lower > upper
        {
            return Err(Error::invalid("iterator bounds are reversed"));
        }
        let (lower, upper) = (options.lower.as_deref(), options.upper.as_deref());
        let sources = own.iter().map(|own| Source::Memtable(own.cursor())).collect();
        let mut inputs = Inputs {
            view: &view,
            lower,
            upper,
            visible,
            keys_only: options.keys_only,
            sources,
            ranges: Vec::new(),
        };
        inputs.add_memtables();
        inputs.add_l0()?;
        for level in 1..LEVELS {
            inputs.add_level(level)?;
        }
        inputs.ranges.extend(view.version.range_tombstones()?.map(Arc::clone));
        let Inputs { sources, ranges, .. } = inputs;
        Ok(Iter {
            merge: MergeCursor::new(sources),
            ranges,
            own_ranges: own.and_then(Memtable::range_tombstones),
            view,
            visible,
            options,
            standing: Standing::Nowhere,
            key: Vec::new(),
            saved: Vec::new(),
            saved_kind: ValueKind::Delete,
            target: Vec::new(),
            blob: None,
            error: None,
        })
    }

    /// Whether it shows a key.
    #[inline]
    pub fn valid(&self) -> bool {
        self.standing != Standing::Nowhere
    }

    /// The key shown; empty when not valid.
    #[inline]
    pub fn key(&self) -> &[u8] {
        if self.valid() { &self.key } else { &[] }
    }

    /// The value shown; empty when not valid.
    #[inline]
    pub fn value(&self) -> &[u8] {
        if let Some(blob) = &self.blob {
            return blob;
        }
        if self.options.keys_only && self.kind() == ValueKind::BlobHandle {
            return &[];
        }
        match self.standing {
            Standing::Nowhere => &[],
            Standing::Forward => self.merge.value(),
            Standing::Backward => &self.saved,
        }
    }

    /// The value shown, for keeps: where it can be, shared with the block it lies in instead of copied.
    pub fn value_slice(&self) -> ValueSlice {
        match (&self.blob, self.standing) {
            (Some(blob), _) => blob.clone(),
            (None, Standing::Forward) if !self.options.keys_only => self.merge.value_slice(),
            _ => ValueSlice::copied(self.value()),
        }
    }

    #[inline]
    fn kind(&self) -> ValueKind {
        if self.standing == Standing::Backward { self.saved_kind } else { self.merge.kind() }
    }

    /// The error that stopped it, if one did.
    pub fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// The keyspace of the key shown.
    pub fn keyspace(&self) -> Keyspace {
        Keyspace::of(self.key())
    }

    /// Shows the first key. Whether there is one. Errors, here and of all that move it, as of
    /// [`Tablet::get`](crate::Tablet::get); after one it stands nowhere, and every move returns the error again.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        let moved = match &self.options.lower {
            Some(lower) => {
                let reach = self.options.upper.as_deref().map_or(Reach::End, Reach::Key);
                self.merge.seek(Position { key: lower, timestamp: Timestamp::MAX }, reach)
            }
            None => self.merge.seek_to_first(),
        };
        self.arrive(moved, false)
    }

    /// Shows the last key. Whether there is one.
    pub fn seek_to_last(&mut self) -> Result<bool> {
        let moved = match &self.options.upper {
            Some(upper) => {
                let reach = self.options.lower.as_deref().map_or(Reach::End, Reach::Key);
                self.merge.seek_before(Position { key: upper, timestamp: Timestamp::MAX }, reach)
            }
            None => self.merge.seek_to_last(),
        };
        self.arrive(moved, true)
    }

    /// Shows the first key at or after `key`. Whether there is one.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        let key = self.options.lower.as_deref().filter(|lower| *lower > key).unwrap_or(key);
        let reach = self.options.upper.as_deref().map_or(Reach::End, Reach::Key);
        let moved = self.merge.seek(Position { key, timestamp: Timestamp::MAX }, reach);
        self.arrive(moved, false)
    }

    /// Shows the last key at or before `key`. Whether there is one.
    pub fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        let target = match self.options.upper.as_deref() {
            Some(upper) if upper <= key => Position { key: upper, timestamp: Timestamp::MAX },
            // A put of a transaction's own has the largest timestamp, an entry that old does not exist: everything of
            // `key` itself is before it.
            _ => Position { key, timestamp: Timestamp::ZERO },
        };
        let reach = self.options.lower.as_deref().map_or(Reach::End, Reach::Key);
        let moved = self.merge.seek_before(target, reach);
        self.arrive(moved, true)
    }

    /// Shows the next key. Whether there is one.
    #[expect(clippy::should_implement_trait, reason = "it lends what it shows, as a std iterator can not")]
    pub fn next(&mut self) -> Result<bool> {
        match self.standing {
            Standing::Nowhere => self.status().map(|()| false),
            Standing::Forward => {
                let moved = self.merge.step().and_then(|()| self.find_forward(true));
                self.settle(moved)
            }
            Standing::Backward => {
                let moved =
                    self.merge.seek(Position { key: &self.key, timestamp: Timestamp::ZERO }, Reach::End);
                let moved = moved.and_then(|()| self.find_forward(true));
                self.settle(moved)
            }
        }
    }

    /// Shows the key before. Whether there is one.
    pub fn prev(&mut self) -> Result<bool> {
        match self.standing {
            Standing::Nowhere => self.status().map(|()| false),
            Standing::Forward => {
                let target = Position { key: &self.key, timestamp: Timestamp::MAX };
                let moved = self.merge.seek_before(target, Reach::End);
                self.arrive(moved, true)
            }
            Standing::Backward => {
                let moved = self.find_backward();
                self.settle(moved)
            }
        }
    }

    fn arrive(&mut self, moved: Result<()>, backward: bool) -> Result<bool> {
        let moved = self.status().and(moved);
        let found =
            moved.and_then(|()| if backward { self.find_backward() } else { self.find_forward(false) });
        self.settle(found)
    }

    /// Takes over the outcome of a move: what is shown, or the error that stays.
    fn settle(&mut self, found: Result<Standing>) -> Result<bool> {
        self.blob = None;
        match found {
            Ok(standing) => self.standing = standing,
            Err(error) => return self.fail(error),
        }
        if self.standing != Standing::Nowhere && !self.options.keys_only {
            self.load_blob()?;
        }
        Ok(self.valid())
    }

    fn fail(&mut self, error: Error) -> Result<bool> {
        self.standing = Standing::Nowhere;
        self.error = Some(error.clone());
        Err(error)
    }

    /// Reads the value shown if it is in a blob file.
    fn load_blob(&mut self) -> Result<bool> {
        if self.kind() != ValueKind::BlobHandle {
            return Ok(true);
        }
        let reference = if self.standing == Standing::Forward { self.merge.value() } else { &self.saved };
        match self.view.read_blob(reference) {
            Ok(blob) => {
                self.blob = Some(blob);
                Ok(true)
            }
            Err(error) => self.fail(error),
        }
    }

    /// Whether a version of the current key at `timestamp` has expired or is hidden by a range tombstone.
    #[inline]
    fn hidden(&self, key: &[u8], timestamp: Timestamp) -> bool {
        if self.view.expiry.hides(key, timestamp, self.visible) {
            return true;
        }
        if self.ranges.is_empty() && self.own_ranges.is_none() {
            return false;
        }
        let own = self.own_ranges.as_ref();
        if timestamp != Timestamp::MAX && own.is_some_and(|ranges| ranges.fragment_of(key).is_some()) {
            return true;
        }
        self.ranges.iter().any(|ranges| ranges.covers(key, timestamp, self.visible))
    }

    /// From where the merge stands, the first key with a visible value. With `passed`, versions of `self.key` do not
    /// count: it has been shown.
    fn find_forward(&mut self, mut passed: bool) -> Result<Standing> {
        let mut steps = 0;
        while let Some(position) = self.merge.position() {
            if self.options.upper.as_deref().is_some_and(|upper| position.key >= upper) {
                return Ok(Standing::Nowhere);
            }
            let shown = passed && is_same(position.key, &self.key);
            let unseen = position.timestamp > self.visible && position.timestamp != Timestamp::MAX;
            if shown || unseen {
                steps += 1;
                if steps % STEPS_MAX > 0 {
                    self.merge.step()?;
                } else {
                    self.target.clear();
                    self.target.extend_from_slice(position.key);
                    let timestamp = if shown { Timestamp::ZERO } else { self.visible };
                    self.merge.seek(Position { key: &self.target, timestamp }, Reach::Entry)?;
                }
                continue;
            }
            let timestamp = position.timestamp;
            // Another key, whose versions may be few: a seek would cost more than they do.
            steps = 0;
            self.key.clear();
            self.key.extend_from_slice(position.key);
            passed = true;
            if self.merge.kind() != ValueKind::Delete && !self.hidden(&self.key, timestamp) {
                return Ok(Standing::Forward);
            }
            self.merge.step()?;
        }
        Ok(Standing::Nowhere)
    }

    /// From where the merge stands, backward, the first key with a visible value.
    fn find_backward(&mut self) -> Result<Standing> {
        while let Some(position) = self.merge.position() {
            if self.options.lower.as_deref().is_some_and(|lower| position.key < lower) {
                return Ok(Standing::Nowhere);
            }
            self.key.clear();
            self.key.extend_from_slice(position.key);
            let mut newest: Option<(Timestamp, ValueKind)> = None;
            let mut steps = 0;
            while let Some(position) = self.merge.position() {
                if !is_same(position.key, &self.key) {
                    break;
                }
                steps += 1;
                if steps > STEPS_MAX {
                    newest = self.newest_of_key()?;
                    let target = Position { key: &self.key, timestamp: Timestamp::MAX };
                    self.merge.seek_before(target, Reach::Entry)?;
                    break;
                }
                let timestamp = position.timestamp;
                if timestamp <= self.visible || timestamp == Timestamp::MAX {
                    newest = Some((timestamp, self.merge.kind()));
                    self.saved.clear();
                    self.saved.extend_from_slice(self.merge.value());
                }
                self.merge.step()?;
            }
            if let Some((timestamp, kind)) = newest
                && kind != ValueKind::Delete
                && !self.hidden(&self.key, timestamp)
            {
                self.saved_kind = kind;
                return Ok(Standing::Backward);
            }
        }
        Ok(Standing::Nowhere)
    }

    /// Searches for the newest version of `self.key` that is visible, and saves its value.
    fn newest_of_key(&mut self) -> Result<Option<(Timestamp, ValueKind)>> {
        for timestamp in [Timestamp::MAX, self.visible] {
            self.merge.seek(Position { key: &self.key, timestamp }, Reach::Entry)?;
            let Some(position) = self.merge.position().filter(|position| position.key == self.key) else {
                return Ok(None);
            };
            let found = position.timestamp;
            if found <= self.visible || found == Timestamp::MAX {
                let kind = self.merge.kind();
                self.saved.clear();
                self.saved.extend_from_slice(self.merge.value());
                return Ok(Some((found, kind)));
            }
        }
        Ok(None)
    }
}
