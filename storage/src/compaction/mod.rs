//! Compaction: a pure [`picker`] chooses, a [`job`] rewrites, the tablet installs.
//!
//! Levelled: a flush makes a table in L0; L0 goes to the first level in use below; a level over its target gives one
//! table to the next. Targets are dynamic (see [`levels`]): the bottom level is what it is, each level above a tenth of
//! the next, so that at most about a ninth of the data is waiting to be merged.
//!
//! A plan names its inputs by number and is checked against the version again when its result is installed: a plan whose
//! inputs are gone is dropped, never applied in part.

pub mod job;
pub mod levels;
mod output;
pub mod picker;
mod retain;
mod sorted;

pub use job::{JobContext, JobOutcome, compact, flush};
pub use picker::{PickInput, pick, pick_covered};
pub use retain::History;
pub use sorted::{write_operations, write_sorted};

use crate::file_id::FileId;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing is due.
    Nothing,
    /// These tables change their level; no byte is written.
    Move {
        /// (level, table).
        tables: Vec<(usize, FileId)>,
        /// Where they go.
        to: usize,
        /// For people.
        reason: Reason,
    },
    /// These tables are merged into new ones.
    Merge {
        /// (level, table): all of one level and what they overlap in the target level.
        tables: Vec<(usize, FileId)>,
        /// Where the result goes.
        to: usize,
        /// For people.
        reason: Reason,
    },
    /// These tables hold nothing any reader may see.
    Drop {
        /// (level, table).
        tables: Vec<(usize, FileId)>,
    },
}

impl Choice {
    /// Why; `None` where files go that nobody needs.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Choice::Move { reason, .. } | Choice::Merge { reason, .. } => Some(*reason),
            Choice::Nothing | Choice::Drop { .. } => None,
        }
    }
}

/// Why a compaction was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// L0 has too many tables.
    L0,
    /// A level is over its target.
    LevelSize,
    /// A blob file is mostly garbage.
    BlobGarbage,
    /// A table is mostly tombstones.
    Tombstones,
    /// Somebody asked for everything.
    Manual,
}
