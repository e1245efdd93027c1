//! The running server: it opens the database, binds its doors, serves, and drains.
//!
//! A shutdown goes through these steps, in this order:
//! 1. Health and readiness say "not serving", so that balancers send nobody new.
//! 2. The gRPC and MongoDB wire doors take no new request and finish those in flight, for at most the drain time; then
//!    they hang up.
//! 3. The HTTP door closes.
//! 4. The database ends its background work and syncs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sheaf_command::Identity;
use sheaf_engine::{Database, DatabaseOptions, Error};
use sheaf_proto::v1::catalog_service_server::CatalogServiceServer;
use sheaf_proto::v1::document_service_server::DocumentServiceServer;
use sheaf_storage::{Encryption, MasterKey};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::Config;
use crate::grpc::{CatalogDoor, DocumentDoor, Door, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, TokenSeal};
use crate::http;
use crate::metrics::Metrics;
use crate::shutdown::{self, Shutdown, ShutdownTrigger};
use crate::storage_pool::StoragePool;

/// A data directory of this name is none: the database lives in memory and ends with the process.
pub const MEMORY: &str = ":memory:";

/// How often a quiet connection is probed, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of one connection at once; more wait in the client.
const CONNECTION_STREAMS_MAX: u32 = 1024;

/// What a client may send before it hears back, in bytes: by request, and by connection.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Why the server does not run. The caller prints it and exits.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database cannot be opened or closed.
    #[error("{0}")]
    Database(#[from] Error),
    /// A door cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The door's address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A door failed while it was open.
    #[error("the {door} door failed: {message}")]
    Door {
        /// "gRPC", "MongoDB wire" or "HTTP".
        door: &'static str,
        /// Why.
        message: String,
    },
    /// The master key cannot be read.
    #[error("cannot take the master key from {}: {reason}", path.display())]
    MasterKey {
        /// The key's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server's own files cannot be read or written.
    #[error("cannot prepare the server's files in the data directory: {0}")]
    Files(std::io::Error),
}

/// A server that serves.
pub struct Server {
    grpc: SocketAddr,
    http: SocketAddr,
    wire: Option<SocketAddr>,
    stop: ShutdownTrigger,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Server {
    /// Opens the database and the doors. When this returns, requests are answered.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let grpc = listen(config.grpc).await?;
        let http = listen(config.http).await?;
        let (grpc_address, http_address) = (address(&grpc, config.grpc)?, address(&http, config.http)?);
        let wire = match config.wire {
            Some(asked) => Some(listen(asked).await?),
            None => None,
        };
        let wire_address =
            wire.as_ref().map(TcpListener::local_addr).transpose().map_err(ServerError::Files)?;
        let drain = config.drain;
        let replica_set = config.replica_set.clone();
        let pool = StoragePool::new(config.storage_threads_max);
        let reflection = config.reflection;
        let (database, seal) = open(config).await?;
        database.log().listen(std::sync::Arc::new(crate::logging::of_database));
        let metrics = Metrics::of_store(database.store().clone());
        let door =
            Door::new(database.clone(), pool.clone(), metrics.clone(), seal).map_err(ServerError::Files)?;
        let (health, router) = router(door, reflection).await?;
        let (stop, stopping) = shutdown::channel();
        let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let identity =
            wire_address.map(|address| Identity { replica_set, address: address.to_string(), arguments });
        let wire = wire.zip(identity);
        let doors = Doors { grpc, http, wire, router, health, metrics, pool };
        let task = tokio::spawn(run(doors, stopping, drain, database));
        Ok(Self { grpc: grpc_address, http: http_address, wire: wire_address, stop, task })
    }

    /// Where gRPC is served.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the MongoDB wire protocol is spoken, if it is.
    pub fn wire(&self) -> Option<SocketAddr> {
        self.wire
    }

    /// Drains and closes; returns when the data is safe.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.stop.fire();
        self.join().await
    }

    /// Waits until a door fails. Meant for racing it with a signal.
    pub async fn failed(&mut self) -> Result<(), ServerError> {
        joined((&mut self.task).await)
    }

    async fn join(self) -> Result<(), ServerError> {
        joined(self.task.await)
    }
}

