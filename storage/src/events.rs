//! What a store tells while it works, for the logs and metrics of who embeds it.

use std::fmt;

use crate::compaction::Reason;
use crate::tablet::TabletId;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Memtables became sstables.
    Flushed {
        /// Of which tablet.
        tablet: TabletId,
        /// Bytes of the new files.
        bytes_written: u64,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// Sstables were merged, moved or dropped.
    Compacted {
        /// Of which tablet.
        tablet: TabletId,
        /// Why; `None` where whole files had nothing left that anybody may see.
        reason: Option<Reason>,
        /// Bytes of the files read; 0 where files only changed their level.
        bytes_read: u64,
        /// Bytes of the new files.
        bytes_written: u64,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// A compaction's result was dropped because the files it was planned for had gone meanwhile.
    PlanDeclined {
        /// Of which tablet.
        tablet: TabletId,
    },
    /// Files that passed the log by became part of a tablet: an ingestion, or a large batch.
    Ingested {
        /// Which tablet.
        tablet: TabletId,
        /// Bytes of the files.
        bytes: u64,
    },
    /// A commit waits for background work, and so do all that come after.
    WritesStopped {
        /// To which tablet.
        tablet: TabletId,
        /// What it waits for.
        reason: String,
    },
    /// A commit that waited goes on, or has given up.
    WritesResumed {
        /// To which tablet.
        tablet: TabletId,
        /// How long it waited, in microseconds.
        micros: u64,
    },
    /// Segments of the log that nobody needs could not be removed. Their room is not free; it is tried again with the next ones.
    SegmentsNotRemoved {
        /// Why.
        reason: String,
    },
    /// The store refuses writes until it is reopened.
    Poisoned {
        /// Why.
        reason: String,
    },
}

/// Hears of what happens in a store. It is called by the thread that did it, which may hold locks of the store: it must return
/// soon and must not call the store.
pub trait EventListener: Send + Sync + fmt::Debug {
    /// Something has happened.
    fn on_event(&self, event: &Event);
}
