//! Encryption at rest: AES-256-GCM over every block and record, below the checksum.
//!
//! Three keys, each wrapping the next (FORMAT.md, "Encryption"):
//!
//! ```text
//!   master key   the caller's, named by an id; never on disk
//!      wraps     store key    drawn when the store is made; in the file KEYS
//!         wraps  file key     drawn for every file; in the file itself
//! ```
//!
//! Rotating the master key rewrites `KEYS` and nothing else. A file key encrypts one file and nothing else, so a nonce
//! need only be unique within its file; it is the offset at which the block or record begins. That is unique because a
//! file is written once, from front to end, and never continued: a log goes on in a new segment after a crash, and a
//! failed write stops the store. A file whose name or number is used again after a crash has another key, drawn anew.
//! Keys are random and not derived, because numbers of files lost in a crash may come again.
//!
//! What it does not do: names, lengths and times of files are in the open, as are a log's framing, an sstable's footer and
//! the number in `CURRENT`. Nobody without the key can change a block, move it within or between files, or swap two
//! files' contents; but cutting the log's end off, or putting an older copy of the whole directory in place, is not
//! noticed. Memory is not encrypted. A store is encrypted from the start or not at all.

mod cipher;
mod keyring;
mod scratch;

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::limits::MASTER_KEY_ID_BYTES_MAX;

pub use cipher::{FileCipher, KEY_BLOCK_BYTES, TAG_BYTES};
pub use keyring::{KEYS_FILE, KeyedFile, StoreKeys};
pub(crate) use keyring::{key_block_is_intact, read_master_key_id};
pub use scratch::Scratch;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The key everything else in a store hangs on, and the name its owner knows it by. Wiped when dropped; prints without
/// its bytes.
#[derive(Clone)]
pub struct MasterKey {
    /// Its name, stored beside what it wraps.
    id: String,
    /// The key.
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// A key and the id by which it is found again, at most [`MASTER_KEY_ID_BYTES_MAX`] bytes and not empty.
    pub fn new(id: impl Into<String>, bytes: [u8; KEY_BYTES]) -> Result<MasterKey> {
        let id = id.into();
        if id.is_empty() || id.len() > MASTER_KEY_ID_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the id of a master key has {} bytes; it must have 1 to {MASTER_KEY_ID_BYTES_MAX}",
                id.len()
            )));
        }
        Ok(MasterKey { id, bytes: Zeroizing::new(bytes) })
    }

    /// A key as key files hold it: 32 bytes, or 64 hexadecimal digits with or without a line end.
    pub fn parse(id: impl Into<String>, content: &[u8]) -> Result<MasterKey> {
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(content) {
            return MasterKey::new(id, bytes);
        }
        let wrong = || Error::invalid("a master key is 32 bytes or 64 hexadecimal digits");
        let digits = content.trim_ascii_end();
        if digits.len() != 2 * KEY_BYTES {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (slot, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| pair.get(at).and_then(|&byte| char::from(byte).to_digit(16));
            let (high, low) = digit(0).zip(digit(1)).ok_or_else(wrong)?;
            *slot = u8::try_from(16 * high + low).map_err(|_| wrong())?;
        }
        MasterKey::new(id, *bytes)
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The cipher that wraps with it.
    fn cipher(&self) -> FileCipher {
        FileCipher::new(&self.bytes)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?})", self.id)
    }
}

/// The keys a store is opened with.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// Wraps the keys of a store that is made.
    pub key: MasterKey,
    /// Further keys an existing store may be wrapped by: the one before, while a rotation is under way.
    pub others: Vec<MasterKey>,
}

impl Encryption {
    /// With one key.
    pub fn new(key: MasterKey) -> Encryption {
        Encryption { key, others: Vec::new() }
    }

    /// The key of this id.
    fn find(&self, id: &str) -> Option<&MasterKey> {
        std::iter::once(&self.key).chain(&self.others).find(|key| key.id == id)
    }
}

/// Why the keys given do not open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// The store is encrypted and no key was given.
    Missing {
        /// The id of the key it needs.
        id: String,
    },
    /// None of the keys given has the id of the one needed.
    Unknown {
        /// The id of the key it needs.
        id: String,
    },
    /// The key has the right id and does not fit.
    Wrong {
        /// Its id.
        id: String,
    },
    /// A key was given and the store is not encrypted.
    NotEncrypted,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyProblem::Missing { id } => write!(f, "it is encrypted and needs master key {id:?}"),
            KeyProblem::Unknown { id } => {
                write!(f, "it is encrypted with master key {id:?}, which was not among those given")
            }
            KeyProblem::Wrong { id } => {
                write!(f, "the master key given as {id:?} is not the one it was encrypted with")
            }
            KeyProblem::NotEncrypted => write!(f, "it is not encrypted, and a master key was given"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_hold_bytes_or_digits_and_nothing_else() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for content in [bytes.to_vec(), digits.clone().into_bytes(), format!("{digits}\r\n").into_bytes()] {
            assert_eq!(*MasterKey::parse("k", &content).unwrap().bytes, bytes);
        }
        for wrong in [&b""[..], &bytes[1..], &digits.as_bytes()[1..], "g".repeat(64).as_bytes(), &[0; 33]] {
            assert!(matches!(MasterKey::parse("k", wrong), Err(Error::InvalidInput(_))), "{wrong:?}");
        }
        assert!(MasterKey::new("", bytes).is_err());
        assert!(MasterKey::new("k".repeat(MASTER_KEY_ID_BYTES_MAX), bytes).is_ok());
        assert!(MasterKey::new("k".repeat(MASTER_KEY_ID_BYTES_MAX + 1), bytes).is_err());
    }

    #[test]
    fn a_key_prints_without_its_bytes() {
        let key = MasterKey::new("2026", [0xab; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(\"2026\")");
    }
}
