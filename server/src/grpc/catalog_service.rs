//! sheaf.v1.CatalogService.

use bytes::Bytes;
use sheaf_document::{BsonType, DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::catalog::{
    CollectionOptions, IndexKeyPattern, IndexSpecification, ValidationAction, ValidationLevel,
};
use sheaf_engine::operation::{
    CollectionKind, CreateCollectionOperation, CreateIndexesOperation, DropIndexesOperation, IndexTarget,
};
use sheaf_engine::{Error, validate_database_name};
use sheaf_proto::v1;
use sheaf_proto::v1::catalog_service_server::CatalogService;
use tonic::{Request, Response, Status};

use super::bson_field::{document, into_bytes, optional_document, required_document, violation};
use super::query::namespace;
use super::status::status;
use super::write::count;
use super::{Door, Work};

/// Indexes in one request: what a collection can have at most.
const INDEXES_MAX: usize = 64;

/// sheaf.v1.CatalogService on a database.
pub struct CatalogDoor(pub Door);

#[tonic::async_trait]
impl CatalogService for CatalogDoor {
    async fn list_databases(
        &self,
        request: Request<v1::ListDatabasesRequest>,
    ) -> Result<Response<v1::ListDatabasesResponse>, Status> {
        self.0.unary("ListDatabases", request, list_databases).await
    }

    async fn drop_database(
        &self,
        request: Request<v1::DropDatabaseRequest>,
    ) -> Result<Response<v1::DropDatabaseResponse>, Status> {
        self.0.unary("DropDatabase", request, drop_database).await
    }

    async fn list_collections(
        &self,
        request: Request<v1::ListCollectionsRequest>,
    ) -> Result<Response<v1::ListCollectionsResponse>, Status> {
        self.0.unary("ListCollections", request, list_collections).await
    }

    async fn create_collection(
        &self,
        request: Request<v1::CreateCollectionRequest>,
    ) -> Result<Response<v1::CreateCollectionResponse>, Status> {
        self.0.unary("CreateCollection", request, create_collection).await
    }

    async fn drop_collection(
        &self,
        request: Request<v1::DropCollectionRequest>,
    ) -> Result<Response<v1::DropCollectionResponse>, Status> {
        self.0.unary("DropCollection", request, drop_collection).await
    }

    async fn get_collection_stats(
        &self,
        request: Request<v1::GetCollectionStatsRequest>,
    ) -> Result<Response<v1::GetCollectionStatsResponse>, Status> {
        self.0.unary("GetCollectionStats", request, get_collection_stats).await
    }

    async fn create_indexes(
        &self,
        request: Request<v1::CreateIndexesRequest>,
    ) -> Result<Response<v1::CreateIndexesResponse>, Status> {
        self.0.unary("CreateIndexes", request, create_indexes).await
    }

    async fn drop_indexes(
        &self,
        request: Request<v1::DropIndexesRequest>,
    ) -> Result<Response<v1::DropIndexesResponse>, Status> {
        self.0.unary("DropIndexes", request, drop_indexes).await
    }

    async fn list_indexes(
        &self,
        request: Request<v1::ListIndexesRequest>,
    ) -> Result<Response<v1::ListIndexesResponse>, Status> {
        self.0.unary("ListIndexes", request, list_indexes).await
    }
}

fn engine(error: Error) -> Status {
    status(&error)
}

fn list_databases(work: &Work, _: &v1::ListDatabasesRequest) -> Result<v1::ListDatabasesResponse, Status> {
    let databases = work.session.list_databases().map_err(engine)?;
    let databases = databases
        .into_iter()
        .map(|info| v1::DatabaseInfo {
            name: info.name,
            size_bytes: count(info.size_bytes),
            empty: info.is_empty,
        })
        .collect();
    Ok(v1::ListDatabasesResponse { databases })
}

fn drop_database(work: &Work, request: &v1::DropDatabaseRequest) -> Result<v1::DropDatabaseResponse, Status> {
    validate_database_name(&request.database).map_err(engine)?;
    work.session.drop_database(&request.database).map_err(engine)?;
    Ok(v1::DropDatabaseResponse {})
}

fn list_collections(
    work: &Work,
    request: &v1::ListCollectionsRequest,
) -> Result<v1::ListCollectionsResponse, Status> {
    validate_database_name(&request.database).map_err(engine)?;
    let collections = work.session.list_collections(&request.database).map_err(engine)?;
    let collections = collections
        .into_iter()
        .map(|info| v1::CollectionInfo {
            name: info.name,
            kind: match info.kind {
                CollectionKind::Collection => "collection",
                CollectionKind::View => "view",
                CollectionKind::TimeSeries => "timeseries",
            }
            .to_owned(),
            options: into_bytes(info.options),
            uuid: info.uuid.map(|uuid| Bytes::copy_from_slice(&uuid)).unwrap_or_default(),
        })
        .collect();
    Ok(v1::ListCollectionsResponse { collections })
}

fn create_collection(
    work: &Work,
    request: &v1::CreateCollectionRequest,
) -> Result<v1::CreateCollectionResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let given = document("options", &request.options)?;
    let options = CollectionOptions::from_document(given).map_err(engine)?;
    // The engine reads these leniently, because it reads its own.
    check_name(given, "validationLevel", |name| ValidationLevel::from_name(name).is_some())?;
    check_name(given, "validationAction", |name| ValidationAction::from_name(name).is_some())?;
    let operation = CreateCollectionOperation { namespace, options };
    work.session.create_collection(&operation).map_err(engine)?;
    Ok(v1::CreateCollectionResponse {})
}

