//! Files that are read back by the process that wrote them and by nobody else: what a sort spills. In an encrypted store
//! they are encrypted too, with a key that is only ever in memory.
//!
//! The bytes go out in frames of [`FRAME_BYTES`], each with its tag; the last, short frame stays in memory.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::{FileCipher, KEY_BYTES, TAG_BYTES};
use crate::vfs::{Vfs, VfsFile};

/// Bytes of a frame before encryption.
const FRAME_BYTES: usize = 64 << 10;
const STORED_BYTES: usize = FRAME_BYTES + TAG_BYTES;

/// A file over another, encrypted.
#[derive(Debug)]
pub struct Scratch {
    file: Arc<dyn VfsFile>,
    cipher: FileCipher,
    tail: Mutex<Tail>,
}

/// What has not filled a frame.
#[derive(Debug, Default)]
struct Tail {
    /// Frames written.
    frames: u64,
    /// The bytes behind them.
    bytes: Vec<u8>,
}

impl Scratch {
    /// Over `file`, which is empty, with a key drawn from `vfs`.
    pub fn over(vfs: &dyn Vfs, file: Arc<dyn VfsFile>) -> io::Result<Scratch> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        vfs.fill_random(&mut *key)?;
        Ok(Scratch { file, cipher: FileCipher::new(&key), tail: Mutex::default() })
    }

    /// Decrypts a frame that was written.
    fn frame(&self, number: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; STORED_BYTES];
        self.file.read_exact_at(number * STORED_BYTES as u64, &mut bytes)?;
        let opened = self.cipher.decrypt(number, &[], &mut bytes);
        opened.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed.0))?;
        Ok(bytes)
    }
}

impl VfsFile for Scratch {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let number = offset / FRAME_BYTES as u64;
        let skip = usize::try_from(offset % FRAME_BYTES as u64).unwrap_or_default();
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = match number.cmp(&tail.frames) {
            std::cmp::Ordering::Less => {
                drop(tail);
                self.frame(number)?
            }
            std::cmp::Ordering::Equal => tail.bytes.clone(),
            std::cmp::Ordering::Greater => return Ok(0),
        };
        let available = frame.get(skip..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes.extend_from_slice(bytes);
        while tail.bytes.len() >= FRAME_BYTES {
            let rest = tail.bytes.split_off(FRAME_BYTES);
            let mut frame = std::mem::replace(&mut tail.bytes, rest);
            let sealed = self.cipher.encrypt(tail.frames, &[], &mut frame, 0);
            sealed.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidInput, malformed.0))?;
            // Counted before it is written: should the write fail, the number is not used with other bytes.
            tail.frames += 1;
            self.file.append(&frame)?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a scratch file is not kept"))
    }

    fn len(&self) -> io::Result<u64> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tail.frames * FRAME_BYTES as u64 + tail.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::vfs::MemoryVfs;

    /// A file whose first append fails; what it was given.
    #[derive(Debug, Default)]
    struct FailsOnce(Mutex<Vec<Vec<u8>>>);

    impl VfsFile for FailsOnce {
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn append(&self, bytes: &[u8]) -> io::Result<()> {
            let mut given = self.0.lock().unwrap();
            given.push(bytes.to_vec());
            if given.len() == 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn two_frames_are_never_encrypted_alike_even_if_the_first_could_not_be_written() {
        let file = Arc::new(FailsOnce::default());
        let scratch = Scratch::over(&MemoryVfs::new(), Arc::clone(&file) as Arc<dyn VfsFile>).unwrap();
        assert!(scratch.append(&vec![1; FRAME_BYTES]).is_err());
        scratch.append(&vec![2; FRAME_BYTES]).unwrap();
        let given = file.0.lock().unwrap();
        let alike =
            given[0].iter().zip(&given[1]).take(FRAME_BYTES).filter(|(a, b)| *a ^ *b == 1 ^ 2).count();
        assert!(alike < FRAME_BYTES / 64, "{alike} bytes differ as the text does");
    }

    #[test]
    fn what_was_written_is_read_back_at_any_offset_and_is_not_in_the_file() {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/")).unwrap();
        let path = Path::new("/run");
        let scratch = Scratch::over(&vfs, vfs.create(path).unwrap()).unwrap();
        let text: Vec<u8> = b"a sheaf of documents ".iter().copied().cycle().take(300_000).collect();
        for part in text.chunks(70_001) {
            scratch.append(part).unwrap();
        }
        assert_eq!(scratch.len().unwrap(), 300_000);
        for (offset, length) in [(0, 300_000), (65_535, 2), (65_536, 70_000), (299_990, 10), (1, 1)] {
            let mut buffer = vec![0; length];
            scratch.read_exact_at(offset as u64, &mut buffer).unwrap();
            assert_eq!(buffer, text[offset..offset + length]);
        }
        assert!(scratch.read_exact_at(299_991, &mut [0; 10]).is_err());
        let stored = vfs.contents(path).unwrap();
        assert!(stored.len() > 200_000 && !stored.windows(5).any(|window| window == b"sheaf"));
    }
}
