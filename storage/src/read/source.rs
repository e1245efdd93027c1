//! One sorted input of a merge: a memtable, an sstable, or a whole level of sstables that do not overlap.

use std::ops::Range;
use std::sync::Arc;

use crate::entry::ValueKind;
use crate::error::Result;
use crate::manifest::{TableRef, VersionRef};
use crate::memtable::MemtableCursor;
use crate::sstable::block::Position;
use crate::sstable::block_file::Caching;
use crate::sstable::cursor::{Reach, TableCursor};
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// A sorted input.
pub enum Source {
    /// A memtable's entries.
    Memtable(MemtableCursor),
    /// One sstable's.
    Table(TableCursor),
    /// A level's.
    Level(LevelCursor),
}

impl Source {
    /// Whether it stands on an entry.
    #[inline]
    pub fn valid(&self) -> bool {
        match self {
            Source::Memtable(cursor) => cursor.entry().is_some(),
            Source::Table(cursor) => cursor.valid(),
            Source::Level(cursor) => cursor.current.as_ref().is_some_and(TableCursor::valid),
        }
    }

    /// Where it stands; meaningless unless valid.
    #[inline]
    pub fn position(&self) -> Position<'_> {
        const NOWHERE: Position<'_> = Position { key: &[], timestamp: Timestamp::ZERO };
        match self {
            Source::Memtable(cursor) => cursor
                .entry()
                .map_or(NOWHERE, |entry| Position { key: entry.key(), timestamp: entry.timestamp() }),
            Source::Table(cursor) => cursor.position(),
            Source::Level(cursor) => cursor.current.as_ref().map_or(NOWHERE, TableCursor::position),
        }
    }

    /// What the entry is.
    #[inline]
    pub fn kind(&self) -> ValueKind {
        match self {
            Source::Memtable(cursor) => cursor.entry().map_or(ValueKind::Delete, |entry| entry.kind()),
            Source::Table(cursor) => cursor.kind(),
            Source::Level(cursor) => cursor.current.as_ref().map_or(ValueKind::Delete, TableCursor::kind),
        }
    }

    /// The entry's value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        match self {
            Source::Memtable(cursor) => cursor.entry().map_or(&[], |entry| entry.value()),
            Source::Table(cursor) => cursor.value(),
            Source::Level(cursor) => cursor.current.as_ref().map_or(&[], TableCursor::value),
        }
    }

    /// The entry's value for keeps.
    pub fn value_slice(&self) -> ValueSlice {
        match self {
            Source::Memtable(_) => ValueSlice::copied(self.value()),
            Source::Table(cursor) => cursor.value_slice(),
            Source::Level(cursor) => {
                cursor.current.as_ref().map_or_else(|| ValueSlice::copied(&[]), TableCursor::value_slice)
            }
        }
    }

    /// The first half of a seek: see [`TableCursor::begin_seek`].
    pub fn begin_seek(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        match self {
            Source::Memtable(_) => Ok(()),
            Source::Table(cursor) => cursor.begin_seek(target, reach),
            Source::Level(cursor) => cursor.begin_seek(target, reach),
        }
    }

    /// The second half, with the same target.
    pub fn finish_seek(&mut self, target: Position<'_>) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek(target.key, target.timestamp);
                Ok(())
            }
            Source::Table(cursor) => cursor.finish_seek(target),
            Source::Level(cursor) => cursor.finish_seek(target),
        }
    }

    /// The first half of a move to the last entry before `target`: see [`TableCursor::begin_seek`].
    pub fn begin_seek_before(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        match self {
            Source::Memtable(_) => Ok(()),
            Source::Table(cursor) => cursor.begin_seek_before(target, reach),
            Source::Level(cursor) => cursor.begin_seek_before(target, reach),
        }
    }

    /// The second half, with the same target.
    pub fn finish_seek_before(&mut self, target: Position<'_>) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek_before(target.key, target.timestamp);
                Ok(())
            }
            Source::Table(cursor) => cursor.finish_seek_before(target),
            Source::Level(cursor) => cursor.finish_seek_before(target),
        }
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek_to_first();
                Ok(())
            }
            Source::Table(cursor) => cursor.seek_to_first(),
            Source::Level(cursor) => cursor.first_from(0),
        }
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek_to_last();
                Ok(())
            }
            Source::Table(cursor) => cursor.seek_to_last(),
            Source::Level(cursor) => cursor.last_up_to(cursor.tables.as_slice().len().checked_sub(1)),
        }
    }

    /// Moves to the next entry.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.advance();
                Ok(())
            }
            Source::Table(cursor) => cursor.advance(),
            Source::Level(cursor) => cursor.advance(),
        }
    }

    /// Moves to the entry before.
    #[inline]
    pub fn retreat(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => {
                cursor.retreat();
                Ok(())
            }
            Source::Table(cursor) => cursor.retreat(),
            Source::Level(cursor) => cursor.retreat(),
        }
    }
}

