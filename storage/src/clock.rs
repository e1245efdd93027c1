//! Time as an argument: the engine never reads the machine's clock by itself.

#![expect(clippy::disallowed_methods, reason = "this is where the machine's clock comes in")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of wall time (for commit timestamps) and of monotonic time (for measurements).
pub trait Clock: Send + Sync + fmt::Debug {
    /// Seconds since 1970.
    fn wall_seconds(&self) -> u32;
    /// Milliseconds since 1970, for dates that documents get.
    fn wall_millis(&self) -> u64;
    /// Microseconds since an arbitrary start; never goes back.
    fn monotonic_micros(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    /// Where monotonic time counts from.
    start: std::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_seconds(&self) -> u32 {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u32::try_from(since_epoch.map_or(0, |duration| duration.as_secs())).unwrap_or(u32::MAX)
    }

    fn wall_millis(&self) -> u64 {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since_epoch.map_or(0, |duration| duration.as_millis())).unwrap_or(u64::MAX)
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that only moves when told to, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    /// Microseconds since 1970.
    micros: AtomicU64,
}

impl ManualClock {
    /// A clock standing at `wall_seconds`.
    pub fn new(wall_seconds: u32) -> ManualClock {
        ManualClock { micros: AtomicU64::new(u64::from(wall_seconds) * 1_000_000) }
    }

    /// Moves the clock forward.
    pub fn advance_micros(&self, micros: u64) {
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall_seconds(&self) -> u32 {
        u32::try_from(self.micros.load(Ordering::Relaxed) / 1_000_000).unwrap_or(u32::MAX)
    }

    fn wall_millis(&self) -> u64 {
        self.micros.load(Ordering::Relaxed) / 1_000
    }

    fn monotonic_micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }
}
