//! What a client calls a session, across its connections: numbers, and what was done under them.
//!
//! A client numbers its retryable writes and its transactions in one sequence. A session knows the highest number, what
//! was done under it, and the transaction that runs under it. The first part is in the store (`KEY_LAYOUT.md`) and is
//! read when the session is first used; a transaction lives in memory and ends with the process.
//!
//! | request | number below | the same number | number above |
//! |---|---|---|---|
//! | a transaction begins | too old | refused | begins; one that runs is aborted |
//! | it goes on, commits, aborts | too old | if it runs | no such transaction |
//! | a retryable write | too old | done statements answer as before | begins; one that runs is aborted |

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_storage::{Durability, IterOptions, Tablet, Timestamp, WriteBatch};

use super::Session;
use super::retryable::RetryableWrite;
use super::transaction::{Binding, OpenTransaction};
use crate::key_layout::{self, LogicalSessionId};
use crate::{Database, Error, Result, error_code};

/// Most sessions that are known at a time, as in MongoDB.
pub(crate) const LOGICAL_SESSIONS_MAX: usize = 1_000_000;

/// A session that nobody used this long is gone: half an hour, as clients are told.
pub(crate) const LOGICAL_SESSION_IDLE_MILLIS_MAX: i64 = 30 * 60 * 1000;

/// How often sessions are looked through for those that are gone.
const SWEEP_MILLIS: i64 = 60 * 1000;

/// The sessions by id.
#[derive(Debug, Default)]
pub(crate) struct LogicalSessions {
    inner: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<LogicalSessionId, Arc<LogicalSession>>,
    /// When they were looked through last; none before the stored ones are known.
    swept_millis: Option<i64>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct LogicalSession {
    id: LogicalSessionId,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether what is stored of it was read.
    is_loaded: bool,
    /// Whether there may be records of it in the store.
    is_stored: bool,
    /// The highest number; below 0 before the first.
    number: i64,
    /// What statements of that number did.
    statements: BTreeMap<i32, RawDocumentBuf>,
    /// Keys of records that mean nothing any more.
    stale: Vec<Vec<u8>>,
    /// The transaction that runs under that number.
    running: Option<Running>,
    /// How the transaction of that number ended.
    end: Option<End>,
    last_use_millis: i64,
}

#[derive(Debug)]
struct Running {
    open: OpenTransaction,
    began_millis: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
}

fn no_such(number: i64, why: &str) -> Error {
    Error::new(error_code::NO_SUCH_TRANSACTION, format!("transaction {number} {why}"))
}

fn too_old(number: i64, newest: i64) -> Error {
    Error::new(
        error_code::TRANSACTION_TOO_OLD,
        format!("number {number} is too old: the session has gone on to {newest}"),
    )
}

fn number_of(record: RawDocument<'_>) -> i64 {
    match record.get("number") {
        Some(ValueRef::Int64(number)) => number,
        _ => -1,
    }
}

impl State {
    fn new(now_millis: i64) -> Self {
        Self {
            is_loaded: false,
            is_stored: false,
            number: -1,
            statements: BTreeMap::new(),
            stale: Vec::new(),
            running: None,
            end: None,
            last_use_millis: now_millis,
        }
    }

    /// Reads what is stored of the session.
    fn load(&mut self, tablet: &Tablet, id: &LogicalSessionId) -> Result<()> {
        if self.is_loaded {
            return Ok(());
        }
        let mut records = Vec::new();
        for_each_record(tablet, key_layout::session(id), |key, _, statement, record| {
            records.push((key.to_vec(), statement, record.to_buf()));
            Ok(())
        })?;
        let newest = records.iter().map(|(_, _, record)| number_of(record.as_raw())).max();
        self.number = self.number.max(newest.unwrap_or(-1));
        for (key, statement, record) in records {
            match statement {
                _ if number_of(record.as_raw()) != self.number => self.stale.push(key),
                Some(statement) => {
                    self.statements.insert(statement, record);
                }
                None => self.end = Some(End::Committed),
            }
        }
        self.is_loaded = true;
        Ok(())
    }

