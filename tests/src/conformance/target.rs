//! What the corpus is run against.

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
