//! The file `KEYS`, which holds the store key, and the file keys wrapped by it. FORMAT.md, "KEYS" and "Key block".

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::cipher::NONCE_BYTES;
use super::{Encryption, FileCipher, KEY_BLOCK_BYTES, KEY_BYTES, KeyProblem, MasterKey, TAG_BYTES};
use crate::coding::{Malformed, take, take_u8, take_u16, take_u32, u32_at};
use crate::error::{Error, Result};
use crate::limits::MASTER_KEY_ID_BYTES_MAX;
use crate::manifest::current::write_by_rename;
use crate::vfs::Vfs;

/// The name of the file.
pub const KEYS_FILE: &str = "KEYS";

const MAGIC: [u8; 8] = *b"SHEAFKEY";
/// The format version in which encryption came.
const FORMAT_VERSION: u32 = 2;
const AES_256_GCM: u8 = 1;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;

/// What a file key is for. Bound to the wrapped key, with the file's number. The number is the one stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyedFile {
    /// A segment of the log.
    Segment = 1,
    /// A manifest.
    Manifest = 2,
    /// An sstable.
    Sstable = 4,
    /// A blob file.
    Blob = 5,
}

/// The store key, and what it wraps.
pub struct StoreKeys {
    key: Zeroizing<[u8; KEY_BYTES]>,
    cipher: FileCipher,
    /// What `KEYS` holds now.
    file: Mutex<Vec<u8>>,
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKeys")
    }
}

/// The fields of `KEYS`.
struct KeysFile {
    id: String,
    nonce: [u8; NONCE_BYTES],
    wrapped: Vec<u8>,
}

/// Bytes nobody can foretell.
fn random<const N: usize>(vfs: &dyn Vfs, path: &Path) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    vfs.fill_random(&mut bytes).map_err(|error| Error::io("draw a key for", path, error))?;
    Ok(bytes)
}

/// What the store key's wrapping is bound to.
fn store_association(id: &str) -> Vec<u8> {
    [&MAGIC[..], &FORMAT_VERSION.to_le_bytes(), &[AES_256_GCM], id.as_bytes()].concat()
}

/// What a file key's wrapping is bound to.
fn file_association(kind: KeyedFile, number: u64) -> [u8; 9] {
    let mut out = [kind as u8; 9];
    out.iter_mut().skip(1).zip(number.to_le_bytes()).for_each(|(slot, byte)| *slot = byte);
    out
}

impl StoreKeys {
    /// Draws a store key and writes `KEYS`, durably.
    pub fn create(vfs: &dyn Vfs, directory: &Path, encryption: &Encryption) -> Result<StoreKeys> {
        let key = Zeroizing::new(random(vfs, directory)?);
        let keys = StoreKeys { cipher: FileCipher::new(&key), key, file: Mutex::default() };
        keys.rewrap(vfs, directory, &encryption.key)?;
        Ok(keys)
    }

    /// Reads `KEYS`.
    pub fn read(vfs: &dyn Vfs, directory: &Path, encryption: Option<&Encryption>) -> Result<StoreKeys> {
        let path = directory.join(KEYS_FILE);
        let bytes = read_small_file(vfs, &path)?;
        let file = KeysFile::decode(&bytes, &path)?;
        let refused = |problem| Err(Error::Encryption { directory: directory.to_path_buf(), problem });
        let Some(encryption) = encryption else { return refused(KeyProblem::Missing { id: file.id }) };
        let Some(master) = encryption.find(&file.id) else {
            return refused(KeyProblem::Unknown { id: file.id });
        };
        let mut opened = Zeroizing::new(file.wrapped);
        if master.cipher().decrypt_with(&file.nonce, &store_association(&file.id), &mut opened).is_err() {
            return refused(KeyProblem::Wrong { id: file.id });
        }
        let damaged = || Error::corruption(&path, 0, "the store key has another length");
        let key = <[u8; KEY_BYTES]>::try_from(opened.as_slice()).map_err(|_| damaged())?;
        let key = Zeroizing::new(key);
        Ok(StoreKeys { cipher: FileCipher::new(&key), key, file: Mutex::new(bytes) })
    }

    /// Wraps the store key with `master` and puts the new `KEYS` in the place of the old, durably.
    pub fn rewrap(&self, vfs: &dyn Vfs, directory: &Path, master: &MasterKey) -> Result<()> {
        let nonce: [u8; NONCE_BYTES] = random(vfs, directory)?;
        let mut wrapped = self.key.to_vec();
        let sealed = master.cipher().encrypt_with(&nonce, &store_association(master.id()), &mut wrapped, 0);
        sealed.map_err(|malformed| Error::invalid(malformed.0))?;
        let bytes = KeysFile { id: master.id().to_owned(), nonce, wrapped }.encode();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        write_by_rename(vfs, directory, KEYS_FILE, &bytes)?;
        *file = bytes;
        Ok(())
    }

