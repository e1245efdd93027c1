//! Reads and writes of documents.

use bytes::Bytes;
use sheaf_document::{RawDocument, ValueRef};
use sheaf_proto::v1;
use sheaf_proto::v1::write_operation::Operation;
use sheaf_proto::v1::write_result::Outcome;
use tonic::Code;

use crate::fixture::{
    COLLECTION, DATABASE, Fixture, doc, find, ids, insert, named, nest, numbered, streamed_ids, write_error,
};

fn get(key: Bytes) -> v1::GetRequest {
    v1::GetRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        key,
        projection: Bytes::new(),
    }
}

fn id(n: i32) -> Bytes {
    doc(|key| {
        key.append("_id", n);
    })
}

#[tokio::test]
async fn documents_come_back_as_the_bytes_they_were() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(3).await;
    let document = fixture.documents.get(get(id(1))).await.unwrap().into_inner().document;
    assert_eq!(document, numbered(1));
    let status = fixture.documents.get(get(id(7))).await.unwrap_err();
    assert_eq!(named(&status), (Code::NotFound, "DOCUMENT_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn an_id_that_looks_like_an_operator_is_only_an_id() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(3).await;
    let operator = doc(|operator| {
        operator.append("$gte", 0);
    });
    // It must not find the first document with an _id of at least 0.
    let answer = fixture.documents.get(get(nest("_id", &operator))).await;
    assert_ne!(answer.unwrap_err().code(), Code::Ok);
    let plain = doc(|id| {
        id.append("a", 1);
    });
    fixture.write(vec![insert(nest("_id", &plain))]).await.unwrap();
    let found = fixture.documents.get(get(nest("_id", &plain))).await.unwrap().into_inner();
    assert_eq!(found.document, nest("_id", &plain));
}

#[tokio::test]
async fn a_batch_get_answers_in_the_order_asked() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(5).await;
    let request = v1::BatchGetRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        keys: [4, 9, 0].map(id).to_vec(),
        projection: Bytes::new(),
    };
    let results = fixture.documents.batch_get(request.clone()).await.unwrap().into_inner().results;
    let documents: Vec<_> = results.into_iter().map(|result| result.document).collect();
    assert_eq!(documents, [Some(numbered(4)), None, Some(numbered(0))]);

    let many = v1::BatchGetRequest { keys: vec![id(1); 1001], ..request };
    let status = fixture.documents.batch_get(many).await.unwrap_err();
    assert_eq!(named(&status).1, "OUT_OF_RANGE");
}

#[tokio::test]
async fn an_insert_without_an_id_is_given_one_and_told() {
    let mut fixture = Fixture::start().await;
    let document = doc(|document| {
        document.append("a", 1);
    });
    let results = fixture.write(vec![insert(document), insert(numbered(1))]).await.unwrap();
    let Some(Outcome::Insert(inserted)) = &results[0].outcome else { panic!("{results:?}") };
    let found = fixture.documents.get(get(inserted.generated_key.clone())).await.unwrap().into_inner();
    let found = RawDocument::validate(&found.document).unwrap();
    assert_eq!(found.get("a"), Some(ValueRef::Int32(1)));
    assert_eq!(found.first().unwrap().key(), "_id");
    let Some(Outcome::Insert(second)) = &results[1].outcome else { panic!("{results:?}") };
    assert!(second.generated_key.is_empty());
}

#[tokio::test]
async fn a_mixed_list_of_writes_is_done_in_order() {
    let mut fixture = Fixture::start().await;
    let inc = doc(|inc| {
        inc.append("n", 100);
    });
    let update = |filter| {
        Operation::Update(v1::UpdateOperation {
            filter,
            change: Some(v1::update_operation::Change::Update(nest("$inc", &inc))),
            ..v1::UpdateOperation::default()
        })
    };
    let results = fixture
        .write(vec![
            insert(numbered(1)),
            insert(numbered(2)),
            update(id(2)),
            Operation::Replace(v1::ReplaceOperation {
                filter: id(1),
                replacement: doc(|replacement| {
                    replacement.append("new", true);
                }),
                ..v1::ReplaceOperation::default()
            }),
            insert(numbered(3)),
            Operation::Delete(v1::DeleteOperation { filter: id(3), ..v1::DeleteOperation::default() }),
            update(id(77)),
        ])
        .await
        .unwrap();
    let outcomes: Vec<_> = results.into_iter().map(|result| result.outcome.unwrap()).collect();
    let inserted = || Outcome::Insert(v1::InsertResult::default());
    let updated = |matched, modified| {
        Outcome::Update(v1::UpdateResult { matched, modified, upserted_key: Bytes::new() })
    };
    assert_eq!(
        outcomes,
        [
            inserted(),
            inserted(),
            updated(1, 1),
            updated(1, 1),
            inserted(),
            Outcome::Delete(v1::DeleteResult { deleted: 1 }),
            updated(0, 0),
        ]
    );
    let replaced = fixture.documents.get(get(id(1))).await.unwrap().into_inner().document;
    assert_eq!(
        replaced,
        doc(|document| {
            document.append("_id", 1).append("new", true);
        })
    );
}

