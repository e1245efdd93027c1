//! Where commands go: an embedded database, or a server.

mod embedded;
mod remote;

use std::path::PathBuf;

use clap::Args;
use sheaf_document::RawDocumentBuf;

use embedded::Embedded;
use remote::Remote;

/// Which database; exactly one of the two.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct TargetOptions {
    /// The directory of an embedded database; created if it is not there.
    #[arg(long)]
    path: Option<PathBuf>,
    /// The gRPC address of a server, for instance 127.0.0.1:7070.
    #[arg(long)]
    server: Option<String>,
}

/// An open database.
pub enum Target {
    /// In this process.
    Embedded(Embedded),
    /// Behind gRPC.
    Remote(Box<Remote>),
}

impl Target {
    /// Opens the directory, or connects to the server.
    pub fn open(options: &TargetOptions) -> Result<Self, String> {
        match (&options.path, &options.server) {
            (Some(path), _) => Embedded::open(path).map(Self::Embedded),
            (None, Some(server)) => Remote::connect(server).map(Box::new).map(Self::Remote),
            (None, None) => Err("needs --path or --server".to_owned()),
        }
    }

    /// Runs a command; the reply may say that it failed (see [`crate::reply::checked`]).
    pub fn run(&self, database: &str, command: &RawDocumentBuf) -> Result<RawDocumentBuf, String> {
        match self {
            Self::Embedded(embedded) => embedded.run(database, command),
            Self::Remote(remote) => remote.run(database, command.as_raw()),
        }
    }

    /// Closes it; what was acknowledged is durable.
    pub fn close(self) -> Result<(), String> {
        match self {
            Self::Embedded(embedded) => embedded.close(),
            Self::Remote(_) => Ok(()),
        }
    }
}