    /// Writes the same `KEYS` into another directory.
    pub fn copy_to(&self, vfs: &dyn Vfs, directory: &Path) -> Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        write_by_rename(vfs, directory, KEYS_FILE, &file)
    }

    /// Some keys, in no file.
    #[cfg(test)]
    pub fn for_tests() -> StoreKeys {
        let key = Zeroizing::new([3; KEY_BYTES]);
        StoreKeys { cipher: FileCipher::new(&key), key, file: Mutex::default() }
    }

    /// The key of a new file, and the block to store in it.
    pub fn new_file(
        &self,
        vfs: &dyn Vfs,
        path: &Path,
        kind: KeyedFile,
        number: u64,
    ) -> Result<(FileCipher, Vec<u8>)> {
        let key: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(random(vfs, path)?);
        let nonce: [u8; NONCE_BYTES] = random(vfs, path)?;
        // Encrypted in place at once, with room for the tag and the sum: no copy of the key is left behind.
        let mut block = Vec::with_capacity(KEY_BLOCK_BYTES);
        block.extend_from_slice(&nonce);
        block.extend_from_slice(&*key);
        let association = file_association(kind, number);
        let sealed = self.cipher.encrypt_with(&nonce, &association, &mut block, NONCE_BYTES);
        sealed.map_err(|malformed| Error::invalid(malformed.0))?;
        block.extend_from_slice(&crc32c::crc32c(&block).to_le_bytes());
        Ok((FileCipher::new(&key), block))
    }

    /// The key in a file's key block.
    pub fn open_file(
        &self,
        kind: KeyedFile,
        number: u64,
        block: &[u8],
    ) -> std::result::Result<FileCipher, Malformed> {
        if !key_block_is_intact(block) {
            return Err(Malformed("the file's key block is damaged"));
        }
        let (nonce, rest) = block.split_first_chunk().ok_or(Malformed("a key block is cut short"))?;
        let mut wrapped = Zeroizing::new(rest.get(..WRAPPED_BYTES).unwrap_or_default().to_vec());
        let foreign = Malformed("the file's key is of another store or another file");
        let association = file_association(kind, number);
        self.cipher.decrypt_with(nonce, &association, &mut wrapped).map_err(|_| foreign)?;
        let key = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(wrapped.as_slice()).map_err(|_| foreign)?);
        Ok(FileCipher::new(&key))
    }
}

/// Whether a key block is whole; a segment whose beginning was cut short has none.
pub(crate) fn key_block_is_intact(block: &[u8]) -> bool {
    let covered = block.get(..KEY_BLOCK_BYTES - 4).unwrap_or_default();
    block.len() == KEY_BLOCK_BYTES && u32_at(block, KEY_BLOCK_BYTES - 4) == Some(crc32c::crc32c(covered))
}

/// A file no longer than `KEYS` can be.
fn read_small_file(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>> {
    let file = match vfs.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::corruption(path, 0, "the file is missing, and the store is encrypted"));
        }
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let mut bytes = vec![0; 128 + MASTER_KEY_ID_BYTES_MAX];
    let length = file.read_at(0, &mut bytes).map_err(|error| Error::io("read", path, error))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// The id of the master key in the file `KEYS`.
pub(crate) fn read_master_key_id(vfs: &dyn Vfs, path: &Path) -> Result<String> {
    KeysFile::decode(&read_small_file(vfs, path)?, path).map(|file| file.id)
}

