//! Cursors in replies: the first batch, and the number under which the rest waits.

use sheaf_document::{DOCUMENT_BYTES_MAX, DocumentBuilder, RawDocument, RawDocumentBuf};
use sheaf_engine::{Cursor, Namespace, Result};

use crate::arguments::Arguments;
use crate::clock::now_millis;
use crate::reply::append_cursor;
use crate::request::Request;

/// Documents of a first batch if the client does not say.
pub(crate) const FIRST_BATCH_DOCUMENTS: usize = 101;

/// How a cursor is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// Documents of the first batch.
    pub(crate) batch_documents: usize,
    /// Close after the first batch.
    pub(crate) single_batch: bool,
    /// Never close for idleness.
    pub(crate) never_times_out: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { batch_documents: FIRST_BATCH_DOCUMENTS, single_batch: false, never_times_out: false }
    }
}

/// A batch size as a count of documents.
pub(crate) fn batch_documents(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Reads `cursor: {batchSize}`.
pub(crate) fn cursor_document(scope: &str, document: RawDocument<'_>) -> Result<Delivery> {
    let cursor = Arguments::new(format!("{scope}.cursor"), document)?;
    let size = cursor.count("batchSize")?;
    cursor.finish()?;
    Ok(Delivery {
        batch_documents: size.map_or(FIRST_BATCH_DOCUMENTS, batch_documents),
        ..Delivery::default()
    })
}

/// Milliseconds for the registry of cursors.
pub(crate) fn registry_millis() -> u64 {
    u64::try_from(now_millis()).unwrap_or(0)
}

/// Answers with the first batch of a cursor, and keeps the rest.
pub(crate) fn deliver(
    request: &Request<'_>,
    mut cursor: Cursor,
    namespace: &str,
    delivery: Delivery,
) -> Result<DocumentBuilder> {
    let batch = cursor.next_batch(delivery.batch_documents, DOCUMENT_BYTES_MAX)?;
    let id = if cursor.is_exhausted() || delivery.single_batch {
        0
    } else {
        let commands = request.commands();
        let registry = commands.database().cursors();
        registry.expire(registry_millis());
        registry.register(cursor, request.cursor_owner(), delivery.never_times_out, registry_millis(), || {
            commands.random()
        })
    };
    let mut body = DocumentBuilder::new();
    append_cursor(
        &mut body,
        "firstBatch",
        &batch.documents,
        id,
        namespace,
        request.session.engine().moment(),
    );
    Ok(body)
}

/// Answers with documents that are all there, as listings are.
pub(crate) fn deliver_documents(
    request: &Request<'_>,
    namespace: &Namespace,
    documents: Vec<RawDocumentBuf>,
    delivery: Delivery,
) -> Result<DocumentBuilder> {
    let cursor = Cursor::from_documents(namespace.clone(), documents);
    deliver(request, cursor, &namespace.to_string(), delivery)
}
