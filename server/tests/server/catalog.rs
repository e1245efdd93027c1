//! Databases, collections and indexes.

use bytes::Bytes;
use sheaf_proto::v1;
use tonic::Code;

use crate::fixture::{COLLECTION, DATABASE, Fixture, doc, insert, named, numbered};

fn create_indexes(indexes: Vec<v1::Index>) -> v1::CreateIndexesRequest {
    v1::CreateIndexesRequest { database: DATABASE.to_owned(), collection: COLLECTION.to_owned(), indexes }
}

fn on_n() -> v1::Index {
    let key = doc(|key| {
        key.append("n", 1);
    });
    v1::Index { key, ..v1::Index::default() }
}

fn list_indexes() -> v1::ListIndexesRequest {
    v1::ListIndexesRequest { database: DATABASE.to_owned(), collection: COLLECTION.to_owned() }
}

#[tokio::test]
async fn collections_are_created_listed_and_dropped() {
    let mut fixture = Fixture::start().await;
    let create = v1::CreateCollectionRequest {
        database: DATABASE.to_owned(),
        collection: "other".to_owned(),
        options: Bytes::new(),
    };
    fixture.catalog.create_collection(create.clone()).await.unwrap();
    fixture.catalog.create_collection(create.clone()).await.unwrap();
    fixture.write(vec![insert(numbered(1))]).await.unwrap();
    let list = v1::ListCollectionsRequest { database: DATABASE.to_owned() };
    let listed = fixture.catalog.list_collections(list.clone()).await.unwrap().into_inner().collections;
    let names: Vec<_> = listed.iter().map(|info| (info.name.as_str(), info.kind.as_str())).collect();
    assert_eq!(names, [("other", "collection"), ("users", "collection")]);
    assert!(listed.iter().all(|info| info.uuid.len() == 16));
    let databases =
        fixture.catalog.list_databases(v1::ListDatabasesRequest {}).await.unwrap().into_inner().databases;
    assert!(databases.iter().any(|info| info.name == DATABASE), "{databases:?}");

    let drop = v1::DropCollectionRequest { database: DATABASE.to_owned(), collection: COLLECTION.to_owned() };
    assert!(fixture.catalog.drop_collection(drop.clone()).await.unwrap().into_inner().existed);
    assert!(!fixture.catalog.drop_collection(drop).await.unwrap().into_inner().existed);
    let database = v1::DropDatabaseRequest { database: DATABASE.to_owned() };
    fixture.catalog.drop_database(database).await.unwrap();
    let listed = fixture.catalog.list_collections(list).await.unwrap().into_inner().collections;
    assert!(listed.is_empty(), "{listed:?}");

    let nonsense = v1::CreateCollectionRequest {
        options: doc(|options| {
            options.append("nonsense", 1);
        }),
        ..create
    };
    let status = fixture.catalog.create_collection(nonsense).await.unwrap_err();
    assert_eq!(named(&status), (Code::InvalidArgument, "INVALID_OPTIONS".to_owned()));
}

#[tokio::test]
async fn indexes_are_created_listed_and_dropped_and_outlive_a_restart() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(20).await;
    let created = fixture.catalog.create_indexes(create_indexes(vec![on_n()])).await.unwrap().into_inner();
    assert_eq!(created.names, ["n_1"]);
    assert_eq!((created.indexes_before, created.indexes_after), (1, 2));
    let mut fixture = fixture.restart().await;
    let indexes = fixture.catalog.list_indexes(list_indexes()).await.unwrap().into_inner().indexes;
    assert_eq!(indexes.iter().map(|index| index.name.as_str()).collect::<Vec<_>>(), ["_id_", "n_1"]);
    assert_eq!(indexes[1].key, on_n().key);

    let stats =
        v1::GetCollectionStatsRequest { database: DATABASE.to_owned(), collection: COLLECTION.to_owned() };
    let stats = fixture.catalog.get_collection_stats(stats).await.unwrap().into_inner();
    assert_eq!((stats.documents, stats.indexes), (20, 2));

    let drop = v1::DropIndexesRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        names: vec!["n_1".to_owned()],
        all: false,
    };
    fixture.catalog.drop_indexes(drop.clone()).await.unwrap();
    let status = fixture.catalog.drop_indexes(drop.clone()).await.unwrap_err();
    assert_eq!(named(&status), (Code::NotFound, "INDEX_NOT_FOUND".to_owned()));
    let both = v1::DropIndexesRequest { all: true, ..drop };
    assert_eq!(named(&fixture.catalog.drop_indexes(both).await.unwrap_err()).1, "BAD_VALUE");
}

#[tokio::test]
async fn a_unique_index_over_duplicates_is_refused_and_leaves_nothing() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(20).await;
    let unique = v1::Index { unique: true, ..on_n() };
    let status = fixture.catalog.create_indexes(create_indexes(vec![unique])).await.unwrap_err();
    assert_eq!(named(&status), (Code::AlreadyExists, "DUPLICATE_KEY".to_owned()));
    let indexes = fixture.catalog.list_indexes(list_indexes()).await.unwrap().into_inner().indexes;
    assert_eq!(indexes.len(), 1);
}

#[tokio::test]
async fn wrong_indexes_and_unknown_collections_are_refused() {
    let mut fixture = Fixture::start().await;
    let status = fixture.catalog.list_indexes(list_indexes()).await.unwrap_err();
    assert_eq!(named(&status), (Code::NotFound, "NAMESPACE_NOT_FOUND".to_owned()));
    let no_key = v1::Index { key: Bytes::new(), ..on_n() };
    let status = fixture.catalog.create_indexes(create_indexes(vec![no_key])).await.unwrap_err();
    assert_eq!(named(&status).1, "FIELD_REQUIRED");
    let zero = v1::Index {
        key: doc(|key| {
            key.append("n", 0);
        }),
        ..v1::Index::default()
    };
    let status = fixture.catalog.create_indexes(create_indexes(vec![zero])).await.unwrap_err();
    assert_eq!(named(&status), (Code::InvalidArgument, "CANNOT_CREATE_INDEX".to_owned()));
    let status = fixture.catalog.create_indexes(create_indexes(vec![])).await.unwrap_err();
    assert_eq!(named(&status).1, "OUT_OF_RANGE");
}
