//! Open cursors by number, between two requests.
//!
//! A request takes its cursor out, pulls batches without holding any lock, and puts it back unless it is exhausted.
//! While it is out its number stays known, so that a second request on it is told "in use" and a kill takes effect
//! when it comes back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Cursor;
use super::tail::WakeUp;
use crate::session::SessionId;
use crate::{Error, Namespace, Result, error_code};

/// Cursors that nobody asked for this long are dropped, unless opened without a timeout: ten minutes, as in MongoDB.
pub const CURSOR_IDLE_MILLIS_MAX: u64 = 10 * 60 * 1000;

/// Open cursors by number.
#[derive(Debug, Default)]
pub struct CursorRegistry {
    cursors: Mutex<HashMap<i64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    owner: SessionId,
    namespace: Namespace,
    /// When the cursor was put here, in milliseconds of the caller's clock.
    idle_since_millis: u64,
    never_times_out: bool,
    /// What ends its wait for data.
    wake_up: Option<WakeUp>,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Cursor>),
    InUse,
    /// In use, and to be dropped when it comes back.
    Killed,
    /// Its collection went away; the next request is told so.
    Lost {
        /// Whether a request has it out still.
        is_in_use: bool,
    },
}

/// A cursor that waits for its next request.
#[derive(Clone, Debug)]
pub struct IdleCursor {
    /// Its number.
    pub id: i64,
    /// What it reads.
    pub namespace: Namespace,
    /// Since when it waits, in milliseconds of the clock of who put it there.
    pub idle_since_millis: u64,
    /// Whether it waits for ever.
    pub never_times_out: bool,
}

/// What became of a request to kill cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KilledCursors {
    /// Killed now.
    pub killed: Vec<i64>,
    /// Unknown, or gone already.
    pub not_found: Vec<i64>,
}

impl CursorRegistry {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Entry>> {
        // The map is consistent between any two statements, so a panic elsewhere does not spoil it.
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a cursor under a free positive number made from `random`, which it returns.
    pub fn register(
        &self,
        cursor: Cursor,
        owner: SessionId,
        never_times_out: bool,
        now_millis: u64,
        mut random: impl FnMut() -> u64,
    ) -> i64 {
        let mut cursors = self.lock();
        let id = loop {
            let candidate = i64::try_from(random() >> 1).unwrap_or(i64::MAX);
            if candidate != 0 && !cursors.contains_key(&candidate) {
                break candidate;
            }
        };
        let namespace = cursor.namespace().clone();
        let wake_up = cursor.wake_up();
        let state = State::Idle(Box::new(cursor));
        let entry =
            Entry { owner, namespace, idle_since_millis: now_millis, never_times_out, wake_up, state };
        cursors.insert(id, entry);
        id
    }

    /// The cursors that wait, by number.
    pub fn idle(&self) -> Vec<IdleCursor> {
        let cursors = self.lock();
        let idle = cursors.iter().filter(|(_, entry)| matches!(entry.state, State::Idle(_)));
        let mut idle: Vec<IdleCursor> = idle
            .map(|(id, entry)| IdleCursor {
                id: *id,
                namespace: entry.namespace.clone(),
                idle_since_millis: entry.idle_since_millis,
                never_times_out: entry.never_times_out,
            })
            .collect();
        idle.sort_by_key(|cursor| cursor.id);
        idle
    }

    /// Takes a cursor out for a request of this session on this namespace.
    pub fn take(&self, id: i64, session: SessionId, namespace: &Namespace) -> Result<Cursor> {
        let mut cursors = self.lock();
        let entry = cursors.get_mut(&id).ok_or_else(|| not_found(id))?;
        if entry.owner != session {
            return Err(Error::new(
                error_code::UNAUTHORIZED,
                format!("cursor {id} belongs to another session and cannot be used from this one"),
            ));
        }
        if entry.namespace != *namespace {
            return Err(Error::new(
                error_code::UNAUTHORIZED,
                format!("cursor {id} reads {}, the request names {namespace}", entry.namespace),
            ));
        }
        match std::mem::replace(&mut entry.state, State::InUse) {
            State::Idle(cursor) => Ok(*cursor),
            State::InUse => Err(Error::new(
                error_code::CURSOR_IN_USE,
                format!("cursor {id} is in use by another request"),
            )),
            State::Killed => {
                entry.state = State::Killed;
                Err(not_found(id))
            }
            State::Lost { is_in_use } => {
                let error = Error::new(
                    error_code::QUERY_PLAN_KILLED,
                    format!("cursor {id} was killed: {} was dropped or renamed", entry.namespace),
                );
                entry.state = State::Killed;
                if !is_in_use {
                    cursors.remove(&id);
                }
                Err(error)
            }
        }
    }

    /// Puts a cursor back under its number; drops it if it was killed meanwhile.
    pub fn put_back(&self, id: i64, cursor: Cursor, now_millis: u64) {
        let mut cursors = self.lock();
        let Some(entry) = cursors.get_mut(&id) else { return };
        entry.idle_since_millis = now_millis;
        match entry.state {
            State::Killed => {
                cursors.remove(&id);
            }
            State::Lost { .. } => entry.state = State::Lost { is_in_use: false },
            State::InUse | State::Idle(_) => entry.state = State::Idle(Box::new(cursor)),
        }
    }

    /// Forgets a cursor that was taken out and is not coming back: it is exhausted, or its request failed.
    pub fn forget(&self, id: i64) {
        self.lock().remove(&id);
    }

