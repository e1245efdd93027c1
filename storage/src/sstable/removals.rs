//! How files that nobody needs any more are removed.
//!
//! Whoever drops the last reference to a file gives it up: a compaction, but as well a query that ends. To unlink a large file
//! takes a file system milliseconds, and many at once fill its journal while commits wait for their sync. So where the store has
//! threads, one of them removes what was given up, at a bounded pace; if it falls behind too far it stops to pause, for the
//! space is wanted back. Where the file system has less than [`FREE_BYTES_LOW`] left it does not pause either, and a flush or
//! compaction that finds the disk full has everything that waits removed and tries again. Without that thread the file goes at
//! once.
//!
//! Nothing depends on a removal: a file that stays, because it cannot be removed or the process ends first, is an orphan, which
//! the next open removes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::limits::FREE_BYTES_LOW;
use crate::sync::scheduled::{Condvar, Mutex, MutexGuard};
use crate::vfs::Vfs;

/// With more to remove than it could in so many seconds, the thread does not pause.
const BACKLOG_SECONDS_MAX: u64 = 10;

/// A file that nobody needs any more.
#[derive(Debug)]
pub struct Unneeded {
    /// Where it is.
    pub vfs: Arc<dyn Vfs>,
    /// Its path.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Whether the directory goes with its last file.
    pub abandoned: Arc<AtomicBool>,
}

/// The files of a store that are given up.
#[derive(Debug, Default)]
pub struct Removals {
    /// The pace; `None` for none.
    bytes_per_second: Option<u64>,
    state: Mutex<State>,
    /// Signalled when a file comes, and when the thread is to end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there is a thread for it.
    is_served: bool,
    waiting: VecDeque<Unneeded>,
    waiting_bytes: u64,
}

impl State {
    fn take(&mut self) -> Option<Unneeded> {
        let next = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(next.bytes);
        Some(next)
    }
}

impl Unneeded {
    /// Whether its file system has little room left. One that cannot say is taken to have enough.
    fn is_space_low(&self) -> bool {
        let free = self.vfs.free_bytes(self.path.parent().unwrap_or(&self.path));
        matches!(free, Ok(Some(bytes)) if bytes < FREE_BYTES_LOW)
    }

    fn remove(self) {
        let _orphan_if_it_fails = self.vfs.remove(&self.path);
        if self.abandoned.load(Ordering::Acquire)
            && let Some(directory) = self.path.parent()
        {
            let _others_are_left = self.vfs.remove_dir(directory);
        }
    }
}

