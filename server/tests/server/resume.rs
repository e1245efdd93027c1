//! Streams and pages that go on elsewhere.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sheaf_proto::v1;
use tonic::Code;

use crate::fixture::{Fixture, config, doc, find, ids, insert, named, streamed_ids};

/// The first batch of a stream that is then dropped.
async fn first_batch(fixture: &mut Fixture, request: v1::FindRequest) -> v1::FindResponse {
    let mut stream = fixture.documents.find(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap()
}

#[tokio::test]
async fn every_token_of_a_stream_leads_to_the_rest_of_it_even_after_a_restart() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(50).await;
    let request = v1::FindRequest { batch_size: 7, ..find(Bytes::new()) };
    let messages = fixture.find(request.clone()).await.unwrap();
    let mut fixture = fixture.restart().await;
    let mut seen = 0;
    for message in &messages[..messages.len() - 1] {
        seen += message.documents.len();
        assert!(!message.resume_token.is_empty());
        let resumed = v1::FindRequest { resume_token: message.resume_token.clone(), ..request.clone() };
        let rest = fixture.find(resumed).await.unwrap();
        assert_eq!(streamed_ids(&rest), (0..50).skip(seen).collect::<Vec<_>>());
    }
    assert!(messages.last().unwrap().resume_token.is_empty());
}

#[tokio::test]
async fn skip_and_limit_count_across_a_resumption() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(50).await;
    let mut request = v1::FindRequest { batch_size: 4, ..find(Bytes::new()) };
    let query = request.query.as_mut().unwrap();
    (query.skip, query.limit) = (5, 10);
    let first = first_batch(&mut fixture, request.clone()).await;
    assert_eq!(ids(&first.documents), [5, 6, 7, 8]);
    let rest = fixture.find(v1::FindRequest { resume_token: first.resume_token, ..request }).await.unwrap();
    assert_eq!(streamed_ids(&rest), (9..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_resumed_stream_reads_the_snapshot_of_its_beginning() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(20).await;
    let request = v1::FindRequest { batch_size: 5, ..find(Bytes::new()) };
    let first = first_batch(&mut fixture, request.clone()).await;
    let delete = v1::DeleteOperation { multi: true, ..v1::DeleteOperation::default() };
    fixture.write(vec![v1::write_operation::Operation::Delete(delete)]).await.unwrap();
    assert_eq!(fixture.count(Bytes::new()).await, 0);
    let rest = fixture.find(v1::FindRequest { resume_token: first.resume_token, ..request }).await.unwrap();
    assert_eq!(streamed_ids(&rest), (5..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_token_of_another_query_and_an_altered_one_are_refused() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(20).await;
    let request = v1::FindRequest { batch_size: 5, ..find(Bytes::new()) };
    let token = first_batch(&mut fixture, request.clone()).await.resume_token;

    let mut altered = token.to_vec();
    altered[3] ^= 1;
    for token in [Bytes::from(altered), token.slice(1..), Bytes::from_static(b"token")] {
        let status =
            fixture.find(v1::FindRequest { resume_token: token, ..request.clone() }).await.unwrap_err();
        assert_eq!(named(&status), (Code::InvalidArgument, "RESUME_TOKEN_INVALID".to_owned()));
    }
    let other = find(doc(|filter| {
        filter.append("n", 3);
    }));
    let status = fixture.find(v1::FindRequest { resume_token: token.clone(), ..other }).await.unwrap_err();
    assert_eq!(named(&status).1, "RESUME_TOKEN_INVALID");

    // Another server does not know the key.
    let mut elsewhere = Fixture::start().await;
    elsewhere.insert_numbers(20).await;
    let status = elsewhere.find(v1::FindRequest { resume_token: token, ..request }).await.unwrap_err();
    assert_eq!(named(&status).1, "RESUME_TOKEN_INVALID");
}

#[tokio::test]
async fn pages_follow_each_other() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(250).await;
    let mut request = v1::FindPageRequest {
        database: "app".to_owned(),
        collection: "users".to_owned(),
        ..v1::FindPageRequest::default()
    };
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    loop {
        let page = fixture.documents.find_page(request.clone()).await.unwrap().into_inner();
        sizes.push(page.documents.len());
        seen.extend(ids(&page.documents));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, (0..250).collect::<Vec<_>>());
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test]
async fn a_token_from_before_the_collection_or_an_index_was_made_is_refused() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(20).await;
    let request = v1::FindRequest { batch_size: 5, ..find(Bytes::new()) };
    let resumed = |token| v1::FindRequest { resume_token: token, ..request.clone() };
    let refused = (Code::FailedPrecondition, "COLLECTION_CHANGED".to_owned());

    let token = first_batch(&mut fixture, request.clone()).await.resume_token;
    let key = doc(|key| {
        key.append("n", 1);
    });
    let (database, collection) = ("app".to_owned(), "users".to_owned());
    let indexes = vec![v1::Index { key, ..v1::Index::default() }];
    let create =
        v1::CreateIndexesRequest { database: database.clone(), collection: collection.clone(), indexes };
    fixture.catalog.create_indexes(create.clone()).await.unwrap();
    assert_eq!(named(&fixture.find(resumed(token)).await.unwrap_err()), refused);

    let token = first_batch(&mut fixture, request.clone()).await.resume_token;
    fixture.catalog.drop_collection(v1::DropCollectionRequest { database, collection }).await.unwrap();
    assert_eq!(named(&fixture.find(resumed(token.clone())).await.unwrap_err()), refused);
    fixture.insert_numbers(20).await;
    fixture.catalog.create_indexes(create).await.unwrap();
    assert_eq!(named(&fixture.find(resumed(token)).await.unwrap_err()), refused);
}

#[tokio::test]
async fn a_token_whose_history_is_gone_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.history = Duration::ZERO;
    // Small enough that the writes below flush, and with that drop history. Each is below half of it: larger ones would
    // go past the memtable.
    config.memtable_bytes = 1 << 20;
    let mut fixture = Fixture::start_with(directory, config).await;
    fixture.insert_numbers(20).await;
    let request = v1::FindRequest { batch_size: 5, ..find(Bytes::new()) };
    let token = first_batch(&mut fixture, request.clone()).await.resume_token;
    for n in 100..140 {
        let large = doc(|document| {
            document.append("_id", n).append("text", "x".repeat(256 << 10));
        });
        fixture.write(vec![insert(large)]).await.unwrap();
    }
    let resumed = v1::FindRequest { resume_token: token, ..request };
    let begun = Instant::now();
    let status = loop {
        // The flush runs beside the writes.
        match fixture.find(resumed.clone()).await {
            Err(status) => break status,
            Ok(_) => assert!(begun.elapsed() < Duration::from_secs(20), "history was kept"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(named(&status), (Code::FailedPrecondition, "SNAPSHOT_TOO_OLD".to_owned()));
}
