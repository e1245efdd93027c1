//! `listIndexes`: `{listIndexes: collection, cursor}`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Result};

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
    // Indexes are built while their command runs: none that is listed is still being built, and both change nothing.
    let with_uuids = arguments.flag("includeBuildUUIDs")?.unwrap_or(false);
    let with_build_info = arguments.flag("includeIndexBuildInfo")?.unwrap_or(false);
    if with_uuids && with_build_info {
        return Err(Error::new(
            crate::codes::INVALID_OPTIONS,
            "listIndexes takes includeBuildUUIDs or includeIndexBuildInfo, not both",
        ));
    }
    arguments.ignore(&["isTimeseriesNamespace"]);
    arguments.finish()?;
    let documents = request.session.engine().list_indexes(&namespace)?;
    deliver_documents(request, &namespace, documents, delivery)
}
