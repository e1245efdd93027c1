//! Where a cursor stands, in bytes that find the place again.
//!
//! ```text
//! +-------------+-----------------+--------------------+----------+----------+-------+
//! | version u8  | fingerprint u64 | read timestamp u64 | rows u64 | plan u64 | place |   33 bytes and the place,
//! +-------------+-----------------+--------------------+----------+----------+-------+   little-endian
//!
//! place, empty if the plan has to be run from its beginning:
//! +----------+-------------+-----------------+-----+
//! | rows u64 | counters u8 | counter u64 ... | key |   the key up to the end
//! +----------+-------------+-----------------+-----+
//! ```
//!
//! - version: 2. Version 1 had neither plan nor place and is refused.
//! - fingerprint: a hash of the operation. A position of another operation is refused (`InvalidResumeToken`).
//! - read timestamp: the snapshot that the answer was read at. If its history is gone, the position cannot be used any
//!   more (`SnapshotTooOld`).
//! - rows: how many rows of the answer were returned. At the same timestamp the same plan gives the same rows in the same
//!   order.
//! - plan: a hash of the plan. If another one is made of the operation now, because an index went away, the order of its
//!   rows is another too (`QueryPlanKilled`).
//! - place: the key where the scan at the bottom of the plan stood when it had returned so many rows, and what the
//!   operators above it count. From there it is at most a batch to where the cursor stands. Plans that sort, join or
//!   see documents several times have none: the rows are passed over.

use sheaf_storage::Timestamp;

use crate::executor::Checkpoint;
use crate::plan::PhysicalPlan;
use crate::{Error, Result, error_code};

const VERSION: u8 = 2;

/// A hash of a plan: of its printed form, which names indexes, bounds and order.
pub(super) fn of_plan(plan: &PhysicalPlan) -> u64 {
    xxhash_rust::xxh3::xxh3_64(plan.to_string().as_bytes())
}

/// A place in the answer of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) fingerprint: u64,
    pub(crate) read_timestamp: Timestamp,
    pub(crate) rows: u64,
    pub(crate) plan: u64,
    pub(crate) place: Option<Place>,
}

/// A place that the operators of a plan can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Rows that were returned before it.
    pub(crate) rows: u64,
    /// Where the operators stood.
    pub(crate) state: Checkpoint,
}

impl Position {
    /// Whether it is a place in what this plan gives.
    pub(crate) fn is_of(&self, plan: &PhysicalPlan) -> bool {
        self.plan == of_plan(plan)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.fingerprint, self.read_timestamp.0, self.rows, self.plan] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let Some(place) = &self.place else { return bytes };
        // A plan is as deep as a pipeline has stages; one that counts in more of them than a byte holds has no place.
        let Ok(count) = u8::try_from(place.state.counters.len()) else { return bytes };
        bytes.extend_from_slice(&place.rows.to_le_bytes());
        bytes.push(count);
        for counter in &place.state.counters {
            bytes.extend_from_slice(&counter.to_le_bytes());
        }
        bytes.extend_from_slice(&place.state.key);
        bytes
    }

    /// Reads a position back and checks that it belongs to the operation with this fingerprint.
    pub(crate) fn decode(bytes: &[u8], fingerprint: u64) -> Result<Self> {
        let invalid =
            |what| Error::new(error_code::INVALID_RESUME_TOKEN, format!("the resume position {what}"));
        let (version, rest) = bytes.split_first().ok_or_else(|| invalid("is empty"))?;
        if *version != VERSION {
            return Err(invalid("is of another version"));
        }
        let cut = || invalid("does not have the right length");
        let (numbers, rest) = rest.split_at_checked(32).ok_or_else(cut)?;
        let numbers: Vec<u64> =
            numbers.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        let [found, timestamp, rows, plan] = numbers.as_slice() else { return Err(cut()) };
        if *found != fingerprint {
            return Err(invalid("belongs to another operation"));
        }
        let place = if rest.is_empty() { None } else { Some(Place::decode(rest).ok_or_else(cut)?) };
        if place.as_ref().is_some_and(|place| place.rows > *rows) {
            return Err(invalid("stands before its place"));
        }
        let read_timestamp = Timestamp(*timestamp);
        Ok(Self { fingerprint, read_timestamp, rows: *rows, plan: *plan, place })
    }
}

impl Place {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rows, rest) = bytes.split_first_chunk()?;
        let (count, rest) = rest.split_first()?;
        let (counters, key) = rest.split_at_checked(usize::from(*count) * 8)?;
        let counters = counters.as_chunks().0.iter().map(|counter| u64::from_le_bytes(*counter)).collect();
        Some(Self { rows: u64::from_le_bytes(*rows), state: Checkpoint { key: key.to_vec(), counters } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_and_others_are_refused() {
        let place = Place { rows: 2, state: Checkpoint { key: b"key".to_vec(), counters: vec![5, 6] } };
        let read_timestamp = Timestamp(9);
        let plain = Position { fingerprint: 7, read_timestamp, rows: 3, plan: 4, place: None };
        let placed = Position { place: Some(place), ..plain.clone() };
        let code =
            |bytes: &[u8], fingerprint| Position::decode(bytes, fingerprint).expect_err("refused").code;
        for position in [plain, placed] {
            let bytes = position.encode();
            assert_eq!(Position::decode(&bytes, 7).expect("its own"), position);
            assert_eq!(code(&bytes, 8), error_code::INVALID_RESUME_TOKEN);
            assert_eq!(code(&bytes[..32], 7), error_code::INVALID_RESUME_TOKEN);
            assert_eq!(code(&[&[1], &bytes[1..]].concat(), 7), error_code::INVALID_RESUME_TOKEN);
            // Inside of the place only the key may end anywhere.
            for len in 34..bytes.len().min(33 + 9 + 16) {
                assert_eq!(code(&bytes[..len], 7), error_code::INVALID_RESUME_TOKEN, "{len}");
            }
        }
        assert_eq!(code(&[], 7), error_code::INVALID_RESUME_TOKEN);
    }
}
