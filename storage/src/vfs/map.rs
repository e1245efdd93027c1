//! Memory maps of immutable files: the only place where a file is mapped.
//!
//! A map is sound only while nobody changes the file. The engine maps nothing but sstables and blob files that are
//! complete, synced and named by the manifest; it never truncates or overwrites a file, and removes a name only after
//! the last reader is gone.
//!
//! A page that cannot be read kills the process that touches it (SIGBUS). So what is touched for the first time is asked for
//! before, which fails with an error instead. What this does not help against: a page that was read, that the system has dropped
//! since, and that the medium has lost meanwhile. That is why positional reads are the default.
//!
//! Not mapped at all: files on file systems over a network or in another process, where a page may be lost at any time.

#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; see above for why it is sound here")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::{MappedBytes, MappedFile};

/// A mapped file.
struct Map(memmap2::Mmap);

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl MappedFile for Map {
    #[cfg(target_os = "linux")]
    fn populate(&self, bytes: Range<usize>) -> io::Result<()> {
        /// What a kernel before 5.14 says, which does not know the advice.
        const INVALID: i32 = 22;
        let length = bytes.end.saturating_sub(bytes.start);
        match self.0.advise_range(memmap2::Advice::PopulateRead, bytes.start, length) {
            Err(error) if error.raw_os_error() == Some(INVALID) => Ok(()),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("the mapped file cannot be read at {}: {error}", bytes.start),
            )),
            Ok(()) => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn populate(&self, _bytes: Range<usize>) -> io::Result<()> {
        Ok(())
    }
}

/// Maps a whole file, or nothing where maps are not used: on 32-bit machines address space is too scarce, on Windows a
/// mapped file cannot be removed, an empty file has nothing to map.
pub(super) fn map_file(file: &File) -> io::Result<Option<MappedBytes>> {
    if cfg!(windows) || usize::BITS < 64 || file.metadata()?.len() == 0 || is_far(file)? {
        return Ok(None);
    }
    // SAFETY: only complete files are mapped, which are never written, truncated or overwritten again.
    let map = unsafe { memmap2::Mmap::map(file) }?;
    #[cfg(unix)]
    map.advise(memmap2::Advice::Random)?;
    Ok(Some(Arc::new(Map(map))))
}

/// Whether a file is on a file system whose pages may be lost at any time. Known on Linux only.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn is_far(file: &File) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(FAR_FILE_SYSTEMS.iter().any(|far| i128::from(*far) == i128::from(kind)))
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn is_far(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// The numbers by which Linux knows them: NFS, SMB (three), FUSE, 9P, Ceph, AFS, Coda.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const FAR_FILE_SYSTEMS: [u32; 9] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
];

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// Of the kernel's table of processes, which no test machine is without: not far, and never mapped by us.
    const PROC: u32 = 0x9fa0;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a real file is what is looked at")]
    fn file_systems_are_told_by_their_number() {
        let file = File::open("/proc/self/status").unwrap();
        assert_eq!(i128::from(rustix::fs::fstatfs(&file).unwrap().f_type), i128::from(PROC));
        assert!(!is_far(&file).unwrap());
        assert!(!FAR_FILE_SYSTEMS.contains(&PROC));
        let mut known = FAR_FILE_SYSTEMS.to_vec();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), FAR_FILE_SYSTEMS.len());
    }
}
