//! find, aggregate, getMore, count, distinct, explain.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_proto::v1::{
    AggregateRequest, AggregateResponse, CountRequest, DistinctRequest, ExplainMode, FindRequest,
    FindResponse, Query, ReadOptions, aggregate_response, find_response,
};
use tonic::Streaming;
use tonic::codegen::Bytes;

use super::{Remote, bytes, collection, describe, parsed, truth, whole};
use crate::reply;

/// An open answer of the server.
pub enum Stream {
    /// Of a find.
    Find(Streaming<FindResponse>),
    /// Of an aggregate.
    Aggregate(Streaming<AggregateResponse>),
}

/// One message of a stream.
#[derive(Default)]
struct Batch {
    documents: Vec<Bytes>,
    explanation: Option<Bytes>,
    is_last: bool,
}

impl Stream {
    async fn next(&mut self) -> Result<Batch, tonic::Status> {
        match self {
            Self::Find(stream) => Ok(match stream.message().await? {
                None => Batch { is_last: true, ..Batch::default() },
                Some(message) => Batch {
                    documents: message.documents,
                    is_last: message.r#final.is_some(),
                    explanation: match message.r#final {
                        Some(find_response::Final::Explanation(document)) => Some(document),
                        _ => None,
                    },
                },
            }),
            Self::Aggregate(stream) => Ok(match stream.message().await? {
                None => Batch { is_last: true, ..Batch::default() },
                Some(message) => Batch {
                    documents: message.documents,
                    is_last: message.r#final.is_some(),
                    explanation: match message.r#final {
                        Some(aggregate_response::Final::Explanation(document)) => Some(document),
                        _ => None,
                    },
                },
            }),
        }
    }
}

fn read_options(command: RawDocument<'_>) -> Option<ReadOptions> {
    Some(ReadOptions {
        hint: bytes(command, "hint"),
        collation: bytes(command, "collation"),
        variables: bytes(command, "let"),
    })
}

fn query(command: RawDocument<'_>, filter: &str) -> Option<Query> {
    Some(Query {
        filter: bytes(command, filter),
        sort: bytes(command, "sort"),
        projection: bytes(command, "projection"),
        skip: whole(command, "skip"),
        limit: whole(command, "limit"),
        read: read_options(command),
    })
}

