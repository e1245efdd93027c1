//! The gRPC door: a file per service, and what the services share.
//!
//! A request is decoded on a thread of the network, then a thread of the [`StoragePool`] maps it onto an operation of
//! a [`Session`], and only there the engine is called. Nothing here gives an operation a meaning of its own.

mod batch_stream;
mod bson_field;
mod catalog_service;
mod deadline;
mod document_service;
mod object_id;
mod query;
mod resume_token;
mod resumption;
pub mod status;
mod write;

use std::sync::Arc;
use std::time::Instant;

use sheaf_engine::{Database, Session};
use tonic::{Request, Response, Status};

use crate::metrics::Metrics;
use crate::storage_pool::StoragePool;

pub use catalog_service::CatalogDoor;
pub use document_service::DocumentDoor;
pub use resume_token::TokenSeal;

use deadline::Deadline;
use object_id::ObjectIdSource;

/// Largest message from a client, in bytes. Room for two of the largest documents and a bulk of smaller ones.
pub const REQUEST_BYTES_MAX: usize = 48 << 20;

/// Largest message to a client, in bytes: a document of 16 MiB with everything around it, and BatchGet's answers.
pub const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Documents of a stream are sent in batches of this many bytes, or one document.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// What the services of the door share.
#[derive(Clone)]
pub struct Door {
    database: Database,
    pool: StoragePool,
    metrics: Metrics,
    seal: TokenSeal,
    object_ids: Arc<ObjectIdSource>,
}

/// What a request is worked on with, on a thread of the pool.
struct Work {
    session: Session,
    deadline: Deadline,
    door: Door,
}

impl Door {
    /// A door to this database.
    pub fn new(
        database: Database,
        pool: StoragePool,
        metrics: Metrics,
        seal: TokenSeal,
    ) -> std::io::Result<Self> {
        let object_ids = Arc::new(ObjectIdSource::new()?);
        Ok(Self { database, pool, metrics, seal, object_ids })
    }

    /// Answers a request with one message.
    async fn unary<Q, A, F>(
        &self,
        method: &'static str,
        request: Request<Q>,
        work: F,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
        F: FnOnce(&Work, &Q) -> Result<A, Status> + Send + 'static,
    {
        let begun = Instant::now();
        let _in_flight = self.metrics.begin();
        let answer = self.work(request, work).await;
        let code = answer.as_ref().map_or_else(Status::code, |_| tonic::Code::Ok);
        self.metrics.answered(method, code, begun.elapsed());
        answer.map(Response::new)
    }

    /// Runs the work of a request on the pool.
    async fn work<Q, A, F>(&self, request: Request<Q>, work: F) -> Result<A, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
        F: FnOnce(&Work, &Q) -> Result<A, Status> + Send + 'static,
    {
        let deadline = Deadline::of(request.metadata());
        let request = request.into_inner();
        let door = self.clone();
        let answer = self.pool.run(move || {
            // It may have waited for its turn for longer than its caller does for the answer.
            if deadline.has_passed() {
                return Err(status::deadline_exceeded());
            }
            let session = door.database.session();
            work(&Work { session, deadline, door }, &request)
        });
        answer.await?
    }
}
