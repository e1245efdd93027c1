//! The command line and the environment, exactly as written.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{DefaultDurability, LogFormat};

/// The server of SheafDB: a document database with MongoDB's data model and query language.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "sheafd", version, about)]
pub struct Flags {
    /// The data directory; made if it does not exist [default: sheaf-data]
    #[arg(long, value_name = "DIR", env = "SHEAFD_DATA")]
    pub data: Option<PathBuf>,
    /// Where to serve gRPC; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR", env = "SHEAFD_GRPC")]
    pub grpc: Option<SocketAddr>,
    /// Where to serve metrics and health over HTTP; port 0 takes a free one [default: 127.0.0.1:7071]
    #[arg(long, value_name = "ADDR", env = "SHEAFD_HTTP")]
    pub http: Option<SocketAddr>,
    /// Where to speak the MongoDB wire protocol, such as 127.0.0.1:27017 (loopback only); port 0 takes a free one
    /// [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "SHEAFD_WIRE")]
    pub wire: Option<SocketAddr>,
    /// Present the server to MongoDB drivers as the one member of this replica set, which opens transactions,
    /// retryable writes and change streams to them [default: a server alone]
    #[arg(long, value_name = "NAME", env = "SHEAFD_REPLICA_SET")]
    pub replica_set: Option<String>,
    /// A TOML file with further settings; flags and environment win over it
    #[arg(long, value_name = "FILE", env = "SHEAFD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Listen on addresses that other machines can reach, with nothing guarding them
    #[arg(long, env = "SHEAFD_INSECURE")]
    pub insecure: bool,
    /// How log lines look [default: pretty]
    #[arg(long, value_name = "FORMAT", env = "SHEAFD_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which log lines are written, such as `info` or `warn,sheaf_engine=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "SHEAFD_LOG_FILTER")]
    pub log_filter: Option<String>,
    /// Describe the contracts to clients such as grpcurl [default: true]
    #[arg(long, value_name = "BOOL", env = "SHEAFD_REFLECTION")]
    pub reflection: Option<bool>,
    /// How long a shutdown waits for requests in flight, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS", env = "SHEAFD_DRAIN_SECONDS")]
    pub drain_seconds: Option<u64>,
    /// Requests that may work on storage at once [default: 128]
    #[arg(long, value_name = "NUMBER", env = "SHEAFD_STORAGE_THREADS_MAX")]
    pub storage_threads_max: Option<usize>,
    /// Memory for the block cache, in bytes [default: 268435456]
    #[arg(long, value_name = "BYTES", env = "SHEAFD_CACHE_BYTES")]
    pub cache_bytes: Option<u64>,
    /// Size at which a memtable is sealed, in bytes [default: 33554432]
    #[arg(long, value_name = "BYTES", env = "SHEAFD_MEMTABLE_BYTES")]
    pub memtable_bytes: Option<usize>,
    /// Memory that a sort or group may use before it spills to disk, in bytes [default: 104857600]
    #[arg(long, value_name = "BYTES", env = "SHEAFD_QUERY_BYTES")]
    pub query_bytes: Option<usize>,
    /// How long history stays readable for streams that are resumed, in seconds [default: 300]
    #[arg(long, value_name = "SECONDS", env = "SHEAFD_HISTORY_SECONDS")]
    pub history_seconds: Option<u64>,
    /// The file with the master key of an encrypted database: 32 bytes, or 64 hexadecimal digits. A database that is made is
    /// encrypted with it [default: nothing is encrypted]
    #[arg(long, value_name = "FILE", env = "SHEAFD_MASTER_KEY_FILE")]
    pub master_key_file: Option<PathBuf>,
    /// The id of that key, by which the database remembers it
    #[arg(long, value_name = "ID", env = "SHEAFD_MASTER_KEY_ID")]
    pub master_key_id: Option<String>,
    /// When a write is acknowledged unless its request says otherwise [default: synced]
    #[arg(long, value_name = "WHEN", env = "SHEAFD_DURABILITY")]
    pub durability: Option<DefaultDurability>,
}
