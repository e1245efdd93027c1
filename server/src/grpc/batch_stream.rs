//! A cursor as a server stream.
//!
//! A task pulls one batch at a time on the storage pool and hands it over when the network took the one before: a slow
//! reader holds one batch in memory and no thread. The task ends with the cursor, with the first error, or when the
//! client goes away.

use bytes::Bytes;
use sheaf_document::RawDocumentBuf;
use sheaf_engine::Cursor;
use sheaf_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::bson_field::into_bytes;
use super::deadline::Deadline;
use super::resumption::Resumption;
use super::status::{deadline_exceeded, status};
use super::{BATCH_BYTES_MAX, Door};

/// Documents of the first batch unless the request says otherwise: the first answer comes soon, the bulk in large
/// batches.
const FIRST_BATCH_DOCUMENTS: usize = 128;

/// The stream a service returns.
pub type BatchStream<M> = ReceiverStream<Result<M, Status>>;

/// Messages that batches of documents are sent in.
pub trait BatchMessage: Send + Sized + 'static {
    /// A message.
    fn new(documents: Vec<Bytes>, resume_token: Bytes, stats: Option<v1::StreamStats>) -> Self;
}

impl BatchMessage for v1::FindResponse {
    fn new(documents: Vec<Bytes>, resume_token: Bytes, stats: Option<v1::StreamStats>) -> Self {
        Self { documents, resume_token, r#final: stats.map(v1::find_response::Final::Stats) }
    }
}

impl BatchMessage for v1::AggregateResponse {
    fn new(documents: Vec<Bytes>, _resume_token: Bytes, stats: Option<v1::StreamStats>) -> Self {
        Self { documents, r#final: stats.map(v1::aggregate_response::Final::Stats) }
    }
}

/// What an opened query answers with.
pub enum Opened {
    /// A cursor to stream from.
    Cursor(Box<OpenCursor>),
    /// One document that explains.
    Explanation(RawDocumentBuf),
}

/// A cursor and what its stream needs.
pub struct OpenCursor {
    cursor: Cursor,
    deadline: Deadline,
    /// What resume tokens are bound to; `None` for streams without tokens.
    resumption: Option<Resumption>,
    batch_documents: Option<usize>,
    sent: v1::StreamStats,
    is_first: bool,
}

impl OpenCursor {
    /// Streams this cursor; `batch_size` 0 leaves the size of batches to the server.
    pub fn new(cursor: Cursor, deadline: Deadline, resumption: Option<Resumption>, batch_size: u64) -> Self {
        let batch_documents = usize::try_from(batch_size).ok().filter(|size| *size > 0);
        let sent = v1::StreamStats::default();
        Self { cursor, deadline, resumption, batch_documents, sent, is_first: true }
    }

    /// Pulls the next message; whether it is the last.
    fn next_message<M: BatchMessage>(&mut self, door: &Door) -> Result<(M, bool), Status> {
        if self.deadline.has_passed() {
            return Err(deadline_exceeded());
        }
        let usual = if self.is_first { FIRST_BATCH_DOCUMENTS } else { usize::MAX };
        self.is_first = false;
        let documents_max = self.batch_documents.unwrap_or(usual);
        let batch = self.cursor.next_batch(documents_max, BATCH_BYTES_MAX).map_err(|error| status(&error))?;
        let bytes: usize = batch.documents.iter().map(|document| document.as_bytes().len()).sum();
        let (count, bytes) = (whole(batch.documents.len()), whole(bytes));
        self.sent.documents_returned = self.sent.documents_returned.saturating_add(count);
        self.sent.bytes_returned = self.sent.bytes_returned.saturating_add(bytes);
        door.metrics.sent(count.unsigned_abs(), bytes.unsigned_abs());

        let documents = batch.documents.into_iter().map(into_bytes).collect();
        let is_last = self.cursor.is_exhausted();
        let stats = is_last.then_some(self.sent);
        let position = if is_last { None } else { self.resumption.as_ref().zip(self.cursor.position()) };
        let token =
            position.map(|(resumption, position)| resumption.seal(&door.seal, &position)).unwrap_or_default();
        Ok((M::new(documents, token, stats), is_last))
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Starts to stream. The first message is there when this returns, so that a query that fails early fails the call.
pub async fn stream<M: BatchMessage>(door: &Door, open: Box<OpenCursor>) -> Result<BatchStream<M>, Status> {
    // One message waits while one is on the wire.
    let (sender, receiver) = mpsc::channel(1);
    let door = door.clone();
    let mut pulled: Pulled<M> = pull(&door, open).await?;
    tokio::spawn(async move {
        let _in_flight = door.metrics.begin();
        loop {
            let Pulled { message, rest } = pulled;
            // A receiver that is gone is a client that went away: nobody is left to tell.
            if sender.send(Ok(message)).await.is_err() {
                break;
            }
            let Some(open) = rest else { break };
            pulled = match pull(&door, open).await {
                Ok(next) => next,
                Err(status) => {
                    let _client_gone = sender.send(Err(status)).await;
                    break;
                }
            };
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// A message, and the cursor if there is more.
struct Pulled<M> {
    message: M,
    rest: Option<Box<OpenCursor>>,
}

/// Pulls a message on the storage pool.
async fn pull<M: BatchMessage>(door: &Door, mut open: Box<OpenCursor>) -> Result<Pulled<M>, Status> {
    let worker = door.clone();
    let pulled = door.pool.run(move || {
        let (message, is_last) = open.next_message(&worker)?;
        Ok(Pulled { message, rest: (!is_last).then_some(open) })
    });
    pulled.await?
}

/// A stream of one message.
pub fn once<M: Send + 'static>(message: M) -> BatchStream<M> {
    let (sender, receiver) = mpsc::channel(1);
    // The channel was made for one message and is empty.
    let _sent = sender.try_send(Ok(message));
    ReceiverStream::new(receiver)
}
