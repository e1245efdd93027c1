//! Runs an operation on some threads for some time and says how fast it went.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a run came to.
pub struct Figures {
    /// Operations done.
    pub operations: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Every operation's nanoseconds, sorted.
    latencies: Vec<u32>,
}

impl Figures {
    /// Operations a second.
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Microseconds within which this share (0 to 1) of the operations was done.
    pub fn percentile_micros(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the count is an index within it"
        )]
        let at = (last as f64 * share) as usize;
        f64::from(self.latencies.get(at).copied().unwrap_or_default()) / 1_000.0
    }
}

/// Splitmix64: repeatable numbers, well mixed.
pub fn mix(number: u64) -> u64 {
    let mut value = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Calls `operation(thread, number)` with growing numbers on `threads` threads until `count` are done or `seconds` are
/// over. The first error ends the run.
pub fn measure(
    threads: usize,
    count: u64,
    seconds: f64,
    operation: impl Fn(usize, u64) -> Result<(), String> + Sync,
) -> Result<Figures, String> {
    let next = AtomicU64::new(0);
    let barrier = Barrier::new(threads);
    let limit = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let results: Vec<Result<Vec<u32>, String>> = std::thread::scope(|scope| {
        let run = |thread: usize| {
            let (next, barrier, operation) = (&next, &barrier, &operation);
            move || {
                barrier.wait();
                let mut latencies = Vec::new();
                let mut before = Instant::now();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || start.elapsed() >= limit {
                        return Ok(latencies);
                    }
                    operation(thread, number)?;
                    let now = Instant::now();
                    latencies.push(u32::try_from((now - before).as_nanos()).unwrap_or(u32::MAX));
                    before = now;
                }
            }
        };
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    let elapsed = start.elapsed();
    let mut latencies = Vec::new();
    for result in results {
        latencies.extend(result?);
    }
    latencies.sort_unstable();
    Ok(Figures { operations: latencies.len() as u64, elapsed, latencies })
}
