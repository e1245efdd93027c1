//! Group commit: many callers, one at a time leads.
//!
//! A caller that finds nobody leading leads at once, with no hand-over between threads. Callers that come while a leader
//! writes and syncs queue up; when it is done, the first of them becomes the leader of all that are waiting. So there
//! is one write and one sync per group, groups are as large as the disk is slow, and nobody waits for a timer. Callers
//! that were just answered tend to be back at once; before a sync, which takes far longer, the new leader lets them run
//! until the group is as large as the last one, a few yields at most.
//!
//! ```text
//!   A  leads [A] ----- write, sync -----|
//!   B        waits                      | leads [B C D] ---- write, sync ---|
//!   C          waits                    |                                   done
//!   D             waits                 |                                   done
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::limits::GROUP_BYTES_MAX;
use crate::options::Durability;
use crate::timestamp::Timestamp;
use crate::transaction::conflict::ConflictCheck;
use crate::write_batch::Operation;

/// How often a leader yields to let others join: some tens of microseconds, against milliseconds of a sync.
const GATHER_YIELDS_MAX: usize = 32;

/// A batch on its way into the log.
#[derive(Debug)]
pub(crate) struct Request {
    /// Its writes, reduced.
    pub(crate) operations: Vec<Operation>,
    /// The same, as a record holds them.
    pub(crate) encoded: Vec<u8>,
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
    state: Mutex<WaiterState>,
    /// Signalled when that changes.
    changed: Condvar,
    /// Size of its request.
    size_bytes: usize,
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
        let waiter = Arc::new(Waiter {
            size_bytes: request.encoded.len(),
            state: Mutex::new(WaiterState::Waiting(Box::new(request))),
            changed: Condvar::new(),
        });
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        let mut own = lock(&waiter.state);
        loop {
            match std::mem::replace(&mut *own, WaiterState::Taken) {
                WaiterState::Done(result) => return result,
                WaiterState::Promoted(request) => {
                    drop(own);
                    self.gather(request.durability);
                    let followers = self.take_followers(request.encoded.len());
                    return self.lead(*request, followers, run);
                }
                waiting => {
                    *own = waiting;
                    own = waiter.changed.wait(own).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Lets callers that are about to come back do so, if what follows is a sync.
    fn gather(&self, durability: Durability) {
        let expected = self.expected.load(Ordering::Relaxed);
        for _ in 0..GATHER_YIELDS_MAX {
            if durability != Durability::Sync || lock(&self.state).waiting.len() + 1 >= expected {
                return;
            }
            std::thread::yield_now();
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

    /// Commits the own request and the followers', hands the lead on, and answers.
    fn lead(
        &self,
        request: Request,
        followers: Vec<Arc<Waiter>>,
        run: impl Fn(Vec<Request>) -> Vec<Result<Timestamp>>,
    ) -> Result<Timestamp> {
        let handover = Handover { queue: self };
        let mut group = vec![request];
        for follower in &followers {
            let mut state = lock(&follower.state);
            if let WaiterState::Waiting(request) = std::mem::replace(&mut *state, WaiterState::Taken) {
                group.push(*request);
            }
        }
        // Falls slowly, so that one small group does not make the next ones small.
        let expected = self.expected.load(Ordering::Relaxed);
        self.expected.store(group.len().max(expected - expected.div_ceil(8)), Ordering::Relaxed);
        let abandoned = Abandoned { followers: &followers };
        let mut results = run(group).into_iter();
        let own = results.next().unwrap_or(Err(Error::Closed));
        for (follower, result) in followers.iter().zip(results) {
            *lock(&follower.state) = WaiterState::Done(result);
            follower.changed.notify_one();
        }
        drop(abandoned);
        drop(handover);
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
        let mut own = lock(&next.state);
        if let WaiterState::Waiting(request) = std::mem::replace(&mut *own, WaiterState::Taken) {
            *own = WaiterState::Promoted(request);
        }
        next.changed.notify_one();
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
            let mut state = lock(&follower.state);
            if matches!(*state, WaiterState::Taken) {
                *state =
                    WaiterState::Done(Err(Error::Poisoned("the leader of a commit group panicked".into())));
                follower.changed.notify_one();
            }
        }
    }
}
