//! How long something took, counted by powers of two.

/// Buckets: the last holds everything from half an hour on.
const BUCKETS: usize = 32;

/// Durations, counted in buckets that double: the first holds those below a microsecond, the next those below two, then four,
/// and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    counts: [u64; BUCKETS],
    max_micros: u64,
    sum_micros: u64,
}

impl DurationHistogram {
    /// Counts one of so many microseconds.
    pub(crate) fn note(&mut self, micros: u64) {
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
        self.max_micros = self.max_micros.max(micros);
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest, in microseconds.
    pub fn max_micros(&self) -> u64 {
        self.max_micros
    }

    /// All together, in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros
    }

    /// How many were counted in each bucket: below 1, 2, 4, 8, .. microseconds.
    pub fn buckets(&self) -> &[u64] {
        &self.counts
    }

    /// So many microseconds, rounded up to the end of a bucket, were enough for `permille` of a thousand; 0 if none was counted.
    pub fn quantile_micros(&self, permille: u64) -> u64 {
        let wanted = self.count().saturating_mul(permille.min(1_000)).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (1_u64 << bucket).min(self.max_micros);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_ends_of_buckets() {
        let mut histogram = DurationHistogram::default();
        assert_eq!((histogram.count(), histogram.quantile_micros(500)), (0, 0));
        for micros in [0, 1, 3, 3, 3, 3, 3, 3, 100, 5_000] {
            histogram.note(micros);
        }
        assert_eq!(histogram.count(), 10);
        assert_eq!(
            [100, 200, 500, 800, 900].map(|permille| histogram.quantile_micros(permille)),
            [1, 2, 4, 4, 128]
        );
        assert_eq!((histogram.quantile_micros(1_000), histogram.max_micros()), (5_000, 5_000));
        assert_eq!(histogram.sum_micros(), 5_119);
        histogram.note(u64::MAX);
        assert_eq!(histogram.buckets().last(), Some(&1));
        assert_eq!(histogram.sum_micros(), u64::MAX);
    }
}