    /// Goes on to a higher number. A transaction that still runs is aborted.
    fn go_on_to(&mut self, number: i64, id: &LogicalSessionId) -> Option<OpenTransaction> {
        self.number = number;
        self.is_stored = true;
        let statements = std::mem::take(&mut self.statements);
        self.stale.extend(statements.keys().map(|statement| key_layout::session_statement(id, *statement)));
        self.end = None;
        let running = self.running.take()?;
        running.open.abort();
        Some(running.open)
    }

    /// The transaction of this number, if it runs.
    fn running(&self, number: i64) -> Result<&Running> {
        if number < self.number {
            return Err(too_old(number, self.number));
        }
        if number > self.number {
            return Err(no_such(number, "was never started"));
        }
        match (&self.running, self.end) {
            (Some(running), _) => Ok(running),
            (None, Some(End::Committed)) => Err(Error::new(
                error_code::TRANSACTION_COMMITTED,
                format!("transaction {number} was committed already"),
            )),
            (None, Some(End::Aborted)) => Err(no_such(number, "was aborted")),
            (None, None) => Err(no_such(number, "was never started")),
        }
    }

    fn abort(&mut self) -> Option<OpenTransaction> {
        let running = self.running.take()?;
        running.open.abort();
        self.end = Some(End::Aborted);
        Some(running.open)
    }
}

/// Visits the stored records of sessions: key, session, statement, record.
fn for_each_record(
    tablet: &Tablet,
    range: key_layout::KeyRange,
    mut visit: impl FnMut(&[u8], LogicalSessionId, Option<i32>, RawDocument<'_>) -> Result<()>,
) -> Result<()> {
    let damaged = || Error::new(error_code::DATA_CORRUPTION_DETECTED, "a record of a session is damaged");
    let snapshot = tablet.snapshot();
    let options =
        IterOptions { lower: Some(range.lower), upper: Some(range.upper), ..IterOptions::default() };
    let mut records = snapshot.iter(options)?;
    let mut valid = records.seek_to_first()?;
    while valid {
        let (session, statement) = key_layout::read_session_key(records.key()).ok_or_else(damaged)?;
        let record = RawDocument::validate(records.value()).map_err(|_| damaged())?;
        visit(records.key(), session, statement, record)?;
        valid = records.next()?;
    }
    Ok(())
}

/// A session whose number is the one of a retryable write. Others of the session wait meanwhile.
pub(crate) struct Numbered<'a> {
    session: &'a LogicalSession,
    state: MutexGuard<'a, State>,
}

impl Numbered<'_> {
    pub(crate) fn session(&self) -> &LogicalSessionId {
        &self.session.id
    }

    /// The record of a statement: its own, or that of a run of inserts it is part of.
    pub(crate) fn statement(&self, id: i32) -> Option<&RawDocumentBuf> {
        let (first, record) = self.state.statements.range(..=id).next_back()?;
        let last = match record.as_raw().get("last") {
            Some(ValueRef::Int32(last)) => last,
            _ => *first,
        };
        (id <= last).then_some(record)
    }

    /// Keys of records that the next write takes out.
    pub(crate) fn stale(&self) -> &[Vec<u8>] {
        &self.state.stale
    }

    /// Keeps what was committed, with which the stale records went.
    pub(crate) fn keep(&mut self, records: Vec<(i32, RawDocumentBuf)>) {
        if !records.is_empty() {
            self.state.stale.clear();
        }
        self.state.statements.extend(records);
    }
}

impl LogicalSession {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session for a statement of the retryable write with this number.
    pub(crate) fn numbered(&self, tablet: &Tablet, number: i64) -> Result<Numbered<'_>> {
        let mut state = self.lock();
        state.load(tablet, &self.id)?;
        if state.number != number {
            return Err(too_old(number, state.number));
        }
        Ok(Numbered { session: self, state })
    }
}

