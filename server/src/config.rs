//! How sheafd is configured: flags, then environment, then a TOML file, then defaults.
//!
//! Two steps. [`Flags`] and [`FileSettings`] hold what was written, each value optional; [`Config::resolve`] merges
//! them, fills in the defaults and refuses what must not be. Everything behind it sees only the [`Config`].

mod file;
mod flags;
mod suggestion;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sheaf_storage::Durability;

pub use file::FileSettings;
pub use flags::Flags;

/// Bytes of memory for the block cache unless configured.
const CACHE_BYTES: u64 = 256 << 20;
/// Size at which a memtable is sealed unless configured.
const MEMTABLE_BYTES: usize = 32 << 20;
/// Memory that a sort or group may use before it spills to disk unless configured.
const QUERY_BYTES: usize = 100 << 20;
/// How long a shutdown waits for requests in flight unless configured.
const DRAIN: Duration = Duration::from_secs(10);
/// How long history stays readable unless configured: a stream that broke can be resumed for this long, whatever was
/// written meanwhile.
const HISTORY: Duration = Duration::from_secs(300);
/// Requests that may work on storage at once unless configured. More than cores, because a synced write sleeps until
/// the log is on disk, and the more writes sleep together the fewer syncs they need.
const STORAGE_THREADS_MAX: usize = 128;

/// What is wrong with a configuration. The caller prints it and exits.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value is of the wrong type.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// The file has a key that means nothing.
    #[error("{}: unknown key `{key}`{}", path.display(), suggestion.as_ref().map_or_else(String::new, |known| format!("; did you mean `{known}`?")))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, with its sections.
        key: String,
        /// The known key that looks most like it.
        suggestion: Option<&'static str>,
    },
    /// A value is out of its range.
    #[error("{name}: {reason}")]
    OutOfRange {
        /// The setting, as the file names it.
        name: &'static str,
        /// What is allowed.
        reason: String,
    },
    /// A door would be open to the network without anything guarding it.
    #[error(
        "{name} = {address} can be reached from other machines and nothing guards it; listen on 127.0.0.1 or ::1, \
         or say --insecure if the network is trusted"
    )]
    Exposed {
        /// The setting, as the file names it.
        name: &'static str,
        /// The refused address.
        address: SocketAddr,
    },
    /// The MongoDB wire door would be open to the network, and it cannot ask who is there.
    #[error(
        "listen.wire = {address} can be reached from other machines, and the MongoDB wire door knows no authentication \
         yet; listen on 127.0.0.1 or ::1 (--insecure does not change this)"
    )]
    WireExposed {
        /// The refused address.
        address: SocketAddr,
    },
    /// The MongoDB wire door is asked for but was left out of this build.
    #[error("listen.wire: this sheafd was built without the MongoDB wire door (cargo feature `wire`)")]
    WireLeftOut,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What an acknowledged write means where the request does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultDurability {
    /// It is on disk.
    #[default]
    Synced,
    /// It is with the operating system.
    Written,
}

impl From<DefaultDurability> for Durability {
    fn from(durability: DefaultDurability) -> Self {
        match durability {
            DefaultDurability::Synced => Self::Sync,
            DefaultDurability::Written => Self::Async,
        }
    }
}

/// A complete, checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// Where the gRPC door listens; port 0 takes a free one.
    pub grpc: SocketAddr,
    /// Where metrics and health are served over HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where the MongoDB wire protocol is spoken, if it is; port 0 takes a free one.
    pub wire: Option<SocketAddr>,
    /// Name of the replica set whose one member the MongoDB wire door presents this server as; nothing for a server
    /// alone.
    pub replica_set: Option<String>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, in `tracing`'s filter syntax.
    pub log_filter: String,
    /// Whether the server describes its contracts to clients such as grpcurl.
    pub reflection: bool,
    /// How long a shutdown waits for requests in flight.
    pub drain: Duration,
    /// Requests that may work on storage at once; others wait.
    pub storage_threads_max: usize,
    /// Bytes of memory for the block cache.
    pub cache_bytes: u64,
    /// Size at which a memtable is sealed, in bytes.
    pub memtable_bytes: usize,
    /// Memory that a sort or group may use before it spills to disk, in bytes.
    pub query_bytes: usize,
    /// How long history stays readable, for streams and pages that go on.
    pub history: Duration,
    /// The file and the id of the master key of an encrypted database.
    pub master_key: Option<(PathBuf, String)>,
    /// What an acknowledged write means where the request does not say.
    pub durability: DefaultDurability,
}

