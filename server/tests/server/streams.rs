//! Batches, explanations and deadlines.

use std::time::Duration;

use bytes::Bytes;
use sheaf_document::{RawDocument, ValueRef};
use sheaf_proto::v1;
use sheaf_proto::v1::find_response::Final;
use tonic::{Code, Request};

use crate::fixture::{Fixture, doc, find, insert, numbered, streamed_ids};

#[tokio::test]
async fn a_stream_says_when_it_is_complete_and_what_it_sent() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(1000).await;
    let messages = fixture.find(v1::FindRequest { batch_size: 300, ..find(Bytes::new()) }).await.unwrap();
    assert_eq!(streamed_ids(&messages), (0..1000).collect::<Vec<_>>());
    assert!(messages.iter().all(|message| message.documents.len() <= 300));
    let (last, rest) = messages.split_last().unwrap();
    assert!(rest.iter().all(|message| message.r#final.is_none()));
    let Some(Final::Stats(stats)) = &last.r#final else { panic!("{last:?}") };
    assert_eq!(stats.documents_returned, 1000);
    let bytes = numbered(0).len() * 1000;
    assert_eq!(stats.bytes_returned, i64::try_from(bytes).unwrap());
}

#[tokio::test]
async fn a_collection_that_does_not_exist_is_one_complete_empty_batch() {
    let mut fixture = Fixture::start().await;
    let messages = fixture.find(find(Bytes::new())).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].documents.is_empty() && messages[0].r#final.is_some());
}

#[tokio::test]
async fn batches_hold_a_mebibyte_or_one_document() {
    let mut fixture = Fixture::start().await;
    let sizes = [3 << 20, 600 << 10, 600 << 10, 100, 15 << 20];
    for (n, size) in (0..).zip(sizes) {
        let large = doc(|document| {
            document.append("_id", n).append("text", "x".repeat(size));
        });
        fixture.write(vec![insert(large)]).await.unwrap();
    }
    let messages = fixture.find(find(Bytes::new())).await.unwrap();
    assert_eq!(streamed_ids(&messages), [0, 1, 2, 3, 4]);
    for message in &messages {
        let bytes: usize = message.documents.iter().map(Bytes::len).sum();
        assert!(bytes <= 1 << 20 || message.documents.len() == 1, "{bytes}");
    }
}

#[tokio::test]
async fn a_query_is_explained_instead_of_answered() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(10).await;
    let request = v1::FindRequest { explain: v1::ExplainMode::QueryPlanner.into(), ..find(Bytes::new()) };
    let messages = fixture.find(request).await.unwrap();
    let [v1::FindResponse { documents, r#final: Some(Final::Explanation(plan)), .. }] = messages.as_slice()
    else {
        panic!("{messages:?}")
    };
    assert!(documents.is_empty());
    let plan = RawDocument::validate(plan).unwrap();
    assert!(matches!(plan.get("queryPlanner"), Some(ValueRef::Document(_))), "{plan:?}");
}

#[tokio::test]
async fn a_deadline_that_has_passed_ends_a_stream() {
    let mut fixture = Fixture::start().await;
    // More than the connection holds while nobody reads.
    for n in 0..50 {
        let large = doc(|document| {
            document.append("_id", n).append("text", "x".repeat(1 << 20));
        });
        fixture.write(vec![insert(large)]).await.unwrap();
    }
    let mut request = Request::new(v1::FindRequest { batch_size: 1, ..find(Bytes::new()) });
    request.set_timeout(Duration::from_millis(500));
    let mut stream = fixture.documents.find(request).await.unwrap().into_inner();
    stream.message().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut received = 1;
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => received += 1,
            Ok(None) => panic!("the stream was complete"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(received < 50);
}

#[tokio::test]
async fn a_client_that_stops_reading_costs_nothing_but_its_stream() {
    let mut fixture = Fixture::start().await;
    fixture.insert_numbers(3000).await;
    for _ in 0..300 {
        let request = v1::FindRequest { batch_size: 10, ..find(Bytes::new()) };
        let mut stream = fixture.documents.find(request).await.unwrap().into_inner();
        stream.message().await.unwrap();
    }
    assert_eq!(fixture.count(Bytes::new()).await, 3000);
}
