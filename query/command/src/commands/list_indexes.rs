//! `listIndexes`: `{listIndexes: collection, cursor}`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;

use crate::cursors::{Delivery, cursor_document, deliver_documents};
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let delivery = match arguments.document("cursor")? {
        None => Delivery { batch_documents: usize::MAX, ..Delivery::default() },
        Some(cursor) => match cursor_document("listIndexes", cursor)? {
            delivery if cursor.get("batchSize").is_some() => delivery,
            delivery => Delivery { batch_documents: usize::MAX, ..delivery },
        },
    };
    arguments.ignore(&["includeBuildUUIDs", "includeIndexBuildInfo", "isTimeseriesNamespace"]);
    arguments.finish()?;
    let documents = request.session.engine().list_indexes(&namespace)?;
    deliver_documents(request, &namespace, documents, delivery)
}
