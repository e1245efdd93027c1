//! What the corpus is run against.

use sheaf_command::{CommandReply, CommandSession, Commands, Identity, run_command};
use sheaf_document::{DOCUMENT_BYTES_HEADROOM, DOCUMENT_BYTES_MAX, RawDocument};
use sheaf_engine::{Database, DatabaseOptions, Error};

use super::Topology;

/// Something that answers commands. Every case gets an exchange of its own, and with it an empty server.
pub trait Target: Sync {
    /// An empty server that presents itself this way.
    fn open(&self, topology: Topology) -> Result<Box<dyn Exchange>, String>;
}

/// A conversation with one server.
pub trait Exchange {
    /// Sends a command (BSON bytes) and returns the reply (BSON bytes).
    fn run(&mut self, database: &str, command: &[u8]) -> Result<Vec<u8>, String>;
}

/// The commands themselves, over a database in memory for every case.
#[derive(Debug)]
pub struct InProcess;

impl Target for InProcess {
    fn open(&self, topology: Topology) -> Result<Box<dyn Exchange>, String> {
        let has_cluster_clock = topology == Topology::ReplicaSet;
        let options = DatabaseOptions { has_cluster_clock, ..DatabaseOptions::default() };
        let database = Database::in_memory(options).map_err(|error| format!("no database: {error}"))?;
        let replica_set = match topology {
            Topology::ReplicaSet => Some("rs0".to_owned()),
            Topology::Standalone => None,
        };
        let commands = Commands::new(database, Identity { replica_set, ..Identity::default() });
        Ok(Box::new(commands.connect()))
    }
}

impl Exchange for CommandSession {
    fn run(&mut self, database: &str, command: &[u8]) -> Result<Vec<u8>, String> {
        let limit = DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_HEADROOM;
        // What is no document a door refuses as the MongoDB wire door does.
        let reply = match RawDocument::validate_with_limit(command, limit) {
            Ok(command) => run_command(self, database, command),
            Err(error) => CommandReply::failure(&Error::from(error)),
        };
        Ok(reply.document.into_bytes())
    }
}