impl Config {
    /// Reads the file the flags name, if any, and resolves the two.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => FileSettings::read(path)?,
            None => FileSettings::default(),
        };
        Self::resolve(flags, file)
    }

    /// Merges flags (which hold the environment too) over the file over the defaults, and checks the outcome.
    pub fn resolve(flags: Flags, file: FileSettings) -> Result<Self, ConfigError> {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let key_file = flags.master_key_file.or(file.storage.master_key_file);
        let key_id = flags.master_key_id.or(file.storage.master_key_id);
        if key_file.is_some() != key_id.is_some() {
            let reason = "needs storage.master_key_id beside it, and the other way round".to_owned();
            return Err(ConfigError::OutOfRange { name: "storage.master_key_file", reason });
        }
        let drain_seconds = flags.drain_seconds.or(file.server.drain_seconds);
        let config = Self {
            data: flags.data.or(file.data).unwrap_or_else(|| PathBuf::from("sheaf-data")),
            grpc: flags.grpc.or(file.listen.grpc).unwrap_or(loopback(7070)),
            http: flags.http.or(file.listen.http).unwrap_or(loopback(7071)),
            wire: flags.wire.or(file.listen.wire),
            replica_set: flags.replica_set.or(file.wire.replica_set),
            log_format: flags.log_format.or(file.log.format).unwrap_or_default(),
            log_filter: flags.log_filter.or(file.log.filter).unwrap_or_else(|| "info".to_owned()),
            reflection: flags.reflection.or(file.server.reflection).unwrap_or(true),
            drain: drain_seconds.map_or(DRAIN, Duration::from_secs),
            storage_threads_max: flags
                .storage_threads_max
                .or(file.server.storage_threads_max)
                .unwrap_or(STORAGE_THREADS_MAX),
            cache_bytes: flags.cache_bytes.or(file.memory.cache_bytes).unwrap_or(CACHE_BYTES),
            memtable_bytes: flags.memtable_bytes.or(file.memory.memtable_bytes).unwrap_or(MEMTABLE_BYTES),
            query_bytes: flags.query_bytes.or(file.memory.query_bytes).unwrap_or(QUERY_BYTES),
            history: flags
                .history_seconds
                .or(file.storage.history_seconds)
                .map_or(HISTORY, Duration::from_secs),
            master_key: key_file.zip(key_id),
            durability: flags.durability.or(file.storage.durability).unwrap_or_default(),
        };
        config.check(flags.insecure || file.listen.insecure.unwrap_or(false))?;
        Ok(config)
    }

    fn check(&self, insecure: bool) -> Result<(), ConfigError> {
        for (name, address) in [("listen.grpc", self.grpc), ("listen.http", self.http)] {
            if !insecure && !address.ip().is_loopback() {
                return Err(ConfigError::Exposed { name, address });
            }
        }
        match self.wire {
            Some(_) if cfg!(not(feature = "wire")) => return Err(ConfigError::WireLeftOut),
            Some(address) if !address.ip().is_loopback() => return Err(ConfigError::WireExposed { address }),
            Some(_) | None => {}
        }
        if let Some(name) = &self.replica_set {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if self.wire.is_none() || name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
                let reason =
                    "must be 1 to 64 letters, digits, '-', '_' or '.', and needs listen.wire".to_owned();
                return Err(ConfigError::OutOfRange { name: "wire.replica_set", reason });
            }
        }
        // Above this a thread each would cost more in stacks than it wins in waiting together.
        if !(1..=4096).contains(&self.storage_threads_max) {
            let reason = "must be between 1 and 4096".to_owned();
            return Err(ConfigError::OutOfRange { name: "server.storage_threads_max", reason });
        }
        let memory = [
            ("memory.cache_bytes", self.cache_bytes < 1 << 20),
            ("memory.memtable_bytes", self.memtable_bytes < 1 << 20),
            ("memory.query_bytes", self.query_bytes < 1 << 20),
        ];
        if let Some((name, _)) = memory.into_iter().find(|(_, is_too_small)| *is_too_small) {
            let reason = "must be at least 1048576 (1 MiB)".to_owned();
            return Err(ConfigError::OutOfRange { name, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
