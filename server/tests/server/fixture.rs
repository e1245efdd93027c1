//! A server on a fresh directory, its clients, and small documents.

use std::path::Path;

use bytes::Bytes;
use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_proto::v1;
use sheaf_proto::v1::catalog_service_client::CatalogServiceClient;
use sheaf_proto::v1::document_service_client::DocumentServiceClient;
use sheaf_proto::v1::write_operation::Operation;
use sheaf_server::config::{Config, FileSettings, Flags};
use sheaf_server::server::Server;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub const DATABASE: &str = "app";
pub const COLLECTION: &str = "users";

pub struct Fixture {
    pub documents: DocumentServiceClient<Channel>,
    pub catalog: CatalogServiceClient<Channel>,
    pub server: Server,
    pub directory: tempfile::TempDir,
}

/// A configuration on free ports.
pub fn config(data: &Path) -> Config {
    let flags = Flags {
        data: Some(data.to_owned()),
        grpc: Some("127.0.0.1:0".parse().unwrap()),
        http: Some("127.0.0.1:0".parse().unwrap()),
        ..Flags::default()
    };
    Config::resolve(flags, FileSettings::default()).unwrap()
}

impl Fixture {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_on(directory).await
    }

    pub async fn start_on(directory: tempfile::TempDir) -> Self {
        let config = config(directory.path());
        Self::start_with(directory, config).await
    }

    pub async fn start_with(directory: tempfile::TempDir, config: Config) -> Self {
        let server = Server::start(config).await.unwrap();
        let channel =
            Channel::from_shared(format!("http://{}", server.grpc())).unwrap().connect().await.unwrap();
        let documents = DocumentServiceClient::new(channel.clone())
            .max_decoding_message_size(64 << 20)
            .max_encoding_message_size(64 << 20);
        let catalog = CatalogServiceClient::new(channel);
        Self { documents, catalog, server, directory }
    }

    /// Stops the server and starts another on the same directory.
    pub async fn restart(self) -> Self {
        self.server.stop().await.unwrap();
        Self::start_on(self.directory).await
    }

    /// Writes, ordered.
    pub async fn write(&mut self, operations: Vec<Operation>) -> Result<Vec<v1::WriteResult>, Status> {
        self.write_as(operations, false).await
    }

    pub async fn write_as(
        &mut self,
        operations: Vec<Operation>,
        unordered: bool,
    ) -> Result<Vec<v1::WriteResult>, Status> {
        let operations = operations
            .into_iter()
            .map(|operation| v1::WriteOperation { operation: Some(operation) })
            .collect();
        let request = v1::WriteRequest {
            database: DATABASE.to_owned(),
            collection: COLLECTION.to_owned(),
            operations,
            unordered,
            ..v1::WriteRequest::default()
        };
        Ok(self.documents.write(request).await?.into_inner().results)
    }

    /// Inserts `{_id: n, n: n % 10, text: ".."}` for each n below `count`.
    pub async fn insert_numbers(&mut self, count: i32) {
        let operations = (0..count).map(|n| insert(numbered(n))).collect();
        for result in self.write(operations).await.unwrap() {
            assert!(matches!(result.outcome, Some(v1::write_result::Outcome::Insert(_))), "{result:?}");
        }
    }

    /// Every document a request streams, with the messages they came in.
    pub async fn find(&mut self, request: v1::FindRequest) -> Result<Vec<v1::FindResponse>, Status> {
        let mut stream = self.documents.find(request).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        Ok(messages)
    }

    pub async fn count(&mut self, filter: Bytes) -> i64 {
        let request = v1::CountRequest {
            database: DATABASE.to_owned(),
            collection: COLLECTION.to_owned(),
            filter,
            ..v1::CountRequest::default()
        };
        self.documents.count(request).await.unwrap().into_inner().count
    }
}

/// A request to find what a filter matches.
pub fn find(filter: Bytes) -> v1::FindRequest {
    v1::FindRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        query: Some(v1::Query { filter, ..v1::Query::default() }),
        ..v1::FindRequest::default()
    }
}

pub fn insert(document: Bytes) -> Operation {
    Operation::Insert(v1::InsertOperation { document })
}

pub fn numbered(n: i32) -> Bytes {
    doc(|document| {
        document.append("_id", n).append("n", n % 10).append("text", "some text to give it a size");
    })
}

/// A document as bytes.
pub fn doc(build: impl FnOnce(&mut DocumentBuilder)) -> Bytes {
    let mut builder = DocumentBuilder::new();
    build(&mut builder);
    Bytes::from(builder.build().into_bytes())
}

/// A document whose one field is a document.
pub fn nest(field: &str, inner: &Bytes) -> Bytes {
    let inner = RawDocument::from_bytes(inner).unwrap();
    doc(|document| {
        document.append_ref(field, ValueRef::Document(inner));
    })
}

/// `{_id: ..}` numbers of documents.
pub fn ids<'a>(documents: impl IntoIterator<Item = &'a Bytes>) -> Vec<i32> {
    documents
        .into_iter()
        .map(|bytes| match RawDocument::validate(bytes).unwrap().get("_id") {
            Some(ValueRef::Int32(id)) => id,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The `_id`s of a whole stream.
pub fn streamed_ids(messages: &[v1::FindResponse]) -> Vec<i32> {
    ids(messages.iter().flat_map(|message| &message.documents))
}

/// Code and reason of a status.
pub fn named(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "sheafdb.dev");
    (status.code(), info.reason)
}

/// The error of a write that failed.
pub fn write_error(result: &v1::WriteResult) -> &v1::WriteError {
    match &result.outcome {
        Some(v1::write_result::Outcome::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A document of documents, this many levels deep.
pub fn nested(levels: usize) -> Bytes {
    let mut bytes = RawDocumentBuf::new().into_bytes();
    for _ in 0..levels {
        let len = i32::try_from(bytes.len() + 8).unwrap();
        let mut outer = len.to_le_bytes().to_vec();
        outer.extend_from_slice(b"\x03a\0");
        outer.extend_from_slice(&bytes);
        outer.push(0);
        bytes = outer;
    }
    Bytes::from(bytes)
}
