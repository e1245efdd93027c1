//! Keyspaces whose entries live for a time: what has expired for whom.
//!
//! Time is the reader's: for a reader at timestamp T a version written more than the keyspace's lifetime before T does not
//! exist, and no older version of the key does either, being older still. So every read at one timestamp gives one answer,
//! whatever compaction has done, and compaction may drop what has expired for the oldest reader there can be, without
//! looking for what lies deeper. The newest timestamp moves with commits; a store nobody writes to does not age.
//!
//! Lifetimes are options, not stored. A store opened with a longer one shows again what was not yet dropped.

use std::collections::BTreeMap;

use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::timestamp::Timestamp;

/// The lifetimes of keyspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    seconds: BTreeMap<Keyspace, u32>,
}

impl Expiry {
    /// As the options of the keyspaces say.
    pub fn new(keyspaces: &BTreeMap<Keyspace, KeyspaceOptions>) -> Expiry {
        let limited = keyspaces
            .iter()
            .filter_map(|(&keyspace, options)| Some((keyspace, options.expire_after_seconds?)));
        Expiry { seconds: limited.collect() }
    }

    /// Whether a version of `key` written at `written` has expired for a reader at `visible`.
    #[inline]
    pub fn hides(&self, key: &[u8], written: Timestamp, visible: Timestamp) -> bool {
        if self.seconds.is_empty() {
            return false;
        }
        let Some(&seconds) = self.seconds.get(&Keyspace::of(key)) else { return false };
        written < Timestamp::from_parts(visible.seconds().saturating_sub(seconds), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_expires_when_its_second_has_passed() {
        let options = KeyspaceOptions { expire_after_seconds: Some(10), ..KeyspaceOptions::default() };
        let expiry =
            Expiry::new(&[(Keyspace(b't'), options), (Keyspace(b'u'), KeyspaceOptions::default())].into());
        let at = Timestamp::from_parts;
        assert!(!expiry.hides(b"t1", at(100, 7), at(110, 9)));
        assert!(expiry.hides(b"t1", at(99, 7), at(110, 0)));
        assert!(!expiry.hides(b"u1", at(1, 0), at(110, 0)));
        assert!(!expiry.hides(b"t1", Timestamp::ZERO, at(9, 0)), "before there was time to expire");
        assert!(!expiry.hides(b"t1", Timestamp::MAX, Timestamp::MAX), "a transaction's own write");
        assert!(!Expiry::default().hides(b"t1", Timestamp::ZERO, Timestamp::MAX));
    }
}
