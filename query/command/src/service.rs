//! What commands share beside the database: how the server presents itself, and who is connected.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sheaf_document::ObjectId;
use sheaf_engine::{Database, Session, SessionId, Timestamp};

use crate::activity::Activity;
use crate::clock::now_millis;
use crate::cursors::registry_millis;
use crate::log_lines::{LogLine, LogLines, LogListener, Severity};
use crate::logical_session::LogicalSessions;
use crate::server_state::ServerState;

/// How the server presents itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the replica set it is the one member of; nothing for a server alone.
    pub replica_set: Option<String>,
    /// Address under which clients reach it.
    pub address: String,
    /// The arguments the server was started with, its own name first.
    pub arguments: Vec<String>,
}

impl Default for Identity {
    /// A replica set of one member, so that transactions and change streams work out of the box.
    fn default() -> Self {
        Self {
            replica_set: Some("rs0".to_owned()),
            address: "localhost:27017".to_owned(),
            arguments: vec!["sheafd".to_owned()],
        }
    }
}

/// The commands of one database. Clones share it.
#[derive(Clone)]
pub struct Commands {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    identity: Identity,
    started_millis: i64,
    connections_opened: AtomicI64,
    /// The latest cluster time that a client told of, as a timestamp's 64 bits.
    told_cluster_time: AtomicU64,
    random: RandomState,
    random_drawn: AtomicU64,
    sessions: LogicalSessions,
    state: Mutex<ServerState>,
    /// Told when `fsync` lets writes in again.
    unlocked: Condvar,
    activity: Activity,
    log: Arc<LogLines>,
    /// The connections that are open.
    connections: Mutex<BTreeMap<i64, String>>,
}

impl Commands {
    /// The commands of this database.
    pub fn new(database: Database, identity: Identity) -> Self {
        let inner = Inner {
            database,
            identity,
            started_millis: now_millis(),
            connections_opened: AtomicI64::new(0),
            told_cluster_time: AtomicU64::new(0),
            random: RandomState::new(),
            random_drawn: AtomicU64::new(0),
            sessions: LogicalSessions::default(),
            state: Mutex::default(),
            unlocked: Condvar::new(),
            activity: Activity::default(),
            log: Arc::default(),
            connections: Mutex::default(),
        };
        let log = Arc::downgrade(&inner.log);
        inner.database.log().listen(Arc::new(move |message: &str| {
            if let Some(log) = log.upgrade() {
                let message = message.to_owned();
                // Whoever opened the database listens to it.
                let _listener =
                    log.keep(&LogLine { severity: Severity::Warning, component: "STORAGE", message });
            }
        }));
        inner.log.warn_of_start("nobody is authenticated: whoever reaches the server may do anything");
        Self { inner: Arc::new(inner) }
    }

    /// A client's way in, from within the process.
    pub fn connect(&self) -> CommandSession {
        self.connect_from("in-process".to_owned())
    }

    /// A client's way in; a door opens one for every connection. `peer` is how the client is told where it comes from.
    pub fn connect_from(&self, peer: String) -> CommandSession {
        let id = self.inner.connections_opened.fetch_add(1, Ordering::Relaxed) + 1;
        let mut connections = self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.insert(id, peer.clone());
        drop(connections);
        let engine = self.inner.database.session();
        CommandSession { commands: self.clone(), engine, connection_id: id, peer, is_bound: false }
    }

    /// Ends logical sessions and cursors that nobody used for long. A door that stays open calls this now and then.
    pub fn expire_idle(&self) {
        let cursors = self.inner.database.cursors();
        for owner in self.inner.sessions.expire() {
            cursors.kill_session(owner);
        }
        cursors.expire(registry_millis());
    }

