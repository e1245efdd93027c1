//! What can go wrong, sorted by what the caller should do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::encryption::KeyProblem;
use crate::tablet::TabletId;
use crate::timestamp::Timestamp;

/// The system's numbers for it, which the standard library has no name for: of the process and of the machine.
const TOO_MANY_OPEN_FILES: [i32; 2] = if cfg!(windows) { [4, 4] } else { [24, 23] };

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Cheap to clone: one failed write is reported to every commit that shared it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another transaction wrote a key first. Run the transaction again.
    #[error("write conflict on key {}", crate::entry::display_key(key))]
    Conflict {
        /// The key both wrote.
        key: Vec<u8>,
    },
    /// Waiting for a key lock would wait forever. Roll back and run the transaction again.
    #[error("deadlock while waiting for key {}", crate::entry::display_key(key))]
    Deadlock {
        /// The key waited for.
        key: Vec<u8>,
    },
    /// A key lock was not granted within the transaction's patience. Roll back, perhaps run again later.
    #[error("timed out waiting for key {}", crate::entry::display_key(key))]
    LockTimeout {
        /// The key waited for.
        key: Vec<u8>,
    },
    /// The call itself is wrong: a key too long, bounds reversed, a closed handle. Fix the caller.
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// Bytes on disk are not what was written. Restore from a replica or backup, or salvage.
    #[error("corruption in {} at offset {offset}: {detail}", file.display())]
    Corruption {
        /// The damaged file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What was expected and what was found.
        detail: String,
    },
    /// The operating system refused an operation.
    #[error("{operation} {}: {source}", file.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The operating system does not allow it: a read-only directory or medium, or somebody else's. Change that, or open
    /// read-only. Nothing was changed.
    #[error("not permitted to {operation} {}", file.display())]
    NotPermitted {
        /// What was attempted.
        operation: &'static str,
        /// On which file or directory.
        file: PathBuf,
    },
    /// The process has too many files open. Raise its limit or lower [`crate::StoreOptions::open_files_max`], then try again.
    #[error("too many open files to {operation} {}", file.display())]
    TooManyOpenFiles {
        /// What was attempted.
        operation: &'static str,
        /// On which file or directory.
        file: PathBuf,
    },
    /// The disk (or the configured quota) is full. Free space, then reopen.
    #[error("no space left while writing {}", file.display())]
    Full {
        /// The file that could not grow.
        file: PathBuf,
    },
    /// An earlier write or sync failed, so what is on disk is unknown. Reads go on; writes need a reopen.
    #[error("the store refuses writes until it is reopened: {0}")]
    Poisoned(String),
    /// Another process (or another handle in this one) has the directory open.
    #[error("{} is in use by another store", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory was written by another format version of the engine.
    #[error(
        "{} has format version {found}; this build reads {oldest} to {newest}",
        file.display()
    )]
    FormatVersion {
        /// The file that says so.
        file: PathBuf,
        /// The version found.
        found: u32,
        /// The oldest version this build reads.
        oldest: u32,
        /// The newest version this build reads.
        newest: u32,
    },
    /// The master keys given do not open the store. Give the right one, or none. Nothing was touched.
    #[error("cannot open {}: {problem}", directory.display())]
    Encryption {
        /// The store's directory.
        directory: PathBuf,
        /// What is wrong with the keys.
        problem: KeyProblem,
    },
    /// Another member of the replication group decides the order of writes. Send it there.
    #[error("this member is not the leader{}", leader.as_ref().map_or_else(String::new, |leader| format!("; {leader} is")))]
    NotLeader {
        /// Where the leader is, as far as is known.
        leader: Option<String>,
    },
    /// More snapshots are alive than the engine tracks. Drop some.
    #[error("too many snapshots: {0}")]
    TooManySnapshots(usize),
    /// History before this point has been collected. Read at a later timestamp.
    #[error("timestamp {wanted} is older than the retained history, which begins at {oldest}")]
    SnapshotTooOld {
        /// The timestamp asked for.
        wanted: Timestamp,
        /// The oldest one that can be read.
        oldest: Timestamp,
    },
    /// Background work is too far behind to accept writes now. Back off and retry.
    #[error("writes are stalled: {0}")]
    WriteStalled(String),
    /// The memory budget has no room for this. Retry with less, or later.
    #[error("memory budget exceeded: {0}")]
    MemoryExceeded(String),
    /// The store has no such tablet, and never had. Create it, or ask another store.
    #[error("there is no tablet {0}")]
    TabletUnknown(TabletId),
    /// The store has a tablet of this id. Take it, or another id.
    #[error("tablet {0} exists")]
    TabletExists(TabletId),
    /// The tablet was dropped; its id is not given again. Take another.
    #[error("tablet {0} has been dropped")]
    TabletDropped(TabletId),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later although nothing was done: nothing is damaged, and nothing half done.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self, Error::MemoryExceeded(_) | Error::TooManyOpenFiles { .. })
    }

    /// Whether it is a shortage that came before a file was created. Later, as when the new name's directory is synced, the
    /// file is there, and a second attempt would find it or, worse, a crash would.
    pub(crate) fn is_before_creation(&self) -> bool {
        matches!(self, Error::TooManyOpenFiles { operation: "create" | "draw a key for", .. })
    }

    /// Wraps an operating system error with what was attempted on which file.
    pub fn io(operation: &'static str, file: &Path, source: io::Error) -> Error {
        let file = file.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { file },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Error::NotPermitted { operation, file }
            }
            _ if source.raw_os_error().is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code)) => {
                Error::TooManyOpenFiles { operation, file }
            }
            _ => Error::Io { operation, file, source: Arc::new(source) },
        }
    }

    /// Reports damaged bytes.
    pub fn corruption(file: &Path, offset: u64, detail: impl Into<String>) -> Error {
        Error::Corruption { file: file.to_path_buf(), offset, detail: detail.into() }
    }

    /// Reports a wrong call.
    pub fn invalid(detail: impl Into<String>) -> Error {
        Error::InvalidInput(detail.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_by_what_the_caller_should_do() {
        use io::ErrorKind::{
            NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, TimedOut,
        };
        let of = |source: io::Error| Error::io("write", Path::new("/f"), source);
        for kind in [StorageFull, QuotaExceeded] {
            assert!(matches!(of(kind.into()), Error::Full { .. }), "{kind}");
        }
        for kind in [PermissionDenied, ReadOnlyFilesystem] {
            assert!(matches!(of(kind.into()), Error::NotPermitted { operation: "write", .. }), "{kind}");
        }
        for kind in [NotFound, TimedOut] {
            assert!(matches!(of(kind.into()), Error::Io { operation: "write", .. }), "{kind}");
        }
        for code in TOO_MANY_OPEN_FILES {
            let error = of(io::Error::from_raw_os_error(code));
            assert!(matches!(error, Error::TooManyOpenFiles { .. }) && error.is_shortage(), "{code}");
            assert!(!error.is_before_creation(), "only where nothing was begun");
            assert!(
                Error::io("create", Path::new("/f"), io::Error::from_raw_os_error(code)).is_before_creation()
            );
        }
        assert!(!of(StorageFull.into()).is_shortage());
    }
}
