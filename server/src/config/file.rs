//! The TOML file, exactly as written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::suggestion::nearest;
use super::{ConfigError, DefaultDurability, LogFormat};

/// Every key there is, with its section. A test holds this list and the structs below together.
pub(super) const KEYS: [&str; 18] = [
    "data",
    "listen.grpc",
    "listen.http",
    "listen.insecure",
    "listen.wire",
    "log.filter",
    "log.format",
    "memory.cache_bytes",
    "memory.memtable_bytes",
    "memory.query_bytes",
    "server.drain_seconds",
    "server.reflection",
    "server.storage_threads_max",
    "storage.durability",
    "storage.history_seconds",
    "storage.master_key_file",
    "storage.master_key_id",
    "wire.replica_set",
];

/// The settings of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is documented where it is resolved, in Config")]
pub struct FileSettings {
    pub data: Option<PathBuf>,
    pub listen: Listen,
    pub log: Log,
    pub memory: Memory,
    pub server: Server,
    pub storage: Storage,
    pub wire: Wire,
}

/// Section `[listen]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    pub grpc: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub wire: Option<SocketAddr>,
    pub insecure: Option<bool>,
}

/// Section `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: Option<LogFormat>,
    pub filter: Option<String>,
}

/// Section `[memory]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    pub cache_bytes: Option<u64>,
    pub memtable_bytes: Option<usize>,
    pub query_bytes: Option<usize>,
}

/// Section `[server]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub drain_seconds: Option<u64>,
    pub reflection: Option<bool>,
    pub storage_threads_max: Option<usize>,
}

/// Section `[storage]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    pub durability: Option<DefaultDurability>,
    pub history_seconds: Option<u64>,
    pub master_key_file: Option<PathBuf>,
    pub master_key_id: Option<String>,
}

/// Section `[wire]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    pub replica_set: Option<String>,
}

impl FileSettings {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let malformed = |error: toml::de::Error| ConfigError::Malformed {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let table: toml::Table = text.parse().map_err(malformed)?;
        // Unknown keys are looked for before the values are read, so that a misspelt key is named as such.
        if let Some(key) = unknown_key(&table, "") {
            let suggestion = nearest(&key, &KEYS);
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key, suggestion });
        }
        toml::from_str(text).map_err(malformed)
    }
}

fn unknown_key(table: &toml::Table, section: &str) -> Option<String> {
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let is_section =
            KEYS.iter().any(|known| known.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.')));
        match value {
            toml::Value::Table(nested) if is_section => {
                if let Some(found) = unknown_key(nested, &key) {
                    return Some(found);
                }
            }
            // A section that holds a plain value is a wrong type, which reading the values reports.
            _ if is_section || KEYS.contains(&key.as_str()) => {}
            _ => return Some(key),
        }
    }
    None
}
