//! Which parts of a file have been asked for as a whole.
//!
//! A read of 64 KiB takes a disk less than twice as long as one of 4 KiB. So as long as there is room and the files are not
//! much larger than memory ([`crate::cache::BlockCache::has_room`]), the first block that
//! is wanted of a region brings the whole region into the system's page cache, and its neighbours cost no disk access. Each
//! region is asked for once: one that the system has dropped since is in memory too small for it, and then single blocks
//! are read.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked for at once.
const REGION_BYTES: u64 = 64 << 10;

/// One bit per region of a file, set when it has been asked for.
#[derive(Debug)]
pub struct Regions {
    asked: Box<[AtomicU64]>,
}

impl Regions {
    /// None asked for, of a file of `file_bytes`.
    pub fn new(file_bytes: u64) -> Regions {
        let words = file_bytes.div_ceil(REGION_BYTES).div_ceil(u64::from(u64::BITS));
        Regions { asked: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The bytes of the regions that `bytes` lies in, if one of them has not been asked for before; it has been, then.
    pub fn ask(&self, bytes: Range<u64>) -> Option<Range<u64>> {
        let regions = bytes.start / REGION_BYTES..bytes.end.div_ceil(REGION_BYTES);
        let mut is_new = false;
        for region in regions.clone() {
            let at = usize::try_from(region / u64::from(u64::BITS)).ok()?;
            let bit = 1 << (region % u64::from(u64::BITS));
            let word = self.asked.get(at)?;
            is_new |=
                word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0;
        }
        is_new.then(|| regions.start * REGION_BYTES..regions.end * REGION_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_asked_for_once() {
        let regions = Regions::new(100 * REGION_BYTES + 1);
        assert_eq!(regions.ask(10..20), Some(0..REGION_BYTES));
        assert_eq!(regions.ask(30..REGION_BYTES), None);
        let across = 64 * REGION_BYTES - 1..64 * REGION_BYTES + 1;
        assert_eq!(regions.ask(across.clone()), Some(63 * REGION_BYTES..65 * REGION_BYTES));
        assert_eq!(regions.ask(across), None);
        let last = 100 * REGION_BYTES..100 * REGION_BYTES + 1;
        assert_eq!(regions.ask(last), Some(100 * REGION_BYTES..101 * REGION_BYTES));
        assert_eq!(regions.ask(500 * REGION_BYTES..500 * REGION_BYTES + 1), None, "not of this file");
    }
}
