//! The order of a write for visibility, laid out as BSON's timestamp.

use std::fmt;

/// A commit timestamp: seconds since 1970 in the upper 32 bits, an increment within the second in the lower 32.
///
/// Compares as one number. [`Timestamp::ZERO`] is before every commit; no commit carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Before every commit.
    pub const ZERO: Timestamp = Timestamp(0);
    /// After every commit.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// Builds a timestamp from its two halves.
    pub fn from_parts(seconds: u32, increment: u32) -> Timestamp {
        Timestamp((u64::from(seconds) << 32) | u64::from(increment))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }

    /// The increment within the second.
    pub fn increment(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX)
    }

    /// The next larger timestamp; stays at the maximum.
    pub fn next(self) -> Timestamp {
        Timestamp(self.0.saturating_add(1))
    }

    /// The timestamp a commit gets: at least the wall clock's second, always above `self`.
    pub fn advance(self, wall_seconds: u32) -> Timestamp {
        self.next().max(Timestamp::from_parts(wall_seconds, 1))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seconds(), self.increment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advance_follows_the_clock_and_never_goes_back() {
        let first = Timestamp::ZERO.advance(7);
        assert_eq!(first, Timestamp::from_parts(7, 1));
        assert_eq!(first.advance(7), Timestamp::from_parts(7, 2));
        assert_eq!(first.advance(3), Timestamp::from_parts(7, 2));
        assert_eq!(first.advance(9).to_string(), "9.1");
        assert_eq!(Timestamp::from_parts(7, u32::MAX).next(), Timestamp::from_parts(8, 0));
    }
}
