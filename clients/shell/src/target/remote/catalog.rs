//! Databases, collections, indexes.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_proto::v1::{
    CreateCollectionRequest, CreateIndexesRequest, DropCollectionRequest, DropDatabaseRequest,
    DropIndexesRequest, Index, ListCollectionsRequest, ListDatabasesRequest, ListIndexesRequest,
};
use tonic::codegen::Bytes;

use super::{Remote, bytes, collection, describe, parsed, truth, whole};

/// Options of an index that have a field of their own in the request.
const INDEX_FIELDS: [&str; 8] = [
    "key",
    "name",
    "unique",
    "sparse",
    "partialFilterExpression",
    "expireAfterSeconds",
    "collation",
    "hidden",
];

fn ok() -> RawDocumentBuf {
    let mut reply = DocumentBuilder::new();
    reply.append("ok", 1.0);
    reply.build()
}

impl Remote {
    pub(super) fn create(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let mut options = DocumentBuilder::new();
        for element in command.iter().skip(1) {
            options.append_element(element);
        }
        let request = CreateCollectionRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            options: Bytes::from(options.build().into_bytes()),
        };
        self.runtime.block_on(self.catalog.clone().create_collection(request)).map_err(describe)?;
        Ok(ok())
    }

    pub(super) fn drop_collection(
        &self,
        database: &str,
        command: RawDocument<'_>,
    ) -> Result<RawDocumentBuf, String> {
        let request =
            DropCollectionRequest { database: database.to_owned(), collection: collection(command)? };
        self.runtime.block_on(self.catalog.clone().drop_collection(request)).map_err(describe)?;
        Ok(ok())
    }

    pub(super) fn drop_database(&self, database: &str) -> Result<RawDocumentBuf, String> {
        let request = DropDatabaseRequest { database: database.to_owned() };
        self.runtime.block_on(self.catalog.clone().drop_database(request)).map_err(describe)?;
        Ok(ok())
    }

    pub(super) fn list_databases(&self) -> Result<RawDocumentBuf, String> {
        let response = self
            .runtime
            .block_on(self.catalog.clone().list_databases(ListDatabasesRequest {}))
            .map_err(describe)?
            .into_inner();
        let mut reply = DocumentBuilder::new();
        reply.array("databases", |array| {
            for database in &response.databases {
                array.document(|document| {
                    document
                        .append("name", database.name.as_str())
                        .append("sizeOnDisk", database.size_bytes)
                        .append("empty", database.empty);
                });
            }
        });
        reply.append("ok", 1.0);
        Ok(reply.build())
    }

    pub(super) fn list_collections(&self, database: &str) -> Result<RawDocumentBuf, String> {
        let request = ListCollectionsRequest { database: database.to_owned() };
        let response = self
            .runtime
            .block_on(self.catalog.clone().list_collections(request))
            .map_err(describe)?
            .into_inner();
        let mut documents = Vec::new();
        for info in &response.collections {
            let mut document = DocumentBuilder::new();
            document.append("name", info.name.as_str()).append("type", info.kind.as_str());
            if !info.options.is_empty() {
                document.append("options", parsed(&info.options)?);
            }
            documents.push(document.build());
        }
        Ok(first_batch(&documents))
    }

    pub(super) fn create_indexes(
        &self,
        database: &str,
        command: RawDocument<'_>,
    ) -> Result<RawDocumentBuf, String> {
        let indexes =
            command.get("indexes").and_then(ValueRef::as_array).ok_or("createIndexes needs 'indexes'")?;
        let request = CreateIndexesRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            indexes: indexes.iter().filter_map(ValueRef::as_document).map(index_request).collect(),
        };
        let response = self
            .runtime
            .block_on(self.catalog.clone().create_indexes(request))
            .map_err(describe)?
            .into_inner();
        let mut reply = DocumentBuilder::new();
        reply
            .append("numIndexesBefore", response.indexes_before)
            .append("numIndexesAfter", response.indexes_after)
            .append("ok", 1.0);
        Ok(reply.build())
    }

    pub(super) fn list_indexes(
        &self,
        database: &str,
        command: RawDocument<'_>,
    ) -> Result<RawDocumentBuf, String> {
        let request = ListIndexesRequest { database: database.to_owned(), collection: collection(command)? };
        let response =
            self.runtime.block_on(self.catalog.clone().list_indexes(request)).map_err(describe)?.into_inner();
        let mut documents = Vec::new();
        for index in &response.indexes {
            let mut document = DocumentBuilder::new();
            document.append("key", parsed(&index.key)?).append("name", index.name.as_str());
            for (name, set) in [("unique", index.unique), ("sparse", index.sparse), ("hidden", index.hidden)]
            {
                if set {
                    document.append(name, true);
                }
            }
            documents.push(document.build());
        }
        Ok(first_batch(&documents))
    }

    pub(super) fn drop_indexes(
        &self,
        database: &str,
        command: RawDocument<'_>,
    ) -> Result<RawDocumentBuf, String> {
        let (names, all) = match command.get("index") {
            Some(ValueRef::String("*")) => (Vec::new(), true),
            Some(ValueRef::String(name)) => (vec![name.to_owned()], false),
            Some(ValueRef::Array(names)) => {
                (names.iter().filter_map(ValueRef::as_str).map(str::to_owned).collect(), false)
            }
            _ => {
                return Err(
                    "over gRPC dropIndexes takes the name of an index, a list of names, or '*'".to_owned()
                );
            }
        };
        let request = DropIndexesRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            names,
            all,
        };
        self.runtime.block_on(self.catalog.clone().drop_indexes(request)).map_err(describe)?;
        Ok(ok())
    }
}

fn index_request(index: RawDocument<'_>) -> Index {
    let mut other = DocumentBuilder::new();
    for element in index.iter().filter(|element| !INDEX_FIELDS.contains(&element.key())) {
        other.append_element(element);
    }
    Index {
        name: index.get("name").and_then(ValueRef::as_str).unwrap_or_default().to_owned(),
        key: bytes(index, "key"),
        unique: truth(index, "unique"),
        sparse: truth(index, "sparse"),
        partial_filter: bytes(index, "partialFilterExpression"),
        expire_after_seconds: index.get("expireAfterSeconds").map(|_| whole(index, "expireAfterSeconds")),
        collation: bytes(index, "collation"),
        hidden: truth(index, "hidden"),
        other_options: Bytes::from(other.build().into_bytes()),
    }
}

fn first_batch(documents: &[RawDocumentBuf]) -> RawDocumentBuf {
    let mut reply = DocumentBuilder::new();
    reply.document("cursor", |cursor| {
        cursor.append("id", 0i64).array("firstBatch", |array| {
            for document in documents {
                array.push_ref(ValueRef::Document(document.as_raw()));
            }
        });
    });
    reply.append("ok", 1.0);
    reply.build()
}
