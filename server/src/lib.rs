//! sheafd: the doors of the database (gRPC, HTTP), configuration, shutdown.

pub mod config;
pub mod grpc;
mod http;
pub mod logging;
mod metrics;
pub mod server;
pub mod shutdown;
mod storage_pool;
