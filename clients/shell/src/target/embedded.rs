//! A database in this process.

use std::path::Path;

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::RawDocumentBuf;
use sheaf_engine::{Database, DatabaseOptions};

/// The database and our one session on it.
pub struct Embedded {
    database: Database,
    session: CommandSession,
}

impl Embedded {
    /// Opens the directory.
    pub fn open(path: &Path) -> Result<Self, String> {
        let database = Database::open(path, DatabaseOptions::default())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let session = Commands::new(database.clone(), Identity::default()).connect();
        Ok(Self { database, session })
    }

    /// Runs a command.
    pub fn run(&self, database: &str, command: &RawDocumentBuf) -> Result<RawDocumentBuf, String> {
        Ok(run_command(&self.session, database, command.as_raw()).document)
    }

    /// Syncs and closes.
    pub fn close(self) -> Result<(), String> {
        drop(self.session);
        self.database.close().map_err(|error| error.to_string())
    }
}