/// Sstables of one level, sorted and not overlapping.
pub enum LevelTables {
    /// These.
    Chosen(Vec<TableRef>),
    /// A part of a level, held through its version: nothing is copied.
    Within {
        /// The version.
        version: VersionRef,
        /// The level.
        level: usize,
        /// Which of its tables.
        range: Range<usize>,
    },
}

impl LevelTables {
    #[inline]
    fn as_slice(&self) -> &[TableRef] {
        match self {
            LevelTables::Chosen(tables) => tables,
            LevelTables::Within { version, level, range } => {
                version.level(*level).get(range.clone()).unwrap_or_default()
            }
        }
    }
}

/// Walks the sstables of a level one after the other, opening each when it is reached.
pub struct LevelCursor {
    tables: LevelTables,
    caching: Caching,
    with_values: bool,
    at: usize,
    current: Option<TableCursor>,
    /// The buffer of the cursor before, for the next: going from table to table allocates nothing.
    spare: Vec<u8>,
}

impl LevelCursor {
    /// Stands nowhere until moved.
    pub fn new(tables: LevelTables, caching: Caching) -> LevelCursor {
        LevelCursor { tables, caching, with_values: true, at: 0, current: None, spare: Vec::new() }
    }

    /// For a walk over keys alone.
    pub fn without_values(self) -> LevelCursor {
        LevelCursor { with_values: false, ..self }
    }

    /// A cursor on table `at`, or `None` behind the last.
    fn open(&mut self, at: usize) -> Result<Option<&mut TableCursor>> {
        if at != self.at || self.current.is_none() {
            self.leave();
            self.at = at;
            let Some(table) = self.tables.as_slice().get(at) else { return Ok(None) };
            let reader = Arc::clone(table.reader()?);
            let cursor = TableCursor::reusing(std::mem::take(&mut self.spare), reader, self.caching);
            self.current = Some(if self.with_values { cursor } else { cursor.without_values() });
        }
        Ok(self.current.as_mut())
    }

    /// Stands nowhere.
    fn leave(&mut self) {
        if let Some(cursor) = self.current.take() {
            self.spare = cursor.into_buffer();
        }
    }

    fn begin_seek(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        let at = self.tables.as_slice().partition_point(|table| !table.meta.largest.admits(target.key));
        match self.open(at)? {
            Some(cursor) => cursor.begin_seek(target, reach),
            None => Ok(()),
        }
    }

    fn finish_seek(&mut self, target: Position<'_>) -> Result<()> {
        let Some(cursor) = &mut self.current else { return Ok(()) };
        cursor.finish_seek(target)?;
        if cursor.valid() { Ok(()) } else { self.first_from(self.at + 1) }
    }

    fn begin_seek_before(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        let after =
            self.tables.as_slice().partition_point(|table| table.meta.smallest.as_slice() <= target.key);
        let Some(at) = after.checked_sub(1) else {
            self.leave();
            return Ok(());
        };
        match self.open(at)? {
            Some(cursor) => cursor.begin_seek_before(target, reach),
            None => Ok(()),
        }
    }

    fn finish_seek_before(&mut self, target: Position<'_>) -> Result<()> {
        let Some(cursor) = &mut self.current else { return Ok(()) };
        cursor.finish_seek_before(target)?;
        if cursor.valid() { Ok(()) } else { self.last_up_to(self.at.checked_sub(1)) }
    }

    /// Stands on the first entry of table `at` or of the next that has one.
    fn first_from(&mut self, mut at: usize) -> Result<()> {
        while let Some(cursor) = self.open(at)? {
            cursor.seek_to_first()?;
            if cursor.valid() {
                return Ok(());
            }
            at += 1;
        }
        Ok(())
    }

    /// Stands on the last entry of table `at` or of the nearest before that has one.
    fn last_up_to(&mut self, mut at: Option<usize>) -> Result<()> {
        while let Some(index) = at {
            let Some(cursor) = self.open(index)? else { return Ok(()) };
            cursor.seek_to_last()?;
            if cursor.valid() {
                return Ok(());
            }
            at = index.checked_sub(1);
        }
        self.leave();
        Ok(())
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.current else { return Ok(()) };
        cursor.advance()?;
        if cursor.valid() { Ok(()) } else { self.first_from(self.at + 1) }
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.current else { return Ok(()) };
        cursor.retreat()?;
        if cursor.valid() { Ok(()) } else { self.last_up_to(self.at.checked_sub(1)) }
    }
}