impl KeysFile {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&[AES_256_GCM, 0, 0, 0]);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.wrapped);
        out.extend_from_slice(&u16::try_from(self.id.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<KeysFile> {
        let damaged = || Error::corruption(path, 0, "it does not hold a store's keys");
        let covered = bytes.len().checked_sub(4).ok_or_else(damaged)?;
        let mut rest = bytes.get(..covered).ok_or_else(damaged)?;
        if !rest.starts_with(&MAGIC) || u32_at(bytes, covered) != Some(crc32c::crc32c(rest)) {
            return Err(damaged());
        }
        rest = rest.get(MAGIC.len()..).ok_or_else(damaged)?;
        let found = take_u32(&mut rest).ok_or_else(damaged)?;
        if found != FORMAT_VERSION {
            let (oldest, newest) = (FORMAT_VERSION, FORMAT_VERSION);
            return Err(Error::FormatVersion { file: path.to_path_buf(), found, oldest, newest });
        }
        KeysFile::fields(&mut rest).filter(|_| rest.is_empty()).ok_or_else(damaged)
    }

    fn fields(rest: &mut &[u8]) -> Option<KeysFile> {
        if take_u8(rest)? != AES_256_GCM {
            return None;
        }
        if take(rest, 3)? != [0; 3] {
            return None;
        }
        let nonce = take(rest, NONCE_BYTES)?.try_into().ok()?;
        let wrapped = take(rest, WRAPPED_BYTES)?.to_vec();
        let length = usize::from(take_u16(rest)?);
        let id = String::from_utf8(take(rest, length)?.to_vec()).ok()?;
        Some(KeysFile { id, nonce, wrapped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    fn encryption(id: &str, byte: u8) -> Encryption {
        Encryption::new(MasterKey::new(id, [byte; 32]).unwrap())
    }

    fn made() -> (MemoryVfs, StoreKeys) {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/s")).unwrap();
        let keys = StoreKeys::create(&vfs, Path::new("/s"), &encryption("one", 1)).unwrap();
        (vfs, keys)
    }

    fn problem(found: Result<StoreKeys>) -> KeyProblem {
        match found {
            Err(Error::Encryption { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_right_master_key_opens() {
        let (vfs, keys) = made();
        let read = |encryption: Option<&Encryption>| StoreKeys::read(&vfs, Path::new("/s"), encryption);
        assert_eq!(*read(Some(&encryption("one", 1))).unwrap().key, *keys.key);
        let id = || "one".to_owned();
        assert_eq!(problem(read(None)), KeyProblem::Missing { id: id() });
        assert_eq!(problem(read(Some(&encryption("two", 1)))), KeyProblem::Unknown { id: id() });
        assert_eq!(problem(read(Some(&encryption("one", 2)))), KeyProblem::Wrong { id: id() });
    }

    #[test]
    fn rotation_changes_the_wrapping_and_not_the_key() {
        let (vfs, keys) = made();
        let (_, block) = keys.new_file(&vfs, Path::new("f"), KeyedFile::Blob, 9).unwrap();
        keys.rewrap(&vfs, Path::new("/s"), &MasterKey::new("two", [2; 32]).unwrap()).unwrap();
        let read = |encryption: &Encryption| StoreKeys::read(&vfs, Path::new("/s"), Some(encryption));
        assert_eq!(problem(read(&encryption("one", 1))), KeyProblem::Unknown { id: "two".into() });
        let both = Encryption { others: vec![encryption("two", 2).key], ..encryption("one", 1) };
        read(&both).unwrap().open_file(KeyedFile::Blob, 9, &block).unwrap();
    }

    #[test]
    fn a_file_key_is_its_files_alone() {
        let (vfs, keys) = made();
        let (cipher, block) = keys.new_file(&vfs, Path::new("f"), KeyedFile::Sstable, 9).unwrap();
        assert_eq!(block.len(), KEY_BLOCK_BYTES);
        let mut bytes = b"text".to_vec();
        cipher.encrypt(0, &[], &mut bytes, 0).unwrap();
        keys.open_file(KeyedFile::Sstable, 9, &block).unwrap().decrypt(0, &[], &mut bytes).unwrap();
        assert_eq!(bytes, b"text");
        assert!(keys.open_file(KeyedFile::Sstable, 8, &block).is_err());
        assert!(keys.open_file(KeyedFile::Blob, 9, &block).is_err());
        let (_, other) = made();
        assert!(other.open_file(KeyedFile::Sstable, 9, &block).is_err());
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.open_file(KeyedFile::Sstable, 9, &damaged).is_err(), "bit {bit}");
        }
        assert!(keys.open_file(KeyedFile::Sstable, 9, &[]).is_err());
    }

    #[test]
    fn no_two_files_have_a_key_or_a_wrapping_in_common() {
        let (vfs, keys) = made();
        let made: Vec<_> =
            (0..4).map(|_| keys.new_file(&vfs, Path::new("f"), KeyedFile::Sstable, 9).unwrap()).collect();
        let sealed = |cipher: &FileCipher| {
            let mut bytes = vec![0; 64];
            cipher.encrypt(4096, &[], &mut bytes, 0).unwrap();
            bytes
        };
        for (at, (cipher, block)) in made.iter().enumerate() {
            for (other_cipher, other_block) in made.iter().skip(at + 1) {
                assert_ne!(sealed(cipher), sealed(other_cipher), "the same keystream twice");
                assert_ne!(block[..NONCE_BYTES], other_block[..NONCE_BYTES], "a nonce used twice");
            }
        }
    }

    #[test]
    fn a_damaged_file_of_keys_is_corruption() {
        let (vfs, keys) = made();
        let path = Path::new("/s/KEYS");
        let intact = keys.file.lock().unwrap().clone();
        for bit in 0..intact.len() * 8 {
            let mut damaged = intact.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            vfs.overwrite(path, damaged).unwrap();
            let found = StoreKeys::read(&vfs, Path::new("/s"), Some(&encryption("one", 1)));
            assert!(matches!(found, Err(Error::Corruption { .. })), "bit {bit}: {found:?}");
        }
        // An intact file that says what this format has no meaning for.
        for reserved in 13..16 {
            let mut more = intact.clone();
            more[reserved] = 1;
            let covered = more.len() - 4;
            let sum = crc32c::crc32c(&more[..covered]).to_le_bytes();
            more[covered..].copy_from_slice(&sum);
            vfs.overwrite(path, more).unwrap();
            let found = StoreKeys::read(&vfs, Path::new("/s"), Some(&encryption("one", 1)));
            assert!(matches!(found, Err(Error::Corruption { .. })), "byte {reserved}: {found:?}");
        }
        for length in 0..intact.len() {
            vfs.overwrite(path, intact[..length].to_vec()).unwrap();
            assert!(StoreKeys::read(&vfs, Path::new("/s"), Some(&encryption("one", 1))).is_err());
        }
    }
}
