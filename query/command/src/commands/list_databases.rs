//! `listDatabases`: `{listDatabases: 1, filter, nameOnly, authorizedDatabases}`.

use sheaf_document::{DocumentBuilder, RawDocumentBuf};
use sheaf_engine::Result;
use sheaf_engine::operation::DatabaseInfo;

use crate::listing::filtered;
use crate::request::Request;

/// Databases that are always there.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let filter = arguments.document("filter")?;
    let name_only = arguments.flag("nameOnly")?.unwrap_or(false);
    let _authorized = arguments.boolean("authorizedDatabases")?;
    arguments.finish()?;
    let mut total_bytes = 0i64;
    let mut documents: Vec<RawDocumentBuf> = Vec::new();
    let mut databases = request.session.engine().list_databases()?;
    for name in SYSTEM_DATABASES {
        if !databases.iter().any(|known| known.name == name) {
            databases.push(DatabaseInfo { name: name.to_owned(), size_bytes: 0, is_empty: false });
        }
    }
    databases.sort_by(|left, right| left.name.cmp(&right.name));
    for database in databases {
        let size = i64::try_from(database.size_bytes).unwrap_or(i64::MAX);
        let mut item = DocumentBuilder::new();
        item.append("name", database.name.as_str());
        if !name_only {
            item.append("sizeOnDisk", size).append("empty", database.is_empty);
        }
        documents.push(item.build());
    }
    let documents = filtered(request, documents, filter)?;
    let mut body = DocumentBuilder::new();
    body.array("databases", |array| {
        for document in &documents {
            if let Some(sheaf_document::ValueRef::Int64(size)) = document.as_raw().get("sizeOnDisk") {
                total_bytes = total_bytes.saturating_add(size);
            }
            array.push(document.as_raw());
        }
    });
    if !name_only {
        body.append("totalSize", total_bytes).append("totalSizeMb", total_bytes >> 20);
    }
    Ok(body)
}