impl Removals {
    /// At this pace, once there is a thread.
    pub fn new(bytes_per_second: Option<u64>) -> Removals {
        Removals { bytes_per_second, ..Removals::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file that nobody needs any more.
    pub fn give_up(&self, file: Unneeded) {
        let mut state = self.lock();
        if !state.is_served {
            drop(state);
            file.remove();
            return;
        }
        state.waiting_bytes = state.waiting_bytes.saturating_add(file.bytes);
        state.waiting.push_back(file);
        drop(state);
        self.changed.notify_one();
    }

    /// From now on a thread calls [`Self::serve`].
    pub fn begin(&self) {
        self.lock().is_served = true;
    }

    /// Removes files as they come, until [`Self::end`], and then those that are left without a pause.
    pub fn serve(&self) {
        let mut state = self.lock();
        loop {
            state = self
                .changed
                .wait_while(state, |state| state.is_served && state.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            let Some(next) = state.take() else { return };
            let mut pause = self.pause(next.bytes, state.waiting_bytes);
            drop(state);
            if !pause.is_zero() && next.is_space_low() {
                pause = Duration::ZERO;
            }
            next.remove();
            state = self.lock();
            if pause.is_zero() {
                continue;
            }
            let paused = self.changed.wait_timeout_while(state, pause, |state| state.is_served);
            (state, _) = paused.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How long to wait behind a file of `bytes` while `waiting_bytes` are left.
    fn pause(&self, bytes: u64, waiting_bytes: u64) -> Duration {
        match self.bytes_per_second {
            Some(pace) if waiting_bytes <= pace.saturating_mul(BACKLOG_SECONDS_MAX) => {
                Duration::from_micros(bytes.saturating_mul(1_000_000) / pace.max(1))
            }
            _ => Duration::ZERO,
        }
    }

    /// Lets the thread end; what is given up later goes at once.
    pub fn end(&self) {
        self.lock().is_served = false;
        self.changed.notify_all();
    }

    /// Removes everything that waits, on the calling thread. How many files that were.
    pub fn drain(&self) -> usize {
        let mut removed = 0;
        loop {
            let Some(next) = self.lock().take() else { return removed };
            next.remove();
            removed += 1;
        }
    }

    /// How many files wait to be removed, and their bytes.
    pub fn waiting(&self) -> (usize, u64) {
        let state = self.lock();
        (state.waiting.len(), state.waiting_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    fn file(vfs: &MemoryVfs, name: &str, bytes: u64) -> Unneeded {
        let path = PathBuf::from("/d").join(name);
        vfs.create(&path).unwrap();
        Unneeded { vfs: Arc::new(vfs.clone()), path, bytes, abandoned: Arc::default() }
    }

    fn directory() -> MemoryVfs {
        let vfs = MemoryVfs::new();
        vfs.create_dir("/d".as_ref()).unwrap();
        vfs
    }

    #[test]
    fn without_a_thread_files_go_at_once_and_with_one_they_wait_for_it() {
        let (vfs, removals) = (directory(), Arc::new(Removals::new(None)));
        removals.give_up(file(&vfs, "a", 1));
        assert_eq!(vfs.files(), []);
        removals.begin();
        removals.give_up(file(&vfs, "b", 5));
        removals.give_up(file(&vfs, "c", 6));
        assert_eq!((vfs.files().len(), removals.waiting()), (2, (2, 11)));
        let thread = {
            let removals = Arc::clone(&removals);
            std::thread::spawn(move || removals.serve())
        };
        removals.end();
        thread.join().unwrap();
        assert_eq!((vfs.files().len(), removals.waiting()), (0, (0, 0)));
        removals.give_up(file(&vfs, "d", 1));
        assert_eq!(vfs.files(), []);
    }

    #[test]
    fn the_pace_is_kept_until_too_much_is_left() {
        let removals = Removals::new(Some(1_000));
        assert_eq!(removals.pause(500, 0), Duration::from_millis(500));
        assert_eq!(removals.pause(500, 10_000), Duration::from_millis(500));
        assert_eq!(removals.pause(500, 10_001), Duration::ZERO);
        assert_eq!(Removals::new(None).pause(500, 0), Duration::ZERO);
        // The thread is still pausing behind the first when it is told to end.
        let (vfs, removals) = (directory(), Arc::new(Removals::new(Some(1))));
        removals.begin();
        removals.give_up(file(&vfs, "a", 9));
        removals.give_up(file(&vfs, "b", 1));
        let thread = {
            let removals = Arc::clone(&removals);
            std::thread::spawn(move || removals.serve())
        };
        while removals.waiting().0 > 1 {
            std::thread::yield_now();
        }
        assert_eq!(removals.waiting(), (1, 1));
        removals.end();
        thread.join().unwrap();
        assert_eq!(vfs.files(), []);
    }

    #[test]
    fn nobody_pauses_while_space_is_low() {
        let base = directory();
        let faults = crate::vfs::FaultVfs::new(Arc::new(base.clone()));
        let removals = Arc::new(Removals::new(Some(1)));
        removals.begin();
        for name in ["a", "b", "c"] {
            let unneeded = file(&base, name, 5);
            removals.give_up(Unneeded { vfs: Arc::new(faults.clone()), ..unneeded });
        }
        faults.add_rule(&format!("full {}", FREE_BYTES_LOW - 1)).unwrap();
        let thread = {
            let removals = Arc::clone(&removals);
            std::thread::spawn(move || removals.serve())
        };
        // At that pace the third would go after ten seconds.
        let gone = (0..1_000).any(|_| {
            std::thread::park_timeout(Duration::from_millis(5));
            removals.waiting().0 == 0
        });
        assert!(gone);
        removals.end();
        thread.join().unwrap();
        assert_eq!(base.files(), []);
        faults.add_rule(&format!("full {FREE_BYTES_LOW}")).unwrap();
        let unneeded = Unneeded { vfs: Arc::new(faults.clone()), ..file(&base, "d", 1) };
        assert!(!unneeded.is_space_low());
        assert!(!file(&base, "e", 1).is_space_low(), "it cannot say");
    }

    #[test]
    fn an_abandoned_directory_goes_with_its_last_file() {
        let (vfs, removals) = (directory(), Removals::default());
        let (mut first, mut last) = (file(&vfs, "a", 1), file(&vfs, "b", 1));
        let abandoned = Arc::new(AtomicBool::new(true));
        first.abandoned = Arc::clone(&abandoned);
        last.abandoned = abandoned;
        removals.give_up(first);
        assert!(vfs.list("/d".as_ref()).is_ok());
        removals.give_up(last);
        assert!(vfs.list("/d".as_ref()).is_err());
    }
}
