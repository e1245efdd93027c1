//! Which paths of an index key led through arrays.

use std::sync::atomic::{AtomicU64, Ordering};

/// Longest path, in names, that is told apart name by name; behind it the last bit stands for all.
const COMPONENTS_MAX: usize = 64;

/// For each field of the key, bit *n*: some document has an array at the first *n* + 1 names of the path.
#[derive(Debug)]
pub(crate) struct Multikey {
    /// What documents showed.
    paths: Vec<AtomicU64>,
    /// What of it is in the store.
    stored: Vec<AtomicU64>,
}

impl Multikey {
    /// No arrays yet.
    pub(crate) fn new(fields: usize) -> Self {
        let none = || (0..fields).map(|_| AtomicU64::new(0)).collect();
        Self { paths: none(), stored: none() }
    }

    /// What the store says at opening.
    pub(crate) fn load(&self, paths: &[u64]) {
        self.add(paths);
        self.mark_stored(paths);
    }

    /// Whether the store knows all of these.
    pub(crate) fn is_stored(&self, paths: &[u64]) -> bool {
        self.stored.iter().zip(paths).all(|(stored, seen)| stored.load(Ordering::Acquire) & seen == *seen)
    }

    /// The store knows these now.
    pub(crate) fn mark_stored(&self, paths: &[u64]) {
        for (stored, seen) in self.stored.iter().zip(paths) {
            stored.fetch_or(*seen, Ordering::AcqRel);
        }
    }

    /// Adds what a document showed.
    pub(crate) fn add(&self, paths: &[u64]) {
        for (known, seen) in self.paths.iter().zip(paths) {
            if known.load(Ordering::Acquire) & seen != *seen {
                known.fetch_or(*seen, Ordering::AcqRel);
            }
        }
    }

    /// The bits of every field.
    pub(crate) fn paths(&self) -> Vec<u64> {
        self.paths.iter().map(|path| path.load(Ordering::Acquire)).collect()
    }

    /// Whether any path led through an array.
    pub(crate) fn any(&self) -> bool {
        self.paths.iter().any(|path| path.load(Ordering::Acquire) != 0)
    }

    /// Whether the path of this field led through an array.
    pub(crate) fn field(&self, position: usize) -> bool {
        self.paths.get(position).is_some_and(|path| path.load(Ordering::Acquire) != 0)
    }
}

/// The bit for an array behind this many names.
pub(super) fn bit(names: usize) -> u64 {
    1 << names.saturating_sub(1).min(COMPONENTS_MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_only_gained() {
        let multikey = Multikey::new(2);
        multikey.load(&[bit(1), 0]);
        multikey.add(&[bit(3), bit(100)]);
        assert!(multikey.is_stored(&[bit(1), 0]) && !multikey.is_stored(&[bit(3), 0]));
        assert_eq!(multikey.paths(), [0b101, 1 << 63]);
        assert!(multikey.any() && multikey.field(0) && multikey.field(1) && !multikey.field(2));
    }
}
