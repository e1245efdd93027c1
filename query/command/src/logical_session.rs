//! Logical sessions: what a client calls a session, across its connections.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sheaf_engine::SessionId;

use crate::clock::now_millis;

/// Owners of cursors that belong to a logical session are numbered from here, above all connections.
const FIRST_OWNER: u64 = 1 << 63;

/// A session that nobody used this long is gone: half an hour, as clients are told by `hello`.
pub(crate) const SESSION_IDLE_MINUTES_MAX: i32 = 30;

/// The logical sessions by id.
#[derive(Debug, Default)]
pub(crate) struct LogicalSessions {
    inner: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: BTreeMap<Vec<u8>, LogicalSession>,
    opened: u64,
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct LogicalSession {
    /// Who owns its cursors.
    pub(crate) owner: SessionId,
    /// When it was used last, in milliseconds since 1970.
    pub(crate) last_use_millis: i64,
}

impl LogicalSessions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner of the session's cursors; the session begins if it is new, and counts as used now.
    pub(crate) fn owner(&self, id: &[u8]) -> SessionId {
        let now = now_millis();
        let mut known = self.lock();
        if let Some(session) = known.sessions.get_mut(id) {
            session.last_use_millis = now;
            return session.owner;
        }
        let owner = SessionId(FIRST_OWNER + known.opened);
        known.opened += 1;
        known.sessions.insert(id.to_vec(), LogicalSession { owner, last_use_millis: now });
        owner
    }

    /// Ends sessions that nobody used for long; their cursors are the caller's to kill.
    pub(crate) fn expire(&self) -> Vec<SessionId> {
        let idle_since = now_millis() - i64::from(SESSION_IDLE_MINUTES_MAX) * 60_000;
        let gone = |session: &LogicalSession| session.last_use_millis <= idle_since;
        self.lock()
            .sessions
            .extract_if(.., |_, session| gone(session))
            .map(|(_, session)| session.owner)
            .collect()
    }

    /// Ends a session; its cursors are the caller's to kill.
    pub(crate) fn end(&self, id: &[u8]) -> Option<SessionId> {
        self.lock().sessions.remove(id).map(|session| session.owner)
    }

    /// Ends every session.
    pub(crate) fn end_all(&self) -> Vec<SessionId> {
        std::mem::take(&mut self.lock().sessions).into_values().map(|session| session.owner).collect()
    }

    /// Every session with its id.
    pub(crate) fn list(&self) -> Vec<(Vec<u8>, LogicalSession)> {
        self.lock().sessions.iter().map(|(id, session)| (id.clone(), session.clone())).collect()
    }
}