impl Remote {
    pub(super) fn find(
        &self,
        database: &str,
        command: RawDocument<'_>,
        explain: Option<ExplainMode>,
    ) -> Result<RawDocumentBuf, String> {
        let request = FindRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            query: query(command, "filter"),
            batch_size: i32::try_from(whole(command, "batchSize")).unwrap_or_default(),
            resume_token: Bytes::new(),
            explain: explain.unwrap_or_default().into(),
        };
        let mut documents = self.documents.clone();
        let stream = self.runtime.block_on(documents.find(request)).map_err(describe)?.into_inner();
        self.first_batch(Stream::Find(stream))
    }

    pub(super) fn aggregate(
        &self,
        database: &str,
        command: RawDocument<'_>,
        explain: Option<ExplainMode>,
    ) -> Result<RawDocumentBuf, String> {
        let stages =
            command.get("pipeline").and_then(ValueRef::as_array).ok_or("aggregate needs a 'pipeline'")?;
        let stages = stages.iter().filter_map(ValueRef::as_document);
        let request = AggregateRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            pipeline: stages.map(|stage| Bytes::copy_from_slice(stage.as_bytes())).collect(),
            batch_size: 0,
            allow_disk_use: command.get("allowDiskUse").map(|_| truth(command, "allowDiskUse")),
            read: read_options(command),
            explain: explain.unwrap_or_default().into(),
        };
        let mut documents = self.documents.clone();
        let stream = self.runtime.block_on(documents.aggregate(request)).map_err(describe)?.into_inner();
        self.first_batch(Stream::Aggregate(stream))
    }

    fn first_batch(&self, mut stream: Stream) -> Result<RawDocumentBuf, String> {
        let batch = self.runtime.block_on(stream.next()).map_err(describe)?;
        if let Some(explanation) = batch.explanation {
            return with_ok(parsed(&explanation)?);
        }
        let mut id = 0;
        if !batch.is_last {
            let mut streams = self.streams.borrow_mut();
            id = streams.last_key_value().map_or(1, |(last, _)| last + 1);
            streams.insert(id, stream);
        }
        cursor_reply("firstBatch", &batch.documents, id)
    }

    pub(super) fn get_more(&self, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let id = whole(command, "getMore");
        let mut streams = self.streams.borrow_mut();
        let stream = streams.get_mut(&id).ok_or_else(|| format!("there is no cursor {id}"))?;
        let batch = self.runtime.block_on(stream.next()).map_err(describe)?;
        if batch.is_last {
            streams.remove(&id);
        }
        cursor_reply("nextBatch", &batch.documents, if batch.is_last { 0 } else { id })
    }

    pub(super) fn count(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let request = CountRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            filter: bytes(command, "query"),
            skip: whole(command, "skip"),
            limit: whole(command, "limit"),
            read: read_options(command),
        };
        let mut documents = self.documents.clone();
        let response = self.runtime.block_on(documents.count(request)).map_err(describe)?.into_inner();
        let mut reply = DocumentBuilder::new();
        reply.append("n", response.count).append("ok", 1.0);
        Ok(reply.build())
    }

    pub(super) fn distinct(
        &self,
        database: &str,
        command: RawDocument<'_>,
    ) -> Result<RawDocumentBuf, String> {
        let request = DistinctRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            field: command.get("key").and_then(ValueRef::as_str).unwrap_or_default().to_owned(),
            filter: bytes(command, "query"),
            read: read_options(command),
        };
        let mut documents = self.documents.clone();
        let response = self.runtime.block_on(documents.distinct(request)).map_err(describe)?.into_inner();
        let values = sheaf_document::RawArray::from_bytes(&response.values)
            .map_err(|error| format!("the server sent a malformed array: {error}"))?;
        let mut reply = DocumentBuilder::new();
        reply.append_ref("values", ValueRef::Array(values)).append("ok", 1.0);
        Ok(reply.build())
    }

    pub(super) fn explain(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let inner =
            command.first().and_then(|first| first.value().as_document()).ok_or("explain needs a command")?;
        let mode = match command.get("verbosity").and_then(ValueRef::as_str) {
            Some("executionStats") => ExplainMode::ExecutionStats,
            Some("allPlansExecution") => ExplainMode::AllPlans,
            _ => ExplainMode::QueryPlanner,
        };
        match inner.first().map(|first| first.key()) {
            Some("find") => self.find(database, inner, Some(mode)),
            Some("aggregate") => self.aggregate(database, inner, Some(mode)),
            other => Err(format!(
                "over gRPC find and aggregate can be explained, not {}",
                other.unwrap_or("nothing")
            )),
        }
    }
}

fn with_ok(document: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
    let mut reply = document.to_buf().into_builder();
    if document.get("ok").is_none() {
        reply.append("ok", 1.0);
    }
    Ok(reply.build())
}

fn cursor_reply(key: &str, documents: &[Bytes], id: i64) -> Result<RawDocumentBuf, String> {
    let documents: Vec<RawDocument<'_>> =
        documents.iter().map(|bytes| parsed(bytes)).collect::<Result<_, _>>()?;
    let mut reply = DocumentBuilder::new();
    reply.document("cursor", |cursor| {
        cursor.array(key, |array| {
            for document in documents {
                array.push_ref(ValueRef::Document(document));
            }
        });
        cursor.append("id", id);
    });
    reply.append("ok", 1.0);
    let reply = reply.build();
    debug_assert!(reply::batch(reply.as_raw()).is_some(), "our own reply reads back");
    Ok(reply)
}
