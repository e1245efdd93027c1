//! sheafd: the doors of the database (gRPC, MongoDB wire, HTTP), configuration, shutdown.

pub mod config;
pub mod grpc;
mod http;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod shutdown;
pub mod storage_pool;
#[cfg(feature = "wire")]
pub mod wire;