    /// Kills cursors by number, whichever session opened them.
    pub fn kill(&self, ids: &[i64]) -> KilledCursors {
        let mut cursors = self.lock();
        let mut outcome = KilledCursors::default();
        for &id in ids {
            let known = match cursors.get_mut(&id) {
                Some(Entry { state: State::Idle(_) | State::Lost { is_in_use: false }, .. }) => {
                    cursors.remove(&id).is_some()
                }
                Some(Entry { state: State::Killed, .. }) | None => false,
                Some(entry) => {
                    entry.kill();
                    true
                }
            };
            if known { outcome.killed.push(id) } else { outcome.not_found.push(id) }
        }
        outcome
    }

    /// Kills every cursor of a session that ends.
    pub fn kill_session(&self, session: SessionId) {
        self.kill_where(|entry| entry.owner == session);
    }

    /// Kills every cursor on namespaces that go away. Its next request is told so, once.
    pub fn kill_namespaces(&self, gone: impl Fn(&Namespace) -> bool) {
        for entry in self.lock().values_mut().filter(|entry| gone(&entry.namespace)) {
            let is_in_use = match entry.state {
                State::Idle(_) => false,
                State::InUse => true,
                State::Killed | State::Lost { .. } => continue,
            };
            entry.state = State::Lost { is_in_use };
            if let Some(wake_up) = &entry.wake_up {
                wake_up.kill();
            }
        }
    }

    /// Drops cursors that were idle for too long; returns how many.
    pub fn expire(&self, now_millis: u64) -> usize {
        let mut cursors = self.lock();
        let before = cursors.len();
        cursors.retain(|_, entry| {
            let idle = now_millis.saturating_sub(entry.idle_since_millis);
            let may_wait = match entry.state {
                State::Idle(_) => entry.never_times_out,
                State::Lost { is_in_use } => is_in_use,
                State::InUse | State::Killed => true,
            };
            may_wait || idle < CURSOR_IDLE_MILLIS_MAX
        });
        before - cursors.len()
    }

    /// How many cursors are open.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn kill_where(&self, doomed: impl Fn(&Entry) -> bool) {
        self.lock().retain(|_, entry| {
            if !doomed(entry) {
                return true;
            }
            if matches!(entry.state, State::Idle(_) | State::Lost { is_in_use: false }) {
                return false;
            }
            entry.kill();
            true
        });
    }
}

impl Entry {
    /// Marks a cursor that is in use, and ends its wait for data.
    fn kill(&mut self) {
        self.state = State::Killed;
        if let Some(wake_up) = &self.wake_up {
            wake_up.kill();
        }
    }
}

fn not_found(id: i64) -> Error {
    Error::new(error_code::CURSOR_NOT_FOUND, format!("cursor {id} does not exist, or no longer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (CursorRegistry, i64, Namespace) {
        let registry = CursorRegistry::default();
        let namespace = Namespace::new("shop", "orders").expect("valid");
        let cursor = Cursor::from_documents(namespace.clone(), []);
        let id = registry.register(cursor, SessionId(1), false, 0, || 42 << 1);
        (registry, id, namespace)
    }

    #[test]
    fn a_cursor_belongs_to_its_session_and_namespace() {
        let (registry, id, namespace) = registry();
        assert_eq!(id, 42);
        let foreign = registry.take(id, SessionId(2), &namespace).expect_err("foreign");
        assert_eq!(foreign.code, error_code::UNAUTHORIZED);
        let other = Namespace::new("shop", "users").expect("valid");
        assert_eq!(
            registry.take(id, SessionId(1), &other).expect_err("other").code,
            error_code::UNAUTHORIZED
        );
        let cursor = registry.take(id, SessionId(1), &namespace).expect("its own");
        let twice = registry.take(id, SessionId(1), &namespace).expect_err("in use");
        assert_eq!(twice.code, error_code::CURSOR_IN_USE);
        registry.put_back(id, cursor, 5);
        assert!(registry.take(id, SessionId(1), &namespace).is_ok());
    }

    #[test]
    fn a_killed_cursor_does_not_come_back() {
        let (registry, id, namespace) = registry();
        let cursor = registry.take(id, SessionId(1), &namespace).expect("there");
        assert_eq!(registry.kill(&[id, 7]), KilledCursors { killed: vec![id], not_found: vec![7] });
        registry.put_back(id, cursor, 0);
        assert_eq!(registry.count(), 0);
        let gone = registry.take(id, SessionId(1), &namespace).expect_err("gone");
        assert_eq!(gone.code, error_code::CURSOR_NOT_FOUND);
    }

    #[test]
    fn a_cursor_whose_collection_went_away_says_so_once() {
        let (registry, id, namespace) = registry();
        registry.kill_namespaces(|open| *open == namespace);
        let lost = registry.take(id, SessionId(1), &namespace).expect_err("lost");
        assert_eq!(lost.code, error_code::QUERY_PLAN_KILLED);
        let gone = registry.take(id, SessionId(1), &namespace).expect_err("gone");
        assert_eq!(gone.code, error_code::CURSOR_NOT_FOUND);
    }

    #[test]
    fn a_lost_cursor_in_use_is_lost_when_it_comes_back() {
        let (registry, id, namespace) = registry();
        let cursor = registry.take(id, SessionId(1), &namespace).expect("there");
        registry.kill_namespaces(|open| *open == namespace);
        registry.put_back(id, cursor, 0);
        assert_eq!(registry.kill(&[id]).killed, [id]);
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn idle_cursors_expire() {
        let (registry, _, _) = registry();
        assert_eq!(registry.expire(CURSOR_IDLE_MILLIS_MAX - 1), 0);
        assert_eq!(registry.expire(CURSOR_IDLE_MILLIS_MAX), 1);
    }
}
