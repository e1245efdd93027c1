//! sheaf.v1.DocumentService.

use bytes::Bytes;
use sheaf_document::{ArrayBuilder, DOCUMENT_BYTES_MAX, DocumentBuilder, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, CountOperation, DistinctOperation, ExplainOperation, ExplainTarget,
    FindAndModifyOperation, FindOperation, Modification, ReturnedDocument,
};
use sheaf_engine::{Error, Namespace, error_code};
use sheaf_proto::v1;
use sheaf_proto::v1::document_service_server::DocumentService;
use tonic::{Code, Request, Response, Status};

use super::batch_stream::{self, BatchStream, OpenCursor, Opened};
use super::bson_field::{document, documents, into_bytes, limit, not_negative, optional_document, violation};
use super::query::{
    durability, find_operation, key, namespace, operators, pipeline, read_options, replacement, verbosity,
};
use super::resumption::{Resumption, resume_after};
use super::status::{status, with_reason};
use super::write::{count, key_document, write};
use super::{BATCH_BYTES_MAX, Door, Work};

/// Documents on a page unless the request says otherwise.
const PAGE_DOCUMENTS: usize = 100;

/// Keys in one BatchGet.
const BATCH_GET_KEYS_MAX: usize = 1000;

/// Bytes of all documents of one BatchGet: two of the largest, and room for framing below the message limit.
const BATCH_GET_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

/// sheaf.v1.DocumentService on a database.
pub struct DocumentDoor(pub Door);

#[tonic::async_trait]
impl DocumentService for DocumentDoor {
    type FindStream = BatchStream<v1::FindResponse>;
    type AggregateStream = BatchStream<v1::AggregateResponse>;

    async fn find(&self, request: Request<v1::FindRequest>) -> Result<Response<Self::FindStream>, Status> {
        let explained = |explanation| v1::FindResponse {
            r#final: Some(v1::find_response::Final::Explanation(explanation)),
            ..v1::FindResponse::default()
        };
        self.0.stream("Find", request, open_find, explained).await
    }

    async fn find_page(
        &self,
        request: Request<v1::FindPageRequest>,
    ) -> Result<Response<v1::FindPageResponse>, Status> {
        self.0.unary("FindPage", request, find_page).await
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        self.0.unary("Get", request, get).await
    }

    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Result<Response<v1::BatchGetResponse>, Status> {
        self.0.unary("BatchGet", request, batch_get).await
    }

    async fn write(&self, request: Request<v1::WriteRequest>) -> Result<Response<v1::WriteResponse>, Status> {
        self.0.unary("Write", request, write).await
    }

    async fn find_and_modify(
        &self,
        request: Request<v1::FindAndModifyRequest>,
    ) -> Result<Response<v1::FindAndModifyResponse>, Status> {
        self.0.unary("FindAndModify", request, find_and_modify).await
    }

    async fn aggregate(
        &self,
        request: Request<v1::AggregateRequest>,
    ) -> Result<Response<Self::AggregateStream>, Status> {
        let explained = |explanation| v1::AggregateResponse {
            documents: Vec::new(),
            r#final: Some(v1::aggregate_response::Final::Explanation(explanation)),
        };
        self.0.stream("Aggregate", request, open_aggregate, explained).await
    }

    async fn count(&self, request: Request<v1::CountRequest>) -> Result<Response<v1::CountResponse>, Status> {
        self.0.unary("Count", request, count_documents).await
    }

    async fn distinct(
        &self,
        request: Request<v1::DistinctRequest>,
    ) -> Result<Response<v1::DistinctResponse>, Status> {
        self.0.unary("Distinct", request, distinct).await
    }
}

impl Door {
    /// Answers a request with a stream of batches, or with an explanation.
    async fn stream<Q, M>(
        &self,
        method: &'static str,
        request: Request<Q>,
        open: fn(&Work, &Q) -> Result<Opened, Status>,
        explained: fn(Bytes) -> M,
    ) -> Result<Response<BatchStream<M>>, Status>
    where
        Q: Send + 'static,
        M: batch_stream::BatchMessage,
    {
        let begun = std::time::Instant::now();
        let answer = match self.work(request, open).await {
            Ok(Opened::Cursor(cursor)) => batch_stream::stream(self, cursor).await,
            Ok(Opened::Explanation(explanation)) => {
                Ok(batch_stream::once(explained(into_bytes(explanation))))
            }
            Err(status) => Err(status),
        };
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.metrics.answered(method, code, begun.elapsed());
        answer.map(Response::new)
    }
}

fn engine(error: Error) -> Status {
    status(&error)
}

