//! Which parts of a file have been asked for as a whole.
//!
//! A read of 64 KiB takes a disk less than twice as long as one of 4 KiB. So as long as there is room and the files are not
//! much larger than memory ([`crate::cache::BlockCache::has_room`]), the first block that
//! is wanted of a region brings the whole region into the system's page cache, and its neighbours cost no disk access. Each
//! region is asked for once: one that the system has dropped since is in memory too small for it, and then single blocks
//! are read.
//!
//! Of a mapped file the regions are its pages, and asking for one is what makes touching it safe.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked for at once.
pub const REGION_BYTES: u64 = 64 << 10;
/// A page of a mapped file, on most machines; larger ones are asked for several times.
pub const PAGE_BYTES: u64 = 4 << 10;

/// One bit per region of a file, set when it has been asked for.
#[derive(Debug)]
pub struct Regions {
    asked: Box<[AtomicU64]>,
    region_bytes: u64,
}

impl Regions {
    /// None asked for, of a file of `file_bytes`.
    pub fn new(file_bytes: u64, region_bytes: u64) -> Regions {
        let words = file_bytes.div_ceil(region_bytes).div_ceil(u64::from(u64::BITS));
        Regions { asked: (0..words).map(|_| AtomicU64::new(0)).collect(), region_bytes }
    }

    /// Whether all regions that `bytes` lies in have been asked for, so that nobody has to wait who comes after.
    #[inline]
    pub fn are_asked(&self, bytes: &Range<u64>) -> bool {
        let mut regions = bytes.start / self.region_bytes..bytes.end.div_ceil(self.region_bytes);
        regions.all(|region| {
            let word = usize::try_from(region / u64::from(u64::BITS)).ok().and_then(|at| self.asked.get(at));
            word.is_some_and(|word| word.load(Ordering::Acquire) >> (region % u64::from(u64::BITS)) & 1 == 1)
        })
    }

    /// The bytes of the regions that `bytes` lies in, if one of them has not been asked for before; it has been, then.
    pub fn ask(&self, bytes: Range<u64>) -> Option<Range<u64>> {
        let regions = bytes.start / self.region_bytes..bytes.end.div_ceil(self.region_bytes);
        let mut is_new = false;
        for region in regions.clone() {
            let at = usize::try_from(region / u64::from(u64::BITS)).ok()?;
            let bit = 1 << (region % u64::from(u64::BITS));
            let word = self.asked.get(at)?;
            is_new |=
                word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Release) & bit == 0;
        }
        is_new.then(|| regions.start * self.region_bytes..regions.end * self.region_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_asked_for_once() {
        let regions = Regions::new(100 * REGION_BYTES + 1, REGION_BYTES);
        assert!(!regions.are_asked(&(10..20)));
        assert_eq!(regions.ask(10..20), Some(0..REGION_BYTES));
        assert_eq!(regions.ask(30..REGION_BYTES), None);
        assert!(regions.are_asked(&(0..REGION_BYTES)) && !regions.are_asked(&(9..REGION_BYTES + 1)));
        let across = 64 * REGION_BYTES - 1..64 * REGION_BYTES + 1;
        assert_eq!(regions.ask(across.clone()), Some(63 * REGION_BYTES..65 * REGION_BYTES));
        assert_eq!(regions.ask(across), None);
        let last = 100 * REGION_BYTES..100 * REGION_BYTES + 1;
        assert_eq!(regions.ask(last), Some(100 * REGION_BYTES..101 * REGION_BYTES));
        assert_eq!(regions.ask(500 * REGION_BYTES..500 * REGION_BYTES + 1), None, "not of this file");
    }
}
