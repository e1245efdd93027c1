//! Numbers nobody else has: object ids, UUIDs, cursor ids and the seeds of `$rand`.
//!
//! Two splitmix64 streams (Steele, Lea and Flood 2014) start from the 128 bits that the VFS gives as an identity, so
//! that a database on the memory VFS with a fixed seed repeats itself. Not for secrets.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use sheaf_document::ObjectId;

/// Odd, close to 2^64 divided by the golden ratio: the step of splitmix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A source of numbers that do not repeat.
#[derive(Debug)]
pub(crate) struct Entropy {
    high: AtomicU64,
    low: AtomicU64,
    /// Identity of this process in the object ids it makes.
    process: [u8; 5],
    counter: AtomicU32,
}

impl Entropy {
    /// Starts from 128 random bits.
    #[expect(clippy::cast_possible_truncation, reason = "the parts are taken on purpose")]
    pub(crate) fn new(seed: u128) -> Self {
        let entropy = Self {
            high: AtomicU64::new((seed >> 64) as u64),
            low: AtomicU64::new(seed as u64),
            process: [0; 5],
            counter: AtomicU32::new(0),
        };
        let [a, b, c, d, e, ..] = entropy.next().to_be_bytes();
        let counter = entropy.next() as u32;
        Self { process: [a, b, c, d, e], counter: AtomicU32::new(counter), ..entropy }
    }

    /// 64 random bits.
    pub(crate) fn next(&self) -> u64 {
        mix(&self.high) ^ mix(&self.low).rotate_left(32)
    }

    /// A random (version 4) UUID.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        let mut uuid = ((u128::from(mix(&self.high)) << 64) | u128::from(mix(&self.low))).to_be_bytes();
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
        *version = (*version & 0x0F) | 0x40;
        *variant = (*variant & 0x3F) | 0x80;
        uuid
    }

    /// A new object id: seconds, this process, a counter.
    pub(crate) fn object_id(&self, seconds: u32) -> ObjectId {
        let [s0, s1, s2, s3] = seconds.to_be_bytes();
        let [p0, p1, p2, p3, p4] = self.process;
        let [_, c0, c1, c2] = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        ObjectId([s0, s1, s2, s3, p0, p1, p2, p3, p4, c0, c1, c2])
    }
}

fn mix(state: &AtomicU64) -> u64 {
    let mut bits = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_4() {
        let entropy = Entropy::new(7);
        let uuid = entropy.uuid();
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2));
        assert_ne!(uuid, entropy.uuid());
    }

    #[test]
    fn object_ids_count_up() {
        let entropy = Entropy::new(7);
        let (first, second) = (entropy.object_id(5), entropy.object_id(5));
        assert_eq!(first.seconds(), 5);
        assert!(first < second || second.0[9..] == [0, 0, 0]);
    }
}
