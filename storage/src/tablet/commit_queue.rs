//! Group commit: many callers, one at a time leads.
//!
//! A caller that finds nobody leading leads at once, with no hand-over between threads. Callers that come while a leader
//! writes and syncs queue up; when it is done, the first of them becomes the leader of all that are waiting. So there
//! is one write and one sync per group, groups are as large as the disk is slow, and nobody waits for a timer. Callers
//! that were just answered tend to be back at once; before a sync, which takes far longer, the new leader lets them run
//! until the group is as large as the last one, a few yields at most.
//!
//! Without a sync a group takes microseconds, less than it takes to wake a thread. So a caller that waits looks again a few
//! times, giving up its core between looks, before it sleeps; and a leader goes on with the groups that came meanwhile
//! instead of handing the lead to a thread that may not be running, a few groups at most so that its own caller is
//! answered soon.
//!
//! ```text
//!   A  leads [A] ----- write, sync -----|
//!   B        waits                      | leads [B C D] ---- write, sync ---|
//!   C          waits                    |                                   done
//!   D             waits                 |                                   done
//! ```

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::error::{Error, Result};
use crate::limits::GROUP_BYTES_MAX;
use crate::options::Durability;
use crate::sync::scheduled::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, yield_now};
use crate::timestamp::Timestamp;
use crate::transaction::conflict::ConflictCheck;
use crate::wal::compression::EncodedOperations;

/// How often a leader yields to let others join: some tens of microseconds, against milliseconds of a sync.
const GATHER_YIELDS_MAX: usize = 32;

/// How often a waiting caller looks for its answer, yielding its core in between, before it sleeps: some tens of
/// microseconds, about what sleeping and being woken costs.
const LOOKS_MAX: usize = 48;
/// How many further groups a leader commits before it hands the lead on.
const FURTHER_GROUPS_MAX: usize = 4;

/// A batch on its way into the log.
#[derive(Debug)]
pub(crate) struct Request {
    /// Its writes, as a record holds them.
    pub(crate) operations: EncodedOperations,
    /// What its acknowledgement means.
    pub(crate) durability: Durability,
    /// When it becomes visible, if the caller decides that.
    pub(crate) timestamp: Option<Timestamp>,
    /// What must not have changed, for transactions.
    pub(crate) check: Option<ConflictCheck>,
}

/// A caller that waits.
struct Waiter {
    /// What it waits for.
    slot: Mutex<WaiterSlot>,
    /// Set once the slot says what the caller is to do; it never goes back.
    settled: AtomicBool,
    /// Signalled then, if the caller sleeps.
    changed: Condvar,
    /// Size of its request.
    size_bytes: usize,
}

/// What a waiting caller is told, and whether it has to be woken for it.
struct WaiterSlot {
    /// What it is told.
    state: WaiterState,
    /// Whether it sleeps: waking nobody would still be a system call.
    sleeps: bool,
}

/// What a waiting caller is told.
enum WaiterState {
    /// Nothing yet.
    Waiting(Box<Request>),
    /// The leader has taken the request.
    Taken,
    /// It is to lead.
    Promoted(Box<Request>),
    /// The commit is over.
    Done(Result<Timestamp>),
}

/// The queue.
#[derive(Default)]
pub(crate) struct CommitQueue {
    /// Who waits and whether somebody leads.
    state: Mutex<QueueState>,
    /// How many requests the last groups had: what a leader may hope for.
    expected: AtomicUsize,
}

/// Who waits and whether somebody leads.
#[derive(Default)]
struct QueueState {
    /// Whether somebody leads.
    leading: bool,
    /// Who waits.
    waiting: VecDeque<Arc<Waiter>>,
}

