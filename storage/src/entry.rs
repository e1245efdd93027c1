//! One version of one key: what every layer below the write batch sorts and stores.
//!
//! Entries sort by user key ascending, then by timestamp descending, so that the newest version of a key comes
//! first. Within one tablet no two entries have the same key and timestamp: a batch is reduced to one operation per
//! key before it is committed.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::timestamp::Timestamp;

/// What an entry says about its key. The number is the one stored on disk; 0 is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueKind {
    /// The key is absent from this timestamp on.
    Delete = 1,
    /// The key has this value from this timestamp on.
    Put = 2,
    /// As `Put`, and the value bytes are a handle into a blob file.
    BlobHandle = 3,
    /// All versions below this timestamp of keys from this key to the (exclusive) key in the value are absent.
    RangeDelete = 4,
}

impl ValueKind {
    /// Reads the stored number.
    pub fn from_byte(byte: u8) -> Option<ValueKind> {
        match byte {
            1 => Some(ValueKind::Delete),
            2 => Some(ValueKind::Put),
            3 => Some(ValueKind::BlobHandle),
            4 => Some(ValueKind::RangeDelete),
            _ => None,
        }
    }

    /// The stored number.
    pub fn to_byte(self) -> u8 {
        match self {
            ValueKind::Delete => 1,
            ValueKind::Put => 2,
            ValueKind::BlobHandle => 3,
            ValueKind::RangeDelete => 4,
        }
    }
}

/// The sort key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalKey<'a> {
    /// The user's key.
    pub user_key: &'a [u8],
    /// When this version was committed.
    pub timestamp: Timestamp,
    /// What it says.
    pub kind: ValueKind,
}

impl Ord for InternalKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.user_key
            .cmp(other.user_key)
            .then_with(|| other.timestamp.cmp(&self.timestamp))
            .then_with(|| other.kind.to_byte().cmp(&self.kind.to_byte()))
    }
}

impl PartialOrd for InternalKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The human form of a key: printable ASCII as it is, everything else as `\xNN`.
pub fn display_key(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len() + 2);
    text.push('"');
    for &byte in key {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                let _infallible = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_version_of_a_key_sorts_first() {
        let key = |user_key, timestamp| InternalKey {
            user_key,
            timestamp: Timestamp(timestamp),
            kind: ValueKind::Put,
        };
        let mut keys = [key(b"b", 1), key(b"a", 1), key(b"a", 9), key(b"", 3)];
        keys.sort();
        assert_eq!(keys, [key(b"", 3), key(b"a", 9), key(b"a", 1), key(b"b", 1)]);
    }

    #[test]
    fn keys_print_with_escapes() {
        assert_eq!(display_key(b"a\"\x00z"), "\"a\\\"\\x00z\"");
    }
}
