//! Paths and documents of 200 levels, where 100 is the limit of a document.

use sheaf_document::json::parse_document;

use crate::fixture::{contents, filled, run};

const OVERFLOW: i32 = 15;

#[test]
fn a_path_of_200_levels_makes_no_document() {
    let session = filled();
    let before = contents(&session);
    let path = vec!["a"; 200].join(".");
    for command in [
        r#"{"update":"things","updates":[{"q":{"_id":1},"u":{"$set":{"@":1}}}]}"#,
        r#"{"update":"things","updates":[{"q":{"_id":9,"@":1},"u":{"$set":{"b":1}},"upsert":true}]}"#,
        r#"{"findAndModify":"things","query":{"_id":1},"update":{"$inc":{"@":1}}}"#,
    ] {
        let code = run(&session, &command.replace('@', &path));
        assert_eq!(code, Some(OVERFLOW), "{command}");
    }
    let find = format!(r#"{{"find":"things","filter":{{"{path}":1}}}}"#);
    assert_eq!(run(&session, &find), None, "it finds nothing, as any path may");
    assert_eq!(contents(&session), before);
}

#[test]
fn a_document_of_200_levels_is_refused() {
    let text = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    assert!(matches!(parse_document(&text), Err(sheaf_document::Error::Limit { .. })));
    let mut bytes = bson::doc! {};
    for _ in 0..200 {
        bytes = bson::doc! { "a": bytes };
    }
    let bytes = bson::serialize_to_vec(&bytes).unwrap();
    assert!(matches!(
        sheaf_document::RawDocument::validate(&bytes),
        Err(sheaf_document::Error::Limit { .. })
    ));
}