fn check_name(options: RawDocument<'_>, option: &str, is_known: fn(&str) -> bool) -> Result<(), Status> {
    match options.get(option) {
        Some(ValueRef::String(name)) if !is_known(name) => {
            Err(violation("options", "BAD_VALUE", &format!("\"{name}\" is no {option}")))
        }
        _ => Ok(()),
    }
}

fn drop_collection(
    work: &Work,
    request: &v1::DropCollectionRequest,
) -> Result<v1::DropCollectionResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let outcome = work.session.drop_collection(&namespace).map_err(engine)?;
    Ok(v1::DropCollectionResponse { existed: outcome.existed })
}

fn get_collection_stats(
    work: &Work,
    request: &v1::GetCollectionStatsRequest,
) -> Result<v1::GetCollectionStatsResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let statistics = work.session.collection_statistics(&namespace).map_err(engine)?;
    Ok(v1::GetCollectionStatsResponse {
        documents: count(statistics.documents),
        document_bytes: count(statistics.document_bytes),
        indexes: i64::try_from(statistics.indexes.len()).unwrap_or(i64::MAX),
    })
}

fn create_indexes(
    work: &Work,
    request: &v1::CreateIndexesRequest,
) -> Result<v1::CreateIndexesResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let number = request.indexes.len();
    if !(1..=INDEXES_MAX).contains(&number) {
        let description = format!("there must be 1 to {INDEXES_MAX}, not {number}");
        return Err(violation("indexes", "OUT_OF_RANGE", &description));
    }
    let indexes = request.indexes.iter().map(specification).collect::<Result<Vec<_>, _>>()?;
    let names = indexes.iter().map(|index| index.name.clone()).collect();
    let outcome =
        work.session.create_indexes(&CreateIndexesOperation { namespace, indexes }).map_err(engine)?;
    let as_int32 = |number| i32::try_from(number).unwrap_or(i32::MAX);
    Ok(v1::CreateIndexesResponse {
        names,
        indexes_before: as_int32(outcome.indexes_before),
        indexes_after: as_int32(outcome.indexes_after),
    })
}

/// An index of a request, by way of the document that createIndexes takes, so that one parser checks both.
fn specification(index: &v1::Index) -> Result<IndexSpecification, Status> {
    let key = required_document("indexes.key", &index.key)?;
    let mut out = DocumentBuilder::new();
    out.append_ref("key", ValueRef::Document(key));
    if index.name.is_empty() {
        let pattern = IndexKeyPattern::parse(key).map_err(engine)?;
        out.append("name", pattern.default_name());
    } else {
        out.append("name", index.name.as_str());
    }
    for (option, is_set) in [("unique", index.unique), ("sparse", index.sparse), ("hidden", index.hidden)] {
        if is_set {
            out.append(option, true);
        }
    }
    if let Some(seconds) = index.expire_after_seconds {
        out.append("expireAfterSeconds", seconds);
    }
    for (option, field, bytes) in [
        ("partialFilterExpression", "indexes.partial_filter", &index.partial_filter),
        ("collation", "indexes.collation", &index.collation),
    ] {
        if let Some(given) = optional_document(field, bytes)? {
            out.append_ref(option, ValueRef::Document(given));
        }
    }
    for element in document("indexes.other_options", &index.other_options)? {
        if TYPED_OPTIONS.contains(&element.key()) {
            let description = format!("\"{}\" has a field of its own", element.key());
            return Err(violation("indexes.other_options", "BAD_VALUE", &description));
        }
        out.append_element(element);
    }
    IndexSpecification::parse(out.build().as_raw()).map_err(engine)
}

