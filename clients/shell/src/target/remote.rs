//! A server behind gRPC. Commands are turned into the typed requests of `sheaf.v1`, and their answers into replies of
//! the same shape an embedded database gives. What has no typed request is refused by name.

mod catalog;
mod read;
mod write;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_proto::v1::catalog_service_client::CatalogServiceClient;
use sheaf_proto::v1::document_service_client::DocumentServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use read::Stream;

/// Bytes one message may have in either direction; the server's batches are far below.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, with the streams that are open on it.
pub struct Remote {
    runtime: Runtime,
    documents: DocumentServiceClient<Channel>,
    catalog: CatalogServiceClient<Channel>,
    streams: RefCell<BTreeMap<i64, Stream>>,
}

impl Remote {
    /// Connects to `address`, a host and a port.
    pub fn connect(address: &str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("starting the connection: {error}"))?;
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let endpoint = Endpoint::from_shared(address.clone())
            .map_err(|error| format!("{address}: {error}"))?
            .connect_timeout(CONNECT_TIMEOUT);
        let channel = runtime
            .block_on(endpoint.connect())
            .map_err(|error| format!("{address} cannot be reached: {error}"))?;
        let documents = DocumentServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let catalog = CatalogServiceClient::new(channel);
        Ok(Self { runtime, documents, catalog, streams: RefCell::new(BTreeMap::new()) })
    }

    /// Runs a command.
    pub fn run(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let name = command.first().map(|first| first.key()).unwrap_or_default();
        match name {
            "find" => self.find(database, command, None),
            "aggregate" => self.aggregate(database, command, None),
            "getMore" => self.get_more(command),
            "count" => self.count(database, command),
            "distinct" => self.distinct(database, command),
            "explain" => self.explain(database, command),
            "insert" => self.insert(database, command),
            "update" => self.update(database, command),
            "delete" => self.delete(database, command),
            "create" => self.create(database, command),
            "drop" => self.drop_collection(database, command),
            "dropDatabase" => self.drop_database(database),
            "listDatabases" => self.list_databases(),
            "listCollections" => self.list_collections(database),
            "createIndexes" => self.create_indexes(database, command),
            "listIndexes" => self.list_indexes(database, command),
            "dropIndexes" => self.drop_indexes(database, command),
            other => Err(format!(
                "'{other}' cannot be sent over gRPC; use --path for commands that have no request"
            )),
        }
    }
}

/// The collection a command is for: the value of its first element.
fn collection(command: RawDocument<'_>) -> Result<String, String> {
    command
        .first()
        .and_then(|first| first.value().as_str())
        .map(str::to_owned)
        .ok_or_else(|| "the first value of the command is the name of a collection".to_owned())
}

/// The bytes of a document field; empty where it is absent.
fn bytes(document: RawDocument<'_>, key: &str) -> tonic::codegen::Bytes {
    match document.get(key) {
        Some(ValueRef::Document(value)) => tonic::codegen::Bytes::copy_from_slice(value.as_bytes()),
        _ => tonic::codegen::Bytes::new(),
    }
}

fn whole(document: RawDocument<'_>, key: &str) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "limits and sizes as typed by a person")]
    document.get(key).and_then(crate::reply::number).map_or(0, |number| number as i64)
}

fn truth(document: RawDocument<'_>, key: &str) -> bool {
    document.get(key).and_then(crate::reply::number).is_some_and(|number| number != 0.0)
}

/// What the server said, for a person.
fn describe(status: tonic::Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}

fn parsed(bytes: &[u8]) -> Result<RawDocument<'_>, String> {
    RawDocument::validate_with_limit(bytes, MESSAGE_BYTES_MAX)
        .map_err(|error| format!("the server sent a malformed document: {error}"))
}
