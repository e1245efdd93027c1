//! Small durable appends that pass the system's cache by.
//!
//! A sync writes whole pages of the cache, so an append of a few hundred bytes costs the disk 4 KiB or 8. Written directly, in
//! the disk's own sectors, it costs the sectors it touches, and the disk is asked once: to write this and have it for good.
//!
//! That holds only where there is nothing else to be made durable: the file has room there already, whose blocks and length
//! are on disk, and no append before waits in the cache. [`super::disk`] sees to that, and to nobody writing meanwhile.
//!
//! A sector that is filled in part is written again with the next bytes, as the cache would write its page again. A disk that
//! tears what it writes when the power goes may so take bytes along that were durable; that the smallest unit of writing is not
//! torn is what both ways trust in. Where sectors are smaller than what the medium writes (512 of 4096), both rewrite the same.
//!
//! Not done: more than one write at a time; files that are not written from front to end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::{AtFlags, OFlags, StatxFlags};

/// More than this goes through the cache: what whole pages cost in addition does not count then, and the copy here stays small.
const DIRECT_BYTES_MAX: usize = 64 << 10;
/// A unit larger than this is not believed.
const UNIT_BYTES_MAX: u32 = 64 << 10;

/// The direct way into a file, as far as it is known.
#[derive(Debug, Default)]
pub(super) enum DirectAppends {
    /// Nobody has asked for it yet.
    #[default]
    Untried,
    /// There is none: an old kernel, a file system without it.
    Refused,
    /// There is one.
    Open(DirectWriter),
}

/// A second handle on a file, whose writes pass the cache by and return when they are durable.
#[derive(Debug)]
pub(super) struct DirectWriter {
    /// The handle.
    file: File,
    /// Offsets and lengths must be multiples of this, in bytes; a power of two.
    unit: usize,
    /// What addresses in memory must be multiples of, in bytes; a power of two.
    alignment: usize,
    /// What is written, from the first aligned address on.
    buffer: Vec<u8>,
    /// The offset in the file up to which the unit at the buffer's front holds what the file has; `None` if it holds nothing.
    kept_to: Option<u64>,
}

impl DirectAppends {
    /// Writes `bytes` at `offset` of `file`, where its bytes end and zeros follow up to `room_end`. True: they are durable.
    /// False: not this way, and nothing is lost if they are written another.
    pub(super) fn append(
        &mut self,
        file: &File,
        offset: u64,
        room_end: u64,
        bytes: &[u8],
    ) -> io::Result<bool> {
        if bytes.is_empty() || bytes.len() > DIRECT_BYTES_MAX {
            return Ok(false);
        }
        if matches!(self, DirectAppends::Untried) {
            *self = DirectWriter::open(file).map_or(DirectAppends::Refused, DirectAppends::Open);
        }
        let DirectAppends::Open(writer) = self else { return Ok(false) };
        let end = offset.saturating_add(bytes.len() as u64);
        if end.next_multiple_of(writer.unit as u64) > room_end {
            return Ok(false);
        }
        match writer.append(file, offset, bytes) {
            // Refused for what it is, not for what became of it.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                *self = DirectAppends::Refused;
                Ok(false)
            }
            outcome => outcome.map(|()| true),
        }
    }
}

impl DirectWriter {
    /// Opens the direct way into a file, if there is one.
    fn open(file: &File) -> Option<DirectWriter> {
        let figures = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
        let told = figures.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
        let unit = |bytes: u32| {
            let sound = told && bytes.is_power_of_two() && bytes <= UNIT_BYTES_MAX;
            usize::try_from(bytes).ok().filter(|_| sound)
        };
        let (unit, alignment) = (unit(figures.stx_dio_offset_align)?, unit(figures.stx_dio_mem_align)?);
        let flags = i32::try_from((OFlags::DIRECT | OFlags::DSYNC).bits()).ok()?;
        // By the handle: the file may have another name by now, or none.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(DirectWriter { file, unit, alignment, buffer: Vec::new(), kept_to: None })
    }