fn open_find(work: &Work, request: &v1::FindRequest) -> Result<Opened, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let query = request.query.as_ref();
    let resumption = Resumption::of(work, &namespace, query)?;
    let mut find = find_operation(namespace, query, work.deadline)?;
    find.resume_after = resume_after(work, resumption.as_ref(), &request.resume_token)?;
    if let Some(verbosity) = verbosity(request.explain)? {
        let explain = ExplainOperation { target: ExplainTarget::Find(find), verbosity };
        return work.session.explain(&explain).map(Opened::Explanation).map_err(engine);
    }
    let batch_size = not_negative("batch_size", request.batch_size.into())?;
    let cursor = work.session.find(&find).map_err(engine)?;
    Ok(Opened::Cursor(Box::new(OpenCursor::new(cursor, work.deadline, resumption, batch_size))))
}

fn find_page(work: &Work, request: &v1::FindPageRequest) -> Result<v1::FindPageResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let query = request.query.as_ref();
    let resumption = Resumption::of(work, &namespace, query)?;
    let mut find = find_operation(namespace, query, work.deadline)?;
    find.resume_after = resume_after(work, resumption.as_ref(), &request.page_token)?;
    let page_size = not_negative("page_size", request.page_size.into())?;
    let page_size =
        if page_size == 0 { PAGE_DOCUMENTS } else { usize::try_from(page_size).unwrap_or(usize::MAX) };
    let mut cursor = work.session.find(&find).map_err(engine)?;
    let batch = cursor.next_batch(page_size, BATCH_BYTES_MAX).map_err(engine)?;
    let mut next_page_token = Bytes::new();
    if !cursor.is_exhausted() {
        let (resumption, position) = resumption.zip(cursor.position()).ok_or_else(|| {
            let message = "this query cannot be continued on another page; stream it with Find".to_owned();
            with_reason(Code::FailedPrecondition, message, "NOT_RESUMABLE", std::collections::HashMap::new())
        })?;
        next_page_token = resumption.seal(&work.door.seal, &position);
    }
    let documents: Vec<Bytes> = batch.documents.into_iter().map(into_bytes).collect();
    let bytes: usize = documents.iter().map(Bytes::len).sum();
    work.door.metrics.sent(documents.len() as u64, bytes as u64);
    Ok(v1::FindPageResponse { documents, next_page_token })
}

/// The document with this `_id`.
fn by_key(
    work: &Work,
    namespace: &Namespace,
    id: ValueRef<'_>,
    projection: &Bytes,
) -> Result<Option<RawDocumentBuf>, Status> {
    let mut filter = DocumentBuilder::with_capacity(48);
    match id {
        // These would be read as operators or as a pattern to match.
        ValueRef::Document(_) | ValueRef::Regex(_) => {
            filter.document("_id", |equals| {
                equals.append_ref("$eq", id);
            });
        }
        _ => {
            filter.append_ref("_id", id);
        }
    }
    let filter = filter.build();
    let mut find = FindOperation::new(namespace.clone(), filter.as_raw());
    find.limit = Some(1);
    find.projection = optional_document("projection", projection)?;
    find.common.max_time = work.deadline.time_left();
    let mut cursor = work.session.find(&find).map_err(engine)?;
    let batch = cursor.next_batch(1, usize::MAX).map_err(engine)?;
    Ok(batch.documents.into_iter().next())
}

fn get(work: &Work, request: &v1::GetRequest) -> Result<v1::GetResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let id = key("key", &request.key)?;
    let found = by_key(work, &namespace, id, &request.projection)?;
    let document = found.ok_or_else(|| {
        let message = format!("{namespace} has no document with the _id {id:?}");
        with_reason(Code::NotFound, message, "DOCUMENT_NOT_FOUND", std::collections::HashMap::new())
    })?;
    Ok(v1::GetResponse { document: into_bytes(document) })
}

fn batch_get(work: &Work, request: &v1::BatchGetRequest) -> Result<v1::BatchGetResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let keys = request.keys.len();
    if keys > BATCH_GET_KEYS_MAX {
        return Err(violation("keys", "OUT_OF_RANGE", &format!("{keys} are more than {BATCH_GET_KEYS_MAX}")));
    }
    let ids = request.keys.iter().map(|bytes| key("keys", bytes)).collect::<Result<Vec<_>, _>>()?;
    let mut results = Vec::with_capacity(keys);
    let mut bytes = 0usize;
    for id in ids {
        let document = by_key(work, &namespace, id, &request.projection)?.map(into_bytes);
        bytes = bytes.saturating_add(document.as_ref().map_or(0, Bytes::len));
        if bytes > BATCH_GET_BYTES_MAX {
            let message = format!("the documents have more than {BATCH_GET_BYTES_MAX} bytes; ask for fewer");
            return Err(with_reason(
                Code::ResourceExhausted,
                message,
                "RESPONSE_TOO_LARGE",
                std::collections::HashMap::new(),
            ));
        }
        results.push(v1::BatchGetResult { document });
    }
    Ok(v1::BatchGetResponse { results })
}