impl LogicalSessions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this id; it begins if it is new.
    fn session(&self, id: &LogicalSessionId, now_millis: i64) -> Result<Arc<LogicalSession>> {
        let mut known = self.lock();
        if let Some(session) = known.sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        if known.sessions.len() >= LOGICAL_SESSIONS_MAX {
            return Err(Error::new(
                error_code::TOO_MANY_LOGICAL_SESSIONS,
                format!("there are {LOGICAL_SESSIONS_MAX} sessions"),
            ));
        }
        let session = Arc::new(LogicalSession { id: *id, state: Mutex::new(State::new(now_millis)) });
        known.sessions.insert(*id, Arc::clone(&session));
        Ok(session)
    }

    /// Whether it is time to look for sessions that are gone; the first time, whether stored ones must be known.
    fn is_due(&self, now_millis: i64) -> Option<bool> {
        let mut known = self.lock();
        let is_due = known.swept_millis.is_none_or(|swept| now_millis - swept >= SWEEP_MILLIS);
        let is_first = known.swept_millis.is_none();
        if is_due {
            known.swept_millis = Some(now_millis);
        }
        is_due.then_some(is_first)
    }

    /// Takes out the sessions that nobody used for long and nobody holds.
    fn take_idle(&self, now_millis: i64) -> Vec<Arc<LogicalSession>> {
        let idle_since = now_millis - LOGICAL_SESSION_IDLE_MILLIS_MAX;
        let mut known = self.lock();
        let is_idle = |session: &Arc<LogicalSession>| {
            Arc::strong_count(session) == 1 && session.lock().last_use_millis < idle_since
        };
        let ids: Vec<_> =
            known.sessions.iter().filter(|(_, session)| is_idle(session)).map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| known.sessions.remove(id)).collect()
    }

    /// Every session.
    fn all(&self) -> Vec<Arc<LogicalSession>> {
        self.lock().sessions.values().map(Arc::clone).collect()
    }
}

impl Database {
    /// The session of this id, marked as used now. Sessions that are gone are swept up on the way.
    fn logical_session(&self, id: &LogicalSessionId) -> Result<Arc<LogicalSession>> {
        let session = self.touch_session(id)?;
        session.lock().load(self.tablet(), id)?;
        Ok(session)
    }

    fn touch_session(&self, id: &LogicalSessionId) -> Result<Arc<LogicalSession>> {
        let now = self.now_millis();
        if let Some(is_first) = self.logical_sessions().is_due(now) {
            self.sweep_sessions(now, is_first)?;
        }
        let session = self.logical_sessions().session(id, now)?;
        session.lock().last_use_millis = now;
        Ok(session)
    }

    /// Aborts transactions that run too long, and forgets sessions that were not used for long, with their records.
    fn sweep_sessions(&self, now: i64, is_first: bool) -> Result<()> {
        if is_first {
            for_each_record(self.tablet(), key_layout::sessions(), |_, id, _, record| {
                let session = self.logical_sessions().session(&id, now)?;
                let mut state = session.lock();
                state.is_stored = true;
                if let Some(ValueRef::DateTime(at)) = record.get("at") {
                    state.last_use_millis = at;
                }
                Ok(())
            })?;
        }
        for session in self.logical_sessions().all() {
            let expired =
                session.lock().running.as_ref().is_some_and(|running| self.is_expired(running, now));
            if expired {
                self.kill_cursors_of(session.lock().abort());
            }
        }
        let mut batch = WriteBatch::new();
        for session in self.logical_sessions().take_idle(now) {
            self.kill_cursors_of(session.lock().abort());
            if session.lock().is_stored {
                let records = key_layout::session(&session.id);
                batch.delete_range(records.lower, records.upper);
            }
        }
        if !batch.is_empty() && !self.options().store.read_only {
            self.tablet().commit(batch, None)?;
        }
        Ok(())
    }

