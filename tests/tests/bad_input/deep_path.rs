//! Paths and documents that are too deep: 200 levels below a document are read, 180 are stored.

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
fn a_document_of_more_than_200_levels_is_refused() {
    let text = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert!(parse_document(&text(200)).is_ok());
    assert!(matches!(parse_document(&text(201)), Err(sheaf_document::Error::Limit { .. })));
    let bytes = |levels: usize| {
        let innermost = bson::doc! { "a": 1 };
        let nested = (1..levels).fold(innermost, |inner, _| bson::doc! { "a": inner });
        bson::serialize_to_vec(&nested).unwrap()
    };
    assert!(sheaf_document::RawDocument::validate(&bytes(201)).is_ok());
    assert!(matches!(
        sheaf_document::RawDocument::validate(&bytes(202)),
        Err(sheaf_document::Error::Limit { .. })
    ));
}

#[test]
fn a_document_of_more_than_180_levels_is_not_stored() {
    let session = filled();
    let before = contents(&session);
    let insert = |levels: usize| {
        let document = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        run(&session, &format!(r#"{{"insert":"things","documents":[{document}]}}"#))
    };
    assert_eq!(insert(182), Some(OVERFLOW));
    assert_eq!(contents(&session), before);
    assert_eq!(insert(181), None);
    assert_ne!(contents(&session), before);
}
