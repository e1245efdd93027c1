//! What commands share beside the database: how the server presents itself, and who is connected.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sheaf_document::ObjectId;
use sheaf_engine::{Database, Session, SessionId};

use crate::clock::now_millis;
use crate::cursors::registry_millis;
use crate::logical_session::LogicalSessions;
use crate::server_state::ServerState;

/// How the server presents itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the replica set it is the one member of; nothing for a server alone.
    pub replica_set: Option<String>,
    /// Address under which clients reach it.
    pub address: String,
}

impl Default for Identity {
    /// A replica set of one member, so that transactions and change streams work out of the box.
    fn default() -> Self {
        Self { replica_set: Some("rs0".to_owned()), address: "localhost:27017".to_owned() }
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
    random: RandomState,
    random_drawn: AtomicU64,
    sessions: LogicalSessions,
    state: Mutex<ServerState>,
    counters: Mutex<HashMap<&'static str, u64>>,
}

impl Commands {
    /// The commands of this database.
    pub fn new(database: Database, identity: Identity) -> Self {
        let inner = Inner {
            database,
            identity,
            started_millis: now_millis(),
            connections_opened: AtomicI64::new(0),
            random: RandomState::new(),
            random_drawn: AtomicU64::new(0),
            sessions: LogicalSessions::default(),
            state: Mutex::default(),
            counters: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A client's way in, from within the process.
    pub fn connect(&self) -> CommandSession {
        self.connect_from("in-process".to_owned())
    }

    /// A client's way in; a door opens one for every connection. `peer` is how the client is told where it comes from.
    pub fn connect_from(&self, peer: String) -> CommandSession {
        let id = self.inner.connections_opened.fetch_add(1, Ordering::Relaxed) + 1;
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

    /// Counts a command that was run.
    pub(crate) fn count_command(&self, name: &'static str) {
        let mut counters = self.inner.counters.lock().unwrap_or_else(PoisonError::into_inner);
        *counters.entry(name).or_default() += 1;
    }

    /// How often this command was run.
    pub(crate) fn command_count(&self, name: &str) -> u64 {
        let counters = self.inner.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(name).copied().unwrap_or(0)
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
