//! `listCollections`: `{listCollections: 1, filter, nameOnly, authorizedCollections, cursor}`.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};
use sheaf_engine::operation::{CollectionInfo, CollectionKind};
use sheaf_engine::{Namespace, Result};

use crate::cursors::{Delivery, cursor_document, deliver_documents};
use crate::listing::filtered;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let filter = arguments.document("filter")?;
    let name_only = arguments.boolean("nameOnly")?.unwrap_or(false);
    let _authorized = arguments.flag("authorizedCollections")?;
    let delivery = match arguments.document("cursor")? {
        None => Delivery { batch_documents: usize::MAX, ..Delivery::default() },
        Some(cursor) => match cursor_document("listCollections", cursor)? {
            delivery if cursor.get("batchSize").is_some() => delivery,
            delivery => Delivery { batch_documents: usize::MAX, ..delivery },
        },
    };
    arguments.ignore(&["includePendingDrops"]);
    arguments.finish()?;
    let collections = request.session.engine().list_collections(request.database)?;
    let documents = collections.iter().map(|collection| describe(collection, name_only));
    let documents = filtered(request, documents.collect(), filter)?;
    let namespace = Namespace::new(request.database, "$cmd.listCollections")?;
    deliver_documents(request, &namespace, documents, delivery)
}

fn describe(collection: &CollectionInfo, name_only: bool) -> RawDocumentBuf {
    let mut item = DocumentBuilder::new();
    item.append("name", collection.name.as_str());
    item.append(
        "type",
        match collection.kind {
            CollectionKind::Collection => "collection",
            CollectionKind::View => "view",
            CollectionKind::TimeSeries => "timeseries",
        },
    );
    if name_only {
        return item.build();
    }
    item.append("options", collection.options.as_raw());
    item.document("info", |info| {
        info.append("readOnly", collection.kind == CollectionKind::View);
        if let Some(uuid) = &collection.uuid {
            info.append_value("uuid", &Value::Binary { subtype: 4, bytes: uuid.to_vec().into() });
        }
    });
    if let Some(index) = &collection.id_index {
        item.append("idIndex", index.as_raw());
    }
    item.build()
}