    fn is_expired(&self, running: &Running, now: i64) -> bool {
        let lifetime = i64::try_from(self.transaction_lifetime().as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(running.began_millis) >= lifetime
    }

    fn kill_cursors_of(&self, ended: Option<OpenTransaction>) {
        if let Some(ended) = ended {
            self.cursors().kill_session(ended.owner());
        }
    }

    /// Marks a session of a client as used now; it begins if it is new.
    pub fn use_logical_session(&self, id: &[u8; 16]) -> Result<()> {
        self.touch_session(id).map(drop)
    }

    /// The sessions of clients, and when each was used last in milliseconds since 1970.
    pub(crate) fn list_logical_sessions(&self) -> Vec<(LogicalSessionId, i64)> {
        let all = self.logical_sessions().all();
        all.iter().map(|session| (session.id, session.lock().last_use_millis)).collect()
    }

    /// Ends a session of a client: its transaction is aborted. What it may send again stays known for a while.
    pub fn end_logical_session(&self, id: &[u8; 16]) {
        let session = self.logical_sessions().lock().sessions.get(id).map(Arc::clone);
        if let Some(session) = session {
            self.kill_cursors_of(session.lock().abort());
        }
    }

    /// Ends every session of clients.
    pub fn end_logical_sessions(&self) {
        for session in self.logical_sessions().all() {
            self.kill_cursors_of(session.lock().abort());
        }
    }

    /// How many transactions over several operations run now.
    pub fn open_transactions(&self) -> usize {
        self.logical_sessions().all().iter().filter(|session| session.lock().running.is_some()).count()
    }
}

impl Session {
    /// Begins a transaction of a client's session. The session returned is bound to it.
    pub fn begin_transaction(
        &self,
        id: &[u8; 16],
        number: i64,
        read_timestamp: Option<Timestamp>,
    ) -> Result<Self> {
        let database = self.database();
        let session = database.logical_session(id)?;
        let mut state = session.lock();
        if number < state.number {
            return Err(too_old(number, state.number));
        }
        if number == state.number {
            return Err(Error::new(
                error_code::TRANSACTION_STARTED_BEFORE,
                format!("number {number} of the session was used before; a transaction needs a new one"),
            ));
        }
        let open = OpenTransaction::begin(database, read_timestamp)?;
        database.kill_cursors_of(state.go_on_to(number, id));
        state.running = Some(Running { open: open.clone(), began_millis: database.now_millis() });
        Ok(self.bound(open.owner(), Binding::Transaction(open)))
    }

    /// Goes on with a transaction.
    pub fn continue_transaction(&self, id: &[u8; 16], number: i64) -> Result<Self> {
        let database = self.database();
        let session = database.logical_session(id)?;
        let mut state = session.lock();
        let is_expired = database.is_expired(state.running(number)?, database.now_millis());
        if is_expired {
            database.kill_cursors_of(state.abort());
        }
        let open = state.running(number)?.open.clone();
        Ok(self.bound(open.owner(), Binding::Transaction(open)))
    }

    /// Commits a transaction. One that was committed before is fine; a write conflict aborts it.
    pub fn commit_transaction(
        &self,
        id: &[u8; 16],
        number: i64,
        durability: Option<Durability>,
    ) -> Result<()> {
        let database = self.database();
        let session = database.logical_session(id)?;
        let mut state = session.lock();
        if number == state.number && state.end == Some(End::Committed) {
            return Ok(());
        }
        let is_expired = database.is_expired(state.running(number)?, database.now_millis());
        if is_expired {
            database.kill_cursors_of(state.abort());
        }
        let open = state.running(number)?.open.clone();
        let mut record = DocumentBuilder::new();
        record.append("number", number).append("at", Value::DateTime(database.now_millis()));
        let record = Some((key_layout::session_commit(id), record.build().into_bytes()));
        let outcome = open.commit(database.catalog(), durability, record);
        state.running = None;
        state.end = Some(if outcome.is_ok() { End::Committed } else { End::Aborted });
        database.kill_cursors_of(Some(open));
        outcome
    }

    /// Aborts a transaction.
    pub fn abort_transaction(&self, id: &[u8; 16], number: i64) -> Result<()> {
        let database = self.database();
        let session = database.logical_session(id)?;
        let mut state = session.lock();
        state.running(number)?;
        database.kill_cursors_of(state.abort());
        Ok(())
    }

    /// A session whose writes are recorded under a number, so that each statement is done once.
    pub fn retryable(&self, id: &[u8; 16], number: i64) -> Result<Self> {
        let database = self.database();
        let session = database.logical_session(id)?;
        let mut state = session.lock();
        if number < state.number {
            return Err(too_old(number, state.number));
        }
        if number > state.number {
            database.kill_cursors_of(state.go_on_to(number, id));
        } else if state.running.is_some() || state.end.is_some() {
            return Err(Error::new(
                error_code::INCOMPLETE_TRANSACTION_HISTORY,
                format!("number {number} of the session is a transaction's"),
            ));
        }
        drop(state);
        Ok(self.bound(
            self.id(),
            Binding::Retryable(RetryableWrite { session, number, retried: Arc::default() }),
        ))
    }
}
