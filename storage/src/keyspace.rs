//! Keyspaces: the first byte of a key decides how its neighbours are stored.

use crate::limits::BLOB_THRESHOLD_BYTES_MIN;

/// The first byte of a user key. Keys of one keyspace share storage options; all keyspaces share one tablet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyspace(pub u8);

impl Keyspace {
    /// The keyspace a key belongs to; the empty key belongs to keyspace 0.
    pub fn of(key: &[u8]) -> Keyspace {
        Keyspace(key.first().copied().unwrap_or(0))
    }
}

/// What prefix of a key, beside the whole key, goes into filters so that scans within the prefix can skip sstables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrefixRule {
    /// Only whole keys are in the filter.
    #[default]
    None,
    /// The first this many bytes; shorter keys have no prefix.
    Fixed(usize),
}

impl PrefixRule {
    /// The prefix of `key` by this rule.
    pub fn prefix<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            PrefixRule::None => None,
            PrefixRule::Fixed(length) => key.get(..*length),
        }
    }
}

/// How the keys of one keyspace are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceOptions {
    /// Values of at least this many bytes are stored in blob files; `None` keeps every value beside its key.
    pub blob_threshold_bytes: Option<usize>,
    /// What prefixes the filters know.
    pub prefix: PrefixRule,
    /// Entries written this many seconds before a reader's timestamp do not exist for it, and leave the disk with
    /// compaction. `None` keeps them. Not stored: give it at every opening.
    pub expire_after_seconds: Option<u32>,
}

impl KeyspaceOptions {
    /// Whether a value of `length_bytes` belongs in a blob file.
    pub fn separates(&self, length_bytes: usize) -> bool {
        self.blob_threshold_bytes.is_some_and(|at| length_bytes >= at.max(BLOB_THRESHOLD_BYTES_MIN))
    }
}