/// Options of an index that the message has fields for.
const TYPED_OPTIONS: [&str; 8] = [
    "key",
    "name",
    "unique",
    "sparse",
    "hidden",
    "expireAfterSeconds",
    "partialFilterExpression",
    "collation",
];

fn drop_indexes(work: &Work, request: &v1::DropIndexesRequest) -> Result<v1::DropIndexesResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let target = match (request.all, request.names.is_empty()) {
        (true, true) => IndexTarget::All,
        (false, false) => IndexTarget::Names(request.names.clone()),
        _ => return Err(violation("names", "BAD_VALUE", "exactly one of names and all must be given")),
    };
    work.session.drop_indexes(&DropIndexesOperation { namespace, target }).map_err(engine)?;
    Ok(v1::DropIndexesResponse {})
}

fn list_indexes(work: &Work, request: &v1::ListIndexesRequest) -> Result<v1::ListIndexesResponse, Status> {
    let namespace = namespace(&request.database, &request.collection)?;
    let indexes = work.session.list_indexes(&namespace).map_err(engine)?;
    Ok(v1::ListIndexesResponse { indexes: indexes.iter().map(|index| listed(index.as_raw())).collect() })
}

/// An index as listIndexes shows it, as a message.
fn listed(specification: RawDocument<'_>) -> v1::Index {
    let mut index = v1::Index::default();
    let mut other = DocumentBuilder::new();
    let bytes = |value: ValueRef<'_>| {
        value.as_document().map(|nested| Bytes::copy_from_slice(nested.as_bytes())).unwrap_or_default()
    };
    for element in specification {
        let value = element.value();
        match (element.key(), value) {
            ("key", _) => index.key = bytes(value),
            ("name", ValueRef::String(name)) => name.clone_into(&mut index.name),
            ("unique", ValueRef::Boolean(is_set)) => index.unique = is_set,
            ("sparse", ValueRef::Boolean(is_set)) => index.sparse = is_set,
            ("hidden", ValueRef::Boolean(is_set)) => index.hidden = is_set,
            ("partialFilterExpression", _) => index.partial_filter = bytes(value),
            ("collation", _) => index.collation = bytes(value),
            ("expireAfterSeconds", ValueRef::Int32(seconds)) => {
                index.expire_after_seconds = Some(seconds.into());
            }
            ("expireAfterSeconds", ValueRef::Int64(seconds)) => index.expire_after_seconds = Some(seconds),
            ("v", _) if element.kind() == BsonType::Int32 => {}
            _ => {
                other.append_element(element);
            }
        }
    }
    let other = other.build();
    if !other.as_raw().is_empty() {
        index.other_options = into_bytes(other);
    }
    index
}

#[cfg(test)]
mod tests {
    use sheaf_document::RawDocumentBuf;

    use super::*;

    fn bson(build: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
        let mut builder = DocumentBuilder::new();
        build(&mut builder);
        builder.build()
    }

    #[test]
    fn an_index_survives_the_way_in_and_out() {
        let index = v1::Index {
            name: String::new(),
            key: into_bytes(bson(|key| {
                key.append("city", 1).append("age", -1);
            })),
            unique: true,
            partial_filter: into_bytes(bson(|filter| {
                filter.append("active", true);
            })),
            ..v1::Index::default()
        };
        let parsed = specification(&index).unwrap();
        assert_eq!(parsed.name, "city_1_age_-1");
        let again = listed(parsed.to_document().as_raw());
        assert_eq!(again, v1::Index { name: parsed.name, ..index });
    }

    #[test]
    fn an_option_is_given_in_one_place_and_an_unknown_one_nowhere() {
        let key = into_bytes(bson(|key| {
            key.append("a", 1);
        }));
        for option in ["unique", "nonsense"] {
            let other_options = into_bytes(bson(|other| {
                other.append(option, true);
            }));
            let index = v1::Index { key: key.clone(), other_options, ..v1::Index::default() };
            assert_eq!(specification(&index).unwrap_err().code(), tonic::Code::InvalidArgument, "{option}");
        }
    }
}
