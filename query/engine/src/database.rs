//! The embedded database: a store, the catalog in it, and the sessions on it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sheaf_document::{ObjectId, Timestamp};
use sheaf_language::expression::Environment;
use sheaf_storage::{
    BackgroundWork, DiskVfs, KeyspaceOptions, MemoryVfs, PrefixRule, Store, StoreOptions, Tablet, Vfs,
};

use crate::catalog::Catalog;
use crate::cursor::CursorRegistry;
use crate::entropy::Entropy;
use crate::executor::{SpillSpace, SpillStatistics};
use crate::expiry::{ExpiryMonitor, TTL_INTERVAL_DEFAULT};
use crate::key_layout::{DOCUMENTS, INDEXES, PREFIX_BYTES};
use crate::log_sink::LogSink;
use crate::session::{LogicalSessions, Session, SessionId, WriteIntents};
use crate::{Error, Result, error_code};

/// Documents of at least this many bytes are stored apart from their keys: compaction then moves references to them.
const LARGE_DOCUMENT_BYTES: usize = 4 << 10;

/// How a database is opened. Start from [`DatabaseOptions::default`].
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// How the store under it is opened: durability, cache, memory, history.
    pub store: StoreOptions,
    /// Memory a blocking operator (sort, group) may use before it spills to disk, in bytes.
    pub operator_memory_bytes_max: usize,
    /// Whether such an operator may spill if the operation does not say.
    pub allow_disk_use: bool,
    /// Whether reads know `$$CLUSTER_TIME`: a member of a replica set does, a server alone does not.
    pub has_cluster_clock: bool,
    /// Time between two passes that delete expired documents. Zero: none but by call. Neither is there one where the
    /// store does its background work inline, or is read-only.
    pub ttl_interval: Duration,
    /// Bytes that a transaction over several operations may write.
    pub transaction_bytes_max: usize,
    /// How long such a transaction may run, unless [`Database::set_transaction_lifetime`] says otherwise.
    pub transaction_lifetime: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            operator_memory_bytes_max: 100 << 20,
            allow_disk_use: true,
            has_cluster_clock: true,
            ttl_interval: TTL_INTERVAL_DEFAULT,
            transaction_bytes_max: 256 << 20,
            transaction_lifetime: Duration::from_secs(60),
        }
    }
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: DatabaseOptions,
    store: Store,
    tablet: Tablet,
    catalog: Catalog,
    spill: Arc<SpillSpace>,
    cursors: CursorRegistry,
    entropy: Entropy,
    expiry: ExpiryMonitor,
    sessions_opened: AtomicU64,
    log: LogSink,
    /// The last cluster time that was given out, as a timestamp's 64 bits.
    cluster_time: AtomicU64,
    logical_sessions: LogicalSessions,
    intents: Arc<WriteIntents>,
    transaction_lifetime_millis: AtomicU64,
}

impl Database {
    /// Opens the database in a directory, which is created if the options say so.
    pub fn open(path: impl AsRef<Path>, options: DatabaseOptions) -> Result<Self> {
        Self::open_with(Arc::new(DiskVfs), path.as_ref(), options)
    }

    /// Opens a new database that lives in memory and ends with its last clone.
    pub fn in_memory(options: DatabaseOptions) -> Result<Self> {
        Self::open_with(Arc::new(MemoryVfs::new()), Path::new("/memory"), options)
    }

    /// Opens the database in a directory of any file system.
    pub fn open_with(vfs: Arc<dyn Vfs>, path: &Path, mut options: DatabaseOptions) -> Result<Self> {
        let indexes =
            KeyspaceOptions { prefix: PrefixRule::Fixed(PREFIX_BYTES), ..KeyspaceOptions::default() };
        let documents = KeyspaceOptions { blob_threshold_bytes: Some(LARGE_DOCUMENT_BYTES), ..indexes };
        for (keyspace, own) in [(DOCUMENTS, documents), (INDEXES, indexes)] {
            options.store.keyspaces.entry(keyspace).or_insert(own);
        }
        let seed = vfs.unique_id().map_err(|error| {
            Error::new(error_code::FILE_STREAM_FAILED, format!("no random numbers to be had: {error}"))
        })?;
        let store = Store::open(Arc::clone(&vfs), path, options.store.clone())?;
        // Only now: whoever opened the store has its directory alone.
        let encrypted = options.store.encryption.is_some();
        let spill = Arc::new(SpillSpace::open(vfs, path.join("spill"), encrypted)?);
        let tablet = store.tablet();
        let catalog = Catalog::open(tablet.clone(), Arc::clone(&options.store.clock))?;
        let expiry = ExpiryMonitor::new(options.ttl_interval);
        let lifetime = u64::try_from(options.transaction_lifetime.as_millis()).unwrap_or(u64::MAX);
        let inner = Inner {
            options,
            store,
            tablet,
            catalog,
            spill,
            cursors: CursorRegistry::default(),
            entropy: Entropy::new(seed),
            expiry,
            sessions_opened: AtomicU64::new(0),
            log: LogSink::default(),
            cluster_time: AtomicU64::new(0),
            logical_sessions: LogicalSessions::default(),
            intents: Arc::default(),
            transaction_lifetime_millis: AtomicU64::new(lifetime),
        };
        let database = Self { inner: Arc::new(inner) };
        database.start_expiry()?;
        Ok(database)
    }