fn joined(result: Result<Result<(), ServerError>, tokio::task::JoinError>) -> Result<(), ServerError> {
    let ended =
        |error: tokio::task::JoinError| ServerError::Door { door: "gRPC", message: error.to_string() };
    result.map_err(ended)?
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, ServerError> {
    listener.local_addr().map_err(|source| ServerError::Listen { address: asked, source })
}

/// The master key in a file.
fn master_key(path: &Path, id: &str) -> Result<Encryption, ServerError> {
    let key = |reason: String| ServerError::MasterKey { path: path.to_owned(), reason };
    let content = std::fs::read(path).map_err(|error| key(error.to_string()))?;
    MasterKey::parse(id, &content).map(Encryption::new).map_err(|error| key(error.to_string()))
}

async fn open(config: Config) -> Result<(Database, TokenSeal), ServerError> {
    let opening = tokio::task::spawn_blocking(move || {
        let mut options = DatabaseOptions::default();
        options.store.durability = config.durability.into();
        options.store.retention = config.history;
        options.store.encryption =
            config.master_key.as_ref().map(|(path, id)| master_key(path, id)).transpose()?;
        options.store.cache_bytes = config.cache_bytes;
        options.store.memtable_bytes = config.memtable_bytes;
        options.operator_memory_bytes_max = config.query_bytes;
        if config.data == Path::new(MEMORY) {
            let database = Database::in_memory(options)?;
            return Ok((database, TokenSeal::ephemeral().map_err(ServerError::Files)?));
        }
        let database = Database::open(&config.data, options)?;
        let seal = TokenSeal::of_directory(&config.data).map_err(ServerError::Files)?;
        Ok((database, seal))
    });
    let ended = |error: tokio::task::JoinError| ServerError::Files(std::io::Error::other(error));
    opening.await.map_err(ended)?
}

/// The services of the gRPC door.
async fn router(door: Door, reflection: bool) -> Result<(HealthReporter, Router), ServerError> {
    let documents = DocumentServiceServer::new(DocumentDoor(door.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let catalog = CatalogServiceServer::new(CatalogDoor(door))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    report(&health, ServingStatus::Serving).await;
    let mut router = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(CONNECTION_STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(health_service)
        .add_service(documents)
        .add_service(catalog);
    if reflection {
        let describe = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(sheaf_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let failed = |error: tonic_reflection::server::Error| ServerError::Door {
            door: "gRPC",
            message: error.to_string(),
        };
        router = router
            .add_service(describe().build_v1().map_err(failed)?)
            .add_service(describe().build_v1alpha().map_err(failed)?);
    }
    Ok((health, router))
}

/// Sets the health of the server as a whole and of each service.
async fn report(health: &HealthReporter, status: ServingStatus) {
    for service in ["", "sheaf.v1.DocumentService", "sheaf.v1.CatalogService"] {
        health.set_service_status(service, status).await;
    }
}

/// Everything that is open.
struct Doors {
    grpc: TcpListener,
    http: TcpListener,
    wire: Option<(TcpListener, Identity)>,
    router: Router,
    health: HealthReporter,
    metrics: Metrics,
    pool: StoragePool,
}

async fn run(
    doors: Doors,
    stopping: Shutdown,
    drain: Duration,
    database: Database,
) -> Result<(), ServerError> {
    let Doors { grpc, http, wire, router, health, metrics, pool } = doors;
    let (close_http, http_closed) = shutdown::channel();
    let wire_metrics = metrics.clone();
    let http_door = tokio::spawn(http::serve(http, metrics, stopping.clone(), http_closed));
    let wire_door =
        tokio::spawn(serve_wire(wire, database.clone(), pool, wire_metrics, stopping.clone(), drain));
    let incoming = TcpIncoming::from(grpc).with_nodelay(Some(true));
    let draining = stopping.clone();
    let serve = router.serve_with_incoming_shutdown(incoming, async move {
        draining.requested().await;
        report(&health, ServingStatus::NotServing).await;
    });
    let served = tokio::select! {
        served = serve => served.map_err(|error| ServerError::Door { door: "gRPC", message: error.to_string() }),
        () = async { stopping.requested().await; tokio::time::sleep(drain).await } => {
            tracing::warn!(?drain, "requests were still in flight after the drain time; they were cut off");
            Ok(())
        }
    };
    if served.is_err() {
        // Nobody asked to stop: the server falls, and this door with it.
        wire_door.abort();
    }
    let wire_served = match wire_door.await {
        Err(error) if !error.is_cancelled() => {
            Err(ServerError::Door { door: "MongoDB wire", message: error.to_string() })
        }
        Ok(()) | Err(_) => Ok(()),
    };
    close_http.fire();
    let http_failed = |message| ServerError::Door { door: "HTTP", message };
    let http_served = match tokio::time::timeout(drain, http_door).await {
        Ok(Ok(served)) => served.map_err(|error| http_failed(error.to_string())),
        Ok(Err(error)) => Err(http_failed(error.to_string())),
        // A scraper that holds its connection open keeps nobody from closing.
        Err(_) => Ok(()),
    };
    let closing = tokio::task::spawn_blocking(move || database.close());
    let closed = closing.await.map_err(|error| ServerError::Files(std::io::Error::other(error)))?;
    served.and(wire_served).and(http_served).and(closed.map_err(ServerError::from))
}

/// Serves the MongoDB wire door, if it is to be there, until `stopping` fires and for at most `drain` longer.
#[cfg(feature = "wire")]
async fn serve_wire(
    door: Option<(TcpListener, Identity)>,
    database: Database,
    pool: StoragePool,
    metrics: Metrics,
    stopping: Shutdown,
    drain: Duration,
) {
    let Some((listener, identity)) = door else { return };
    let commands = sheaf_command::Commands::new(database, identity);
    commands.listen_to_log(std::sync::Arc::new(crate::logging::of_commands));
    crate::wire::Door::new(commands, pool, metrics).serve(listener, stopping, drain).await;
}

/// The door was left out of this build, and the configuration cannot ask for it.
#[cfg(not(feature = "wire"))]
async fn serve_wire(
    _: Option<(TcpListener, Identity)>,
    _: Database,
    _: StoragePool,
    _: Metrics,
    _: Shutdown,
    _: Duration,
) {
}