/// Locks, whatever happened to the last holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiter {
    /// A caller whose request nobody has taken yet.
    fn new(request: Request) -> Self {
        Self {
            size_bytes: request.operations.bytes().len(),
            slot: Mutex::new(WaiterSlot { state: WaiterState::Waiting(Box::new(request)), sleeps: false }),
            settled: AtomicBool::new(false),
            changed: Condvar::new(),
        }
    }

    /// Takes the request, if nobody has.
    fn take(&self) -> Option<Box<Request>> {
        let mut slot = lock(&self.slot);
        match std::mem::replace(&mut slot.state, WaiterState::Taken) {
            WaiterState::Waiting(request) => Some(request),
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Tells the caller what to do.
    fn settle(&self, state: WaiterState) {
        let mut slot = lock(&self.slot);
        slot.state = state;
        self.settled.store(true, Ordering::Release);
        let sleeps = slot.sleeps;
        // Before it is woken, or it would sleep again on the lock.
        drop(slot);
        if sleeps {
            self.changed.notify_one();
        }
    }

    /// Waits until the caller is told what to do: so many looks, then asleep.
    fn wait(&self, looks: usize) -> WaiterState {
        for _ in 0..looks {
            if self.settled.load(Ordering::Acquire) {
                break;
            }
            yield_now();
        }
        let mut slot = lock(&self.slot);
        while !self.settled.load(Ordering::Acquire) {
            slot.sleeps = true;
            slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::replace(&mut slot.state, WaiterState::Taken)
    }
}

impl CommitQueue {
    /// Commits `request`, alone or in a group. `run` commits a group and answers for each request, in order.
    pub(crate) fn commit(
        &self,
        request: Request,
        run: impl Fn(Vec<Request>) -> Vec<Result<Timestamp>>,
    ) -> Result<Timestamp> {
        let mut state = lock(&self.state);
        if !state.leading {
            state.leading = true;
            drop(state);
            return self.lead(request, Vec::new(), run);
        }
        let looks = if request.durability == Durability::Sync { 0 } else { LOOKS_MAX };
        let waiter = Arc::new(Waiter::new(request));
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        match waiter.wait(looks) {
            WaiterState::Done(result) => result,
            WaiterState::Promoted(request) => {
                self.gather(request.durability);
                let followers = self.take_followers(request.operations.bytes().len());
                self.lead(*request, followers, run)
            }
            WaiterState::Waiting(_) | WaiterState::Taken => Err(Error::Closed),
        }
    }

    /// Lets callers that are about to come back do so, if what follows is a sync.
    fn gather(&self, durability: Durability) {
        let expected = self.expected.load(Ordering::Relaxed);
        for _ in 0..GATHER_YIELDS_MAX {
            if durability != Durability::Sync || lock(&self.state).waiting.len() + 1 >= expected {
                return;
            }
            yield_now();
        }
    }

    /// Takes waiting callers into a group, up to a size.
    fn take_followers(&self, mut size_bytes: usize) -> Vec<Arc<Waiter>> {
        let mut state = lock(&self.state);
        let mut followers = Vec::new();
        while size_bytes < GROUP_BYTES_MAX
            && let Some(waiter) = state.waiting.pop_front()
        {
            size_bytes = size_bytes.saturating_add(waiter.size_bytes);
            followers.push(waiter);
        }
        followers
    }

    /// Commits the own request and the followers', then what came meanwhile, hands the lead on, and answers.
    fn lead(
        &self,
        request: Request,
        mut followers: Vec<Arc<Waiter>>,
        run: impl Fn(Vec<Request>) -> Vec<Result<Timestamp>>,
    ) -> Result<Timestamp> {
        let handover = Handover { queue: self };
        let durability = request.durability;
        let own = self.commit_group(Some(request), &followers, &run);
        // Behind a sync the next leader first lets others join, which takes longer than waking it.
        for _ in 0..FURTHER_GROUPS_MAX {
            if durability == Durability::Sync {
                break;
            }
            followers = self.take_followers(0);
            if followers.is_empty() {
                break;
            }
            self.commit_group(None, &followers, &run);
        }
        drop(handover);
        own.unwrap_or(Err(Error::Closed))
    }

    /// Commits one group, the own request (if it has not been yet) and the followers', and answers the followers.
    fn commit_group(
        &self,
        own: Option<Request>,
        followers: &[Arc<Waiter>],
        run: &impl Fn(Vec<Request>) -> Vec<Result<Timestamp>>,
    ) -> Option<Result<Timestamp>> {
        let abandoned = Abandoned { followers };
        let leads = own.is_some();
        let group: Vec<Request> = own
            .into_iter()
            .chain(followers.iter().filter_map(|follower| follower.take().map(|boxed| *boxed)))
            .collect();
        // Falls slowly, so that one small group does not make the next ones small.
        let expected = self.expected.load(Ordering::Relaxed);
        self.expected.store(group.len().max(expected - expected.div_ceil(8)), Ordering::Relaxed);
        let mut results = run(group).into_iter();
        let own = if leads { results.next() } else { None };
        for (follower, result) in followers.iter().zip(results) {
            follower.settle(WaiterState::Done(result));
        }
        drop(abandoned);
        own
    }
}

/// Hands the lead on when dropped, so that a panic in a leader does not leave the others waiting for ever.
struct Handover<'a> {
    /// The queue.
    queue: &'a CommitQueue,
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        let Some(next) = state.waiting.pop_front() else {
            state.leading = false;
            return;
        };
        drop(state);
        if let Some(request) = next.take() {
            next.settle(WaiterState::Promoted(request));
        }
    }
}

/// Tells followers without an answer that there will be none, when dropped.
struct Abandoned<'a> {
    /// The group's followers.
    followers: &'a [Arc<Waiter>],
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        for follower in self.followers {
            if !follower.settled.load(Ordering::Acquire) {
                let error = Error::Poisoned("the leader of a commit group panicked".into());
                follower.settle(WaiterState::Done(Err(error)));
            }
        }
    }
}

#[cfg(all(test, shuttle))]
#[path = "commit_queue_schedules.rs"]
mod schedules;