    fn start_expiry(&self) -> Result<()> {
        let options = &self.inner.options;
        let is_inline = matches!(options.store.background, BackgroundWork::Inline);
        if options.ttl_interval.is_zero() || is_inline || options.store.read_only {
            return Ok(());
        }
        let weak = Arc::downgrade(&self.inner);
        self.inner.expiry.start(move || {
            let Some(inner) = weak.upgrade() else { return false };
            // What failed is counted; the next pass tries again.
            let _counted = Self { inner }.delete_expired();
            true
        })
    }

    pub(crate) fn expiry(&self) -> &ExpiryMonitor {
        &self.inner.expiry
    }

    /// Opens a session.
    pub fn session(&self) -> Session {
        Session::new(self.new_session_id(), self.clone())
    }

    /// An identity for a session, or for what owns cursors as one does.
    pub(crate) fn new_session_id(&self) -> SessionId {
        SessionId(self.inner.sessions_opened.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn logical_sessions(&self) -> &LogicalSessions {
        &self.inner.logical_sessions
    }

    /// How long a transaction over several operations may run.
    pub fn transaction_lifetime(&self) -> Duration {
        Duration::from_millis(self.inner.transaction_lifetime_millis.load(Ordering::Relaxed))
    }

    /// Changes how long a transaction over several operations may run, those that run now included.
    pub fn set_transaction_lifetime(&self, lifetime: Duration) {
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.inner.transaction_lifetime_millis.store(millis, Ordering::Relaxed);
    }

    /// How it was opened.
    pub fn options(&self) -> &DatabaseOptions {
        &self.inner.options
    }

    /// The cursors that wait for their next request.
    pub fn cursors(&self) -> &CursorRegistry {
        &self.inner.cursors
    }

    /// Where it says what no caller is told.
    pub fn log(&self) -> &LogSink {
        &self.inner.log
    }

    /// The store under it: statistics, checkpoints, verification.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Ends background work and syncs what was acknowledged. Operations on any clone fail from now on.
    pub fn close(&self) -> Result<()> {
        self.inner.expiry.stop();
        self.wake_waiting_cursors();
        Ok(self.inner.store.close()?)
    }

    /// Cursors that wait for data find out that there will be none.
    fn wake_waiting_cursors(&self) {
        let state = self.catalog().state();
        for name in state.databases() {
            state.collections(name).for_each(|collection| collection.arrivals.announce());
        }
    }

    /// Milliseconds since 1970, by the clock of the options.
    pub fn now_millis(&self) -> i64 {
        i64::try_from(self.inner.options.store.clock.wall_millis()).unwrap_or(i64::MAX)
    }

    /// 64 random bits, e.g. for the number of a cursor.
    pub fn random(&self) -> u64 {
        self.inner.entropy.next()
    }

    /// A new object id.
    pub fn new_object_id(&self) -> ObjectId {
        self.inner.entropy.object_id(self.inner.options.store.clock.wall_seconds())
    }

    pub(crate) fn new_uuid(&self) -> [u8; 16] {
        self.inner.entropy.uuid()
    }

    pub(crate) fn new_environment(&self) -> Environment {
        let mut environment = Environment::new(self.now_millis(), self.random());
        environment.cluster_time = Some(self.new_timestamp());
        environment
    }

    /// A timestamp of now, always later than the one given out before.
    pub(crate) fn new_timestamp(&self) -> Timestamp {
        let seconds = self.inner.options.store.clock.wall_seconds();
        let now = Timestamp { seconds, increment: 1 }.as_u64();
        let last = self
            .inner
            .cluster_time
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last.saturating_add(1))));
        Timestamp::from_u64(now.max(last.unwrap_or(0).saturating_add(1)))
    }

    /// Where blocking operators put what they cannot hold.
    pub(crate) fn spill_space(&self) -> &Arc<SpillSpace> {
        &self.inner.spill
    }

    /// What queries wrote to temporary files since the database was opened.
    pub fn spill_statistics(&self) -> SpillStatistics {
        self.inner.spill.totals.get()
    }

    /// What open transactions have written.
    pub(crate) fn intents(&self) -> &Arc<WriteIntents> {
        &self.inner.intents
    }

    /// The time of the last write that readers see.
    pub fn operation_time(&self) -> sheaf_storage::Timestamp {
        self.inner.tablet.last_timestamp()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    pub(crate) fn tablet(&self) -> &Tablet {
        &self.inner.tablet
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.expiry.stop();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("cursors", &self.inner.cursors.count()).finish_non_exhaustive()
    }
}
