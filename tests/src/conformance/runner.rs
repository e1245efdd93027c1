//! Runs cases on a thread per core, under a watchdog.
//!
//! A case that panics is caught and noted; one that takes longer than [`HANG`] is given up: its thread cannot be
//! stopped, so it is left behind and another one takes its place. Both fail the whole run.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::case::Case;
use super::target::Target;
use super::verdict;

/// How long a case may take.
pub const HANG: Duration = Duration::from_secs(5);

/// Stack of a worker in bytes: as much as a server's thread for blocking work has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every assert holds.
    Passed,
    /// What is wrong with the first assert that does not hold.
    Failed(String),
    /// What the panic said.
    Panicked(String),
    /// Not done after [`HANG`].
    Hung,
}

/// What the workers share.
struct Shared {
    cases: Vec<Case>,
    target: Box<dyn Target + Send + Sync>,
    next: AtomicUsize,
    running: Mutex<BTreeMap<usize, Instant>>,
    outcomes: Mutex<BTreeMap<usize, Outcome>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every case; the outcomes are in the order of the cases.
pub fn run(
    cases: Vec<Case>,
    target: Box<dyn Target + Send + Sync>,
    threads: usize,
) -> std::io::Result<Vec<(Case, Outcome)>> {
    let shared = Arc::new(Shared {
        cases,
        target,
        next: AtomicUsize::new(0),
        running: Mutex::default(),
        outcomes: Mutex::default(),
    });
    for _ in 0..threads.max(1) {
        start_worker(&shared)?;
    }
    while lock(&shared.outcomes).len() < shared.cases.len() {
        std::thread::sleep(Duration::from_millis(5));
        let hung: Vec<usize> = {
            let mut running = lock(&shared.running);
            let hung = running.iter().filter(|(_, since)| since.elapsed() > HANG).map(|(index, _)| *index);
            let hung: Vec<usize> = hung.collect();
            running.retain(|index, _| !hung.contains(index));
            hung
        };
        for index in hung {
            lock(&shared.outcomes).insert(index, Outcome::Hung);
            start_worker(&shared)?;
        }
    }
    let outcomes = std::mem::take(&mut *lock(&shared.outcomes));
    // Workers that hang keep the shared state alive, so the cases cannot be taken out of it then.
    let shared = wait_for_workers(shared);
    let cases = match shared {
        Ok(shared) => shared.cases,
        Err(shared) => shared.cases.iter().map(Case::clone_for_report).collect(),
    };
    Ok(cases.into_iter().zip(outcomes.into_values()).collect())
}

/// The shared state for itself once every worker is gone, or as it is after a moment of waiting.
fn wait_for_workers(mut shared: Arc<Shared>) -> Result<Shared, Arc<Shared>> {
    for _ in 0..100 {
        match Arc::try_unwrap(shared) {
            Ok(shared) => return Ok(shared),
            Err(again) => shared = again,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(shared)
}

fn start_worker(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("conformance".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || work(&shared))
        .map(|_| ())
}

fn work(shared: &Shared) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = shared.cases.get(index) else { return };
        lock(&shared.running).insert(index, Instant::now());
        let outcome = run_one(case, shared.target.as_ref());
        if lock(&shared.running).remove(&index).is_none() {
            // Given up meanwhile: another worker took this one's place.
            return;
        }
        lock(&shared.outcomes).insert(index, outcome);
    }
}

fn run_one(case: &Case, target: &dyn Target) -> Outcome {
    let mut exchanged = verdict::Exchanged::default();
    match catch_unwind(AssertUnwindSafe(|| verdict::run(case, target, &mut exchanged))) {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(reason)) => Outcome::Failed(reason),
        Err(payload) => Outcome::Panicked(
            payload
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests;
