//! Where a cursor stands, in bytes that find the place again.
//!
//! ```text
//! +-------------+---------------------+---------------------+------------------+
//! | version u8  | fingerprint u64     | read timestamp u64  | rows u64         |   25 bytes, little-endian
//! +-------------+---------------------+---------------------+------------------+
//! ```
//!
//! - version: 1.
//! - fingerprint: a hash of the operation. A position of another operation is refused (`InvalidResumeToken`).
//! - read timestamp: the snapshot that the answer was read at. If its history is gone, the position cannot be used any
//!   more (`SnapshotTooOld`).
//! - rows: how many rows of the answer were returned. At the same timestamp a plan gives the same rows in the same
//!   order, so passing over that many is the place.

use sheaf_storage::Timestamp;

use crate::{Error, Result, error_code};

const VERSION: u8 = 1;

/// A place in the answer of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) fingerprint: u64,
    pub(crate) read_timestamp: Timestamp,
    pub(crate) rows: u64,
}

impl Position {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.fingerprint, self.read_timestamp.0, self.rows] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
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
        let numbers: Vec<u64> =
            rest.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        let ([found, timestamp, rows], 24) = (numbers.as_slice(), rest.len()) else {
            return Err(invalid("does not have the right length"));
        };
        if *found != fingerprint {
            return Err(invalid("belongs to another operation"));
        }
        Ok(Self { fingerprint, read_timestamp: Timestamp(*timestamp), rows: *rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_and_others_are_refused() {
        let position = Position { fingerprint: 7, read_timestamp: Timestamp(9), rows: 3 };
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes, 7).expect("its own"), position);
        let code =
            |bytes: &[u8], fingerprint| Position::decode(bytes, fingerprint).expect_err("refused").code;
        assert_eq!(code(&bytes, 8), error_code::INVALID_RESUME_TOKEN);
        assert_eq!(code(&bytes[..24], 7), error_code::INVALID_RESUME_TOKEN);
        assert_eq!(code(&[], 7), error_code::INVALID_RESUME_TOKEN);
        assert_eq!(code(&[&[2], &bytes[1..]].concat(), 7), error_code::INVALID_RESUME_TOKEN);
    }
}
