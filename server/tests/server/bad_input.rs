//! What a client must not send: each has a named error and leaves the data as it was.

use bytes::Bytes;
use sheaf_proto::v1;
use sheaf_proto::v1::write_operation::Operation;
use tonic::Code;
use tonic_types::StatusExt;

use crate::fixture::{Fixture, doc, find, insert, named, nest, nested, numbered, write_error};

#[tokio::test]
async fn bytes_that_are_no_bson_are_named_with_their_field() {
    let mut fixture = Fixture::start().await;
    for (bytes, reason) in [
        (Bytes::from_static(&[1, 2, 3]), "INVALID_BSON"),
        (Bytes::from_static(&[0xff, 0xff, 0xff, 0x7f, 0]), "INVALID_BSON"),
        (numbered(1).slice(..20), "INVALID_BSON"),
        (nested(201), "DOCUMENT_TOO_DEEP"),
        (Bytes::from(vec![0; 17 << 20]), "DOCUMENT_TOO_LARGE"),
    ] {
        let status = fixture.find(find(bytes)).await.unwrap_err();
        assert_eq!(named(&status), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "query.filter");
    }
}

#[tokio::test]
async fn a_bad_document_fails_its_own_insert_and_no_other() {
    let mut fixture = Fixture::start().await;
    let large = doc(|document| {
        document.append("_id", 1).append("text", "x".repeat(17 << 20));
    });
    for (bad, reason) in [
        (Bytes::from_static(&[9, 0, 0, 0, 0]), "INVALID_BSON"),
        (nested(201), "DOCUMENT_TOO_DEEP"),
        (large, "DOCUMENT_TOO_LARGE"),
    ] {
        let before = fixture.count(Bytes::new()).await;
        let ordered = vec![insert(doc(|_| {})), insert(bad.clone()), insert(doc(|_| {}))];
        let results = fixture.write(ordered).await.unwrap();
        assert!(matches!(results[0].outcome, Some(v1::write_result::Outcome::Insert(_))), "{results:?}");
        assert_eq!(write_error(&results[1]).reason, reason);
        assert_eq!(results[2].outcome, None);
        assert_eq!(fixture.count(Bytes::new()).await, before + 1);

        let results = fixture.write_as(vec![insert(bad), insert(doc(|_| {}))], true).await.unwrap();
        assert_eq!(write_error(&results[0]).reason, reason);
        assert!(matches!(results[1].outcome, Some(v1::write_result::Outcome::Insert(_))), "{results:?}");
        assert_eq!(fixture.count(Bytes::new()).await, before + 2);
    }
}

#[tokio::test]
async fn an_unknown_operator_is_invalid_in_a_filter_an_update_and_a_pipeline() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(1).await;
    let nonsense = doc(|document| {
        document.append("$nonsense", 1);
    });
    let status = fixture.find(find(nest("n", &nonsense))).await.unwrap_err();
    assert_eq!(named(&status), (Code::InvalidArgument, "BAD_VALUE".to_owned()));

    let update = v1::UpdateOperation {
        change: Some(v1::update_operation::Change::Update(nest("$nonsense", &numbered(1)))),
        ..v1::UpdateOperation::default()
    };
    let results = fixture.write(vec![Operation::Update(update)]).await.unwrap();
    assert_eq!(write_error(&results[0]).reason, "FAILED_TO_PARSE");

    let request = v1::AggregateRequest {
        database: "app".to_owned(),
        collection: "users".to_owned(),
        pipeline: vec![nonsense],
        ..v1::AggregateRequest::default()
    };
    let status = fixture.documents.aggregate(request).await.unwrap_err();
    assert_eq!(named(&status), (Code::InvalidArgument, "LOCATION_40324".to_owned()));
}

#[tokio::test]
async fn names_that_are_not_allowed_are_refused() {
    let mut fixture = Fixture::start().await;
    for (database, collection) in [("", "c"), ("d", ""), ("a b", "c"), ("d", "a$b"), ("d\0", "c")] {
        let request = v1::FindRequest {
            database: database.to_owned(),
            collection: collection.to_owned(),
            ..v1::FindRequest::default()
        };
        let status = fixture.find(request).await.unwrap_err();
        assert_eq!(named(&status), (Code::InvalidArgument, "INVALID_NAMESPACE".to_owned()));
    }
}

#[tokio::test]
async fn numbers_out_of_range_and_missing_fields_are_refused() {
    let mut fixture = Fixture::start().await;
    let mut request = find(Bytes::new());
    request.query.as_mut().unwrap().limit = -1;
    assert_eq!(named(&fixture.find(request).await.unwrap_err()).1, "OUT_OF_RANGE");
    let request = v1::FindRequest { explain: 99, ..find(Bytes::new()) };
    assert_eq!(named(&fixture.find(request).await.unwrap_err()).1, "OUT_OF_RANGE");
    assert_eq!(named(&fixture.write(vec![]).await.unwrap_err()).1, "OUT_OF_RANGE");

    let nothing = Operation::Update(v1::UpdateOperation::default());
    assert_eq!(write_error(&fixture.write(vec![nothing]).await.unwrap()[0]).reason, "FIELD_REQUIRED");
    let get = v1::GetRequest {
        database: "app".to_owned(),
        collection: "users".to_owned(),
        key: doc(|key| {
            key.append("_id", 1).append("other", 1);
        }),
        ..v1::GetRequest::default()
    };
    assert_eq!(named(&fixture.documents.get(get).await.unwrap_err()).1, "BAD_VALUE");
}

#[tokio::test]
async fn an_update_and_a_replacement_are_not_taken_for_each_other() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(1).await;
    let plain = v1::UpdateOperation {
        change: Some(v1::update_operation::Change::Update(numbered(5))),
        ..v1::UpdateOperation::default()
    };
    let results = fixture.write(vec![Operation::Update(plain)]).await.unwrap();
    assert_eq!(write_error(&results[0]).reason, "FAILED_TO_PARSE");
    let operators =
        v1::ReplaceOperation { replacement: nest("$set", &numbered(5)), ..v1::ReplaceOperation::default() };
    let results = fixture.write(vec![Operation::Replace(operators)]).await.unwrap();
    assert_eq!(write_error(&results[0]).reason, "FAILED_TO_PARSE");
}