    /// Writes bytes durably at an offset, and with them all of the units they touch: before them what the file has there,
    /// behind them zeros.
    fn append(&mut self, cached: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let begin = offset - offset % self.unit as u64;
        let before = usize::try_from(offset - begin).map_err(io::Error::other)?;
        let end = before + bytes.len();
        let length = end.next_multiple_of(self.unit);
        let kept = self.kept_to.take() == Some(offset) && self.has_room_for(length);
        let units = self.aligned(length).ok_or(io::ErrorKind::OutOfMemory)?;
        let (head, rest) = units.split_at_mut_checked(before).ok_or(io::ErrorKind::OutOfMemory)?;
        let (body, zeros) = rest.split_at_mut_checked(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if !kept {
            cached.read_exact_at(head, begin)?;
        }
        body.copy_from_slice(bytes);
        zeros.fill(0);
        let last = end - end % self.unit;
        let skipped = self.skipped();
        self.file.write_all_at(self.buffer.get(skipped..skipped + length).unwrap_or_default(), begin)?;
        self.buffer.copy_within(skipped + last..skipped + end, skipped);
        self.kept_to = Some(offset + bytes.len() as u64);
        Ok(())
    }

    /// How many bytes of the buffer lie before the first aligned address.
    fn skipped(&self) -> usize {
        self.buffer.as_ptr().align_offset(self.alignment)
    }

    /// Whether so many bytes fit into the buffer as it is.
    fn has_room_for(&self, length: usize) -> bool {
        self.buffer.len() >= length + self.alignment
    }

    /// The first bytes of the buffer at an aligned address; it grows if it must, and may move.
    fn aligned(&mut self, length: usize) -> Option<&mut [u8]> {
        if !self.has_room_for(length) {
            self.buffer.resize((length + self.alignment).next_power_of_two(), 0);
        }
        let skipped = self.skipped();
        self.buffer.get_mut(skipped..skipped.checked_add(length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(bytes: usize) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![0; bytes], 0).unwrap();
        file.sync_data().unwrap();
        file
    }

    #[test]
    fn what_the_file_system_refuses_goes_the_other_way_from_then_on() {
        let file = room(8192);
        let (unit, alignment) = (1, 1);
        let Ok(direct) = OpenOptions::new()
            .write(true)
            .custom_flags(i32::try_from(OFlags::DIRECT.bits()).unwrap())
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        else {
            return;
        };
        let writer = DirectWriter { file: direct, unit, alignment, buffer: Vec::new(), kept_to: None };
        // A file system may take what is not aligned, all the same.
        let misaligned = writer.file.write_all_at(&[0; 3], 1).is_err();
        let mut direct = DirectAppends::Open(writer);
        assert_eq!(direct.append(&file, 1, 8192, b"abc").unwrap(), !misaligned);
        assert_eq!(matches!(direct, DirectAppends::Refused), misaligned);
    }

    #[test]
    fn what_does_not_fit_is_left_to_others() {
        let file = room(128 << 10);
        let mut direct = DirectAppends::default();
        assert!(!direct.append(&file, 0, 128 << 10, &[]).unwrap());
        assert!(!direct.append(&file, 0, 128 << 10, &vec![1; DIRECT_BYTES_MAX + 1]).unwrap());
        assert!(matches!(direct, DirectAppends::Untried));
        // Of the last unit, a byte is not there.
        let at = (128 << 10) - 100;
        assert!(!direct.append(&file, at, (128 << 10) - 1, &[1; 99]).unwrap());
        let mut end = [7; 100];
        file.read_exact_at(&mut end, at).unwrap();
        assert_eq!(end, [0; 100]);
    }

    #[test]
    fn where_no_alignment_is_told_there_is_no_direct_way() {
        // A file system in memory, on which there is nothing to align to.
        let Ok(file) = tempfile::tempfile_in("/dev/shm") else { return };
        file.write_all_at(&[0; 4096], 0).unwrap();
        let mut direct = DirectAppends::default();
        let told = DirectWriter::open(&file).is_some();
        assert_eq!(direct.append(&file, 0, 4096, b"abc").unwrap(), told);
        assert_eq!(matches!(direct, DirectAppends::Refused), !told);
    }
}