#[tokio::test]
async fn a_duplicate_key_fails_its_write_and_stops_ordered_ones() {
    let mut fixture = Fixture::start().await;
    let writes = || vec![insert(numbered(1)), insert(numbered(1)), insert(numbered(2))];
    let results = fixture.write(writes()).await.unwrap();
    let error = write_error(&results[1]);
    assert_eq!((error.code, error.reason.as_str()), (i32::from(Code::AlreadyExists), "DUPLICATE_KEY"));
    assert_eq!(error.metadata["code"], "11000");
    let details = RawDocument::validate(&error.details).unwrap();
    assert!(details.get("keyPattern").is_some() && details.get("keyValue").is_some(), "{details:?}");
    assert_eq!(results[2].outcome, None);
    assert_eq!(fixture.count(Bytes::new()).await, 1);

    let results = fixture.write_as(writes(), true).await.unwrap();
    assert_eq!(write_error(&results[0]).reason, "DUPLICATE_KEY");
    assert_eq!(write_error(&results[1]).reason, "DUPLICATE_KEY");
    assert_eq!(results[2].outcome, Some(Outcome::Insert(v1::InsertResult::default())));
}

#[tokio::test]
async fn an_upsert_tells_the_id_it_made() {
    let mut fixture = Fixture::start().await;
    let operation = Operation::Update(v1::UpdateOperation {
        filter: id(5),
        change: Some(v1::update_operation::Change::Update(nest(
            "$set",
            &doc(|set| {
                set.append("a", 1);
            }),
        ))),
        upsert: true,
        ..v1::UpdateOperation::default()
    });
    let results = fixture.write(vec![operation]).await.unwrap();
    let Some(Outcome::Update(updated)) = &results[0].outcome else { panic!("{results:?}") };
    assert_eq!(updated.upserted_key, id(5));
}

#[tokio::test]
async fn find_and_modify_returns_before_after_and_nothing() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(2).await;
    let set = nest(
        "$set",
        &doc(|set| {
            set.append("n", 50);
        }),
    );
    let request = v1::FindAndModifyRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        filter: id(1),
        change: Some(v1::find_and_modify_request::Change::Update(set)),
        ..v1::FindAndModifyRequest::default()
    };
    let before = fixture.documents.find_and_modify(request.clone()).await.unwrap().into_inner();
    assert_eq!(before.document, Some(numbered(1)));
    let after = v1::FindAndModifyRequest { return_new: true, ..request.clone() };
    let after = fixture.documents.find_and_modify(after).await.unwrap().into_inner().document.unwrap();
    assert_eq!(RawDocument::validate(&after).unwrap().get("n"), Some(ValueRef::Int32(50)));
    let delete = v1::FindAndModifyRequest {
        change: Some(v1::find_and_modify_request::Change::Delete(true)),
        ..request.clone()
    };
    assert!(fixture.documents.find_and_modify(delete.clone()).await.unwrap().into_inner().document.is_some());
    assert!(fixture.documents.find_and_modify(delete).await.unwrap().into_inner().document.is_none());
    let both = v1::FindAndModifyRequest {
        change: Some(v1::find_and_modify_request::Change::Delete(true)),
        upsert: true,
        ..request
    };
    assert_eq!(named(&fixture.documents.find_and_modify(both).await.unwrap_err()).1, "BAD_VALUE");
}

#[tokio::test]
async fn queries_filter_sort_skip_limit_and_project() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(100).await;
    let mut request = find(doc(|filter| {
        filter.append("n", 7);
    }));
    let query = request.query.as_mut().unwrap();
    query.sort = doc(|sort| {
        sort.append("_id", -1);
    });
    query.projection = doc(|projection| {
        projection.append("n", 1);
    });
    (query.skip, query.limit) = (1, 2);
    let messages = fixture.find(request).await.unwrap();
    assert_eq!(streamed_ids(&messages), [87, 77]);
    let first = RawDocument::validate(&messages[0].documents[0]).unwrap();
    assert_eq!(first.iter().map(|element| element.key().to_owned()).collect::<Vec<_>>(), ["_id", "n"]);
}

#[tokio::test]
async fn pipelines_counts_and_distinct_values() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(100).await;
    let request = v1::AggregateRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        pipeline: vec![
            nest(
                "$match",
                &doc(|filter| {
                    filter.document("_id", |id| {
                        id.append("$lt", 25);
                    });
                }),
            ),
            nest(
                "$group",
                &doc(|group| {
                    group.append("_id", "$n").document("count", |count| {
                        count.append("$sum", 1);
                    });
                }),
            ),
            nest(
                "$sort",
                &doc(|sort| {
                    sort.append("_id", 1);
                }),
            ),
        ],
        batch_size: 4,
        ..v1::AggregateRequest::default()
    };
    let mut stream = fixture.documents.aggregate(request).await.unwrap().into_inner();
    let mut documents = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        assert!(message.documents.len() <= 4);
        documents.extend(message.documents);
    }
    assert_eq!(ids(&documents), (0..10).collect::<Vec<_>>());
    let first = RawDocument::validate(&documents[0]).unwrap();
    assert_eq!(first.get("count"), Some(ValueRef::Int32(3)));

    let seven = doc(|filter| {
        filter.append("n", 7);
    });
    assert_eq!(fixture.count(seven.clone()).await, 10);
    let request = v1::DistinctRequest {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        field: "n".to_owned(),
        filter: seven,
        read: None,
    };
    let values = fixture.documents.distinct(request).await.unwrap().into_inner().values;
    let Some(ValueRef::Array(values)) = RawDocument::validate(&values).unwrap().get("values") else {
        panic!("{values:?}")
    };
    assert_eq!(values.iter().collect::<Vec<_>>(), [ValueRef::Int32(7)]);
}
