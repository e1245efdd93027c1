//! The storage engine: ordered bytes, versions by timestamp, one write-ahead log. Knows no document.
//!
//! A [`Store`] owns a directory: one log, one cache, one set of background threads. A [`Tablet`] is one LSM tree in
//! it; a store has one, and more if they are created. Writes are batches that become visible together at a [`Timestamp`]; reads go through a [`Snapshot`] at one.
//!
//! Nothing here opens a file, reads a clock or draws a random number by itself: files and identities come from the
//! [`Vfs`], time from the [`Clock`] in the options. `FORMAT.md` beside this crate describes every byte on disk.

#[doc(hidden)]
pub mod blob;
#[doc(hidden)]
pub mod cache;
mod clock;
#[doc(hidden)]
pub mod coding;
#[doc(hidden)]
pub mod compaction;
#[doc(hidden)]
pub mod encryption;
#[doc(hidden)]
pub mod entry;
mod error;
mod events;
#[doc(hidden)]
pub mod expiry;
#[doc(hidden)]
pub mod file_id;
mod histogram;
#[doc(hidden)]
pub mod inspect;
mod keyspace;
pub mod limits;
#[doc(hidden)]
pub mod manifest;
#[doc(hidden)]
pub mod memtable;
mod options;
#[doc(hidden)]
pub mod planted;
mod poison;
mod prefetch;
#[doc(hidden)]
pub mod range_tombstone;
#[doc(hidden)]
pub mod read;
mod replicator;
mod salvage;
#[doc(hidden)]
pub mod sstable;
mod store;
mod sync;
mod tablet;
mod timestamp;
mod transaction;
mod value_slice;
pub mod vfs;
#[doc(hidden)]
pub mod wal;
mod write_batch;

pub use cache::{CacheStatistics, FilterStatistics};
pub use clock::{Clock, ManualClock, SystemClock};
pub use compaction::Reason as CompactionReason;
pub use encryption::{Encryption, KeyProblem, MasterKey, Scratch};
pub use error::{Error, Result};
pub use events::{Event, EventListener};
pub use histogram::DurationHistogram;
pub use inspect::inspect;
pub use keyspace::{Keyspace, KeyspaceOptions, PrefixRule};
pub use options::{
    BackgroundWork, Compression, Durability, FilterKind, ReadMode, StoreOptions, WalCompression,
};
pub use read::snapshot::Snapshot;
pub use read::{Iter, IterOptions};
pub use replicator::{Local, Proposal, Replicator, Role};
pub use salvage::{SalvageReport, salvage};
pub use store::{Store, StoreStatistics};
pub use tablet::{
    LevelStatistics, MemoryReport, Tablet, TabletId, TabletStatistics, VerifyReport, WriteState,
};
pub use timestamp::Timestamp;
pub use transaction::{Isolation, Locking, Savepoint, Transaction, TransactionOptions};
pub use value_slice::ValueSlice;
pub use vfs::{DiskVfs, FaultVfs, MemoryVfs, Vfs, VfsFile, VfsLock};
pub use wal::log::LogStatistics;
pub use write_batch::{Operation, ReducedBatch, WriteBatch};