    /// What `hello` says as `topologyVersion`: an identity of this run of the server, and how often it changed how it
    /// presents itself since, which it never does.
    pub fn topology_version(&self) -> (ObjectId, i64) {
        let [a, b, c, d, e, f, g, h] = self.inner.started_millis.to_be_bytes();
        (ObjectId([0, 0, 0, 0, a, b, c, d, e, f, g, h]), 0)
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// How the server presents itself.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Whether the server presents itself as a replica set.
    pub(crate) fn is_replica_set(&self) -> bool {
        self.inner.identity.replica_set.is_some()
    }

    /// The latest cluster time that anybody knows of.
    pub(crate) fn cluster_time(&self) -> Timestamp {
        let told = Timestamp(self.inner.told_cluster_time.load(Ordering::Acquire));
        told.max(self.inner.database.operation_time())
    }

    /// Takes note of a cluster time.
    pub(crate) fn learn_cluster_time(&self, time: Timestamp) {
        self.inner.told_cluster_time.fetch_max(time.0, Ordering::AcqRel);
    }

    pub(crate) fn started_millis(&self) -> i64 {
        self.inner.started_millis
    }

    pub(crate) fn connections_opened(&self) -> i64 {
        self.inner.connections_opened.load(Ordering::Relaxed)
    }

    pub(crate) fn sessions(&self) -> &LogicalSessions {
        &self.inner.sessions
    }

    /// What administrative commands set. Held for moments only, never across an operation of the engine.
    pub(crate) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets who else hears the lines of the log: the server's own log, say.
    pub fn listen_to_log(&self, listener: LogListener) {
        self.inner.log.listen(listener);
    }

    /// The lines of the log.
    pub(crate) fn log(&self) -> &LogLines {
        &self.inner.log
    }

    /// What runs, and what was run.
    pub(crate) fn activity(&self) -> &Activity {
        &self.inner.activity
    }

    /// The connections that are open, and where they come from.
    pub(crate) fn connections(&self) -> BTreeMap<i64, String> {
        self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a moment, or until somebody tells of a change of the state.
    pub(crate) fn wait_for_change<'a>(
        &self,
        state: MutexGuard<'a, ServerState>,
        limit: Duration,
    ) -> MutexGuard<'a, ServerState> {
        self.inner.unlocked.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Tells those who wait that the state changed.
    pub(crate) fn tell_of_change(&self) {
        self.inner.unlocked.notify_all();
    }

    /// 64 bits that nobody guesses: the keyed hash of a counter, under a key drawn at start.
    pub(crate) fn random(&self) -> u64 {
        let mut hasher = self.inner.random.build_hasher();
        hasher.write_u64(self.inner.random_drawn.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands").field("identity", &self.inner.identity).finish_non_exhaustive()
    }
}

/// One client's way in. Its cursors end with it, but for those that belong to a logical session.
#[derive(Debug)]
pub struct CommandSession {
    commands: Commands,
    engine: Session,
    connection_id: i64,
    peer: String,
    /// Whether it is another one, bound to something; that one's cursors are not this one's to close.
    is_bound: bool,
}

impl Drop for CommandSession {
    fn drop(&mut self) {
        if !self.is_bound {
            self.commands.database().cursors().kill_session(self.engine.id());
            let mut open = self.commands.inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&self.connection_id);
        }
    }
}

impl CommandSession {
    /// The commands it is a way into.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The engine's session under it.
    pub fn engine(&self) -> &Session {
        &self.engine
    }

    /// The same way in over an engine session that is bound to something.
    pub(crate) fn bound(&self, engine: Session) -> Self {
        let (commands, peer) = (self.commands.clone(), self.peer.clone());
        Self { commands, engine, connection_id: self.connection_id, peer, is_bound: true }
    }

    /// The number of the connection.
    pub fn connection_id(&self) -> i64 {
        self.connection_id
    }

    /// Where the client comes from.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Who owns the cursors of a request: its logical session, else the connection.
    pub(crate) fn cursor_owner(&self, logical_session: Option<&[u8; 16]>) -> SessionId {
        logical_session.map_or(self.engine.id(), |id| self.commands.sessions().owner(id))
    }
}