fn find_and_modify(
    work: &Work,
    request: &v1::FindAndModifyRequest,
) -> Result<v1::FindAndModifyResponse, Status> {
    use v1::find_and_modify_request::Change;
    let namespace = namespace(&request.database, &request.collection)?;
    let update = match &request.change {
        Some(Change::Update(bytes)) => Some(operators("update", bytes)?),
        Some(Change::Pipeline(bytes)) => Some(pipeline("pipeline", bytes)?),
        Some(Change::Replacement(bytes)) => Some(replacement("replacement", bytes)?),
        Some(Change::Delete(true)) => None,
        Some(Change::Delete(false)) => {
            return Err(violation("delete", "BAD_VALUE", "it must be true or absent"));
        }
        None => return Err(violation("change", "FIELD_REQUIRED", "it must be given")),
    };
    let modification = match update {
        Some(update) => Modification::Update { update, upsert: request.upsert },
        None if request.upsert || request.return_new => {
            return Err(violation("delete", "BAD_VALUE", "it goes with neither upsert nor return_new"));
        }
        None => Modification::Remove,
    };
    let filter = document("filter", &request.filter)?;
    let mut operation = FindAndModifyOperation::new(namespace, filter, modification);
    operation.sort = optional_document("sort", &request.sort)?;
    if request.return_new {
        operation.returned = ReturnedDocument::After;
    }
    operation.projection = optional_document("projection", &request.projection)?;
    operation.array_filters = documents("array_filters", &request.array_filters)?;
    operation.bypass_document_validation = request.bypass_document_validation;
    operation.durability = durability(request.durability)?;
    (operation.hint, operation.common) = read_options(request.read.as_ref(), work.deadline)?;
    let outcome = work.session.find_and_modify(&operation).map_err(engine)?;
    Ok(v1::FindAndModifyResponse {
        document: outcome.document.map(into_bytes),
        upserted_key: outcome.upserted_id.as_ref().map(key_document).unwrap_or_default(),
    })
}

fn open_aggregate(work: &Work, request: &v1::AggregateRequest) -> Result<Opened, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let stages = documents("pipeline", &request.pipeline)?.into_iter().map(ValueRef::Document).collect();
    let mut operation = AggregateOperation::new(AggregateTarget::Collection(namespace), stages);
    operation.allow_disk_use = request.allow_disk_use;
    (operation.hint, operation.common) = read_options(request.read.as_ref(), work.deadline)?;
    if let Some(verbosity) = verbosity(request.explain)? {
        let explain = ExplainOperation { target: ExplainTarget::Aggregate(operation), verbosity };
        return work.session.explain(&explain).map(Opened::Explanation).map_err(engine);
    }
    let batch_size = not_negative("batch_size", request.batch_size.into())?;
    let cursor = work.session.aggregate(&operation).map_err(engine)?;
    Ok(Opened::Cursor(Box::new(OpenCursor::new(cursor, work.deadline, None, batch_size))))
}

fn count_documents(work: &Work, request: &v1::CountRequest) -> Result<v1::CountResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let mut operation = CountOperation::new(namespace, document("filter", &request.filter)?);
    operation.skip = not_negative("skip", request.skip)?;
    operation.limit = limit("limit", request.limit)?;
    (operation.hint, operation.common) = read_options(request.read.as_ref(), work.deadline)?;
    Ok(v1::CountResponse { count: count(work.session.count(&operation).map_err(engine)?) })
}

fn distinct(work: &Work, request: &v1::DistinctRequest) -> Result<v1::DistinctResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let filter = document("filter", &request.filter)?;
    let mut operation = DistinctOperation::new(namespace, &request.field, filter);
    (operation.hint, operation.common) = read_options(request.read.as_ref(), work.deadline)?;
    let values = work.session.distinct(&operation).map_err(engine)?;
    let mut answer = DocumentBuilder::new();
    answer.array("values", |array: &mut ArrayBuilder| {
        for value in &values {
            array.push_value(value);
        }
    });
    if answer.len_bytes() > DOCUMENT_BYTES_MAX {
        let message = "the distinct values do not fit into a document of 16 MiB; group them in a pipeline";
        return Err(engine(Error::new(error_code::OBJECT_TOO_LARGE, message)));
    }
    Ok(v1::DistinctResponse { values: into_bytes(answer.build()) })
}
