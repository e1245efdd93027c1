//! How large each level should be.
//!
//! The bottom level in use holds nearly all data, whatever its size; each level above should be `level_growth` times
//! smaller. Going up from the bottom, the first level whose target fits into `level_base_bytes` is the base: L0 is
//! compacted into it, and the levels between L0 and the base stay empty. As the data grows the base moves up.
//!
//! Targets from the bottom up are RocksDB's dynamic level sizes.
//!
//! The base itself may always hold `level_base_bytes`, or half of what the level below should hold if that is less: a base
//! that is over its target as soon as L0 has been merged into it would pass everything on at once, and each byte would be
//! written once more on its way down.
//!
//! ```text
//!   bottom 300 GB, growth 10, base size 256 MB:
//!   L6 300 GB   L5 30 GB   L4 3 GB   L3 300 MB   L2 256 MB = base    L1 unused
//! ```

use crate::limits::LEVELS;
use crate::manifest::Version;
use crate::options::StoreOptions;

/// The shape the levels should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelTargets {
    /// Where L0 goes.
    pub base: usize,
    /// By level; 0 for L0 and for levels above the base.
    pub bytes: [u64; LEVELS],
}

impl LevelTargets {
    /// For the levels of `version`.
    pub fn new(version: &Version, options: &StoreOptions) -> LevelTargets {
        let sizes: [u64; LEVELS] = std::array::from_fn(|level| version.level_bytes(level));
        Self::for_sizes(&sizes, options.level_base_bytes, options.level_growth)
    }

    fn for_sizes(sizes: &[u64; LEVELS], base_bytes: u64, growth: u64) -> LevelTargets {
        let bottom = LEVELS - 1;
        let in_use = |level: &usize| sizes.get(*level).is_some_and(|&size| size > 0);
        let first = (1..LEVELS).find(in_use).unwrap_or(bottom);
        let mut size = sizes.iter().skip(1).copied().max().unwrap_or_default();
        for _ in first..bottom {
            size /= growth;
        }
        let mut base = first;
        while base > 1 && size > base_bytes {
            base -= 1;
            size /= growth;
        }
        let mut bytes = [0; LEVELS];
        for slot in bytes.iter_mut().skip(base) {
            *slot = size;
            size = size.saturating_mul(growth);
        }
        let below = bytes.get(base + 1).copied().unwrap_or_default();
        if let Some(target) = bytes.get_mut(base) {
            *target = base_bytes.min((*target).max(below / 2)).max(1);
        }
        LevelTargets { base, bytes }
    }

    /// The target of a level.
    pub fn target(&self, level: usize) -> u64 {
        self.bytes.get(level).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn targets(sizes: [u64; LEVELS]) -> LevelTargets {
        LevelTargets::for_sizes(&sizes, 100 * MB, 10)
    }

    #[test]
    fn an_empty_tree_compacts_into_the_bottom() {
        assert_eq!(targets([0; LEVELS]).base, 6);
        assert_eq!(targets([500 * MB, 0, 0, 0, 0, 0, 50 * MB]).base, 6);
    }

    #[test]
    fn the_base_moves_up_as_the_bottom_grows() {
        assert_eq!(targets([0, 0, 0, 0, 0, 0, 101 * MB]).base, 5);
        assert_eq!(targets([0, 0, 0, 0, 0, 50 * MB, 2_000 * MB]).base, 4);
        let large = targets([0, 0, 0, 0, 300 * MB, 3_000 * MB, 30_000 * MB]);
        assert_eq!((large.base, large.target(5), large.target(6)), (3, 3_000 * MB, 30_000 * MB));
    }

    #[test]
    fn the_base_has_room_for_what_comes_out_of_l0() {
        assert_eq!(targets([0, 0, 0, 0, 0, 0, 150 * MB]).target(5), 75 * MB, "half of the bottom");
        assert_eq!(targets([0, 0, 0, 0, 0, 0, 800 * MB]).target(5), 100 * MB);
        let larger = targets([0, 0, 0, 0, 0, 0, 2_000 * MB]);
        assert_eq!((larger.base, larger.target(4), larger.target(5)), (4, 100 * MB, 200 * MB));
    }

    #[test]
    fn a_level_in_use_is_never_above_the_base() {
        let shrunk = targets([0, 0, 5 * MB, 0, 0, 0, 20 * MB]);
        assert_eq!(shrunk.base, 2);
        assert!(shrunk.target(2) > 0);
    }
}
