//! Sessions: one client's view of a database, and the door to its operations.

mod operations;

use crate::Database;

/// Identity of a session within its database's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One client's view of a database. Operations of one session may come from several threads; each is on its own.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    database: Database,
}

impl Session {
    pub(crate) fn new(id: SessionId, database: Database) -> Self {
        Self { id, database }
    }

    /// Its identity.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The database it works on.
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.database.cursors().kill_session(self.id);
    }
}
