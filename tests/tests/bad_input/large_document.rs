//! Documents of more than 16 MiB, sent as such or grown by an update.

use sheaf_document::{Error, RawDocument};

use crate::fixture::{contents, document, filled, run, send};

/// What a pipeline made.
const OBJECT_TOO_LARGE: i32 = 10334;

/// What the operators of an update made.
const UPDATED_TOO_LARGE: i32 = 17419;

#[test]
fn seventeen_mebibytes_do_not_pass_the_door() {
    let bytes = bson::serialize_to_vec(&bson::doc! { "text": "x".repeat(17 << 20) }).unwrap();
    assert!(matches!(RawDocument::validate(&bytes), Err(Error::Limit { .. })));
}

#[test]
fn an_update_cannot_grow_a_document_beyond_the_limit() {
    let session = filled();
    let before = contents(&session);
    let half = "x".repeat(9 << 20);
    let grow =
        r#"{"update":"things","updates":[{"q":{"_id":1},"u":[{"$set":{"big":{"$concat":["@","@"]}}}]}]}"#;
    let code = send(&session, document(&grow.replace("@", &half[..7 << 20])).as_raw());
    assert_eq!(code, None, "14 MiB fit");
    let copy = r#"{"update":"things","updates":[{"q":{"_id":1},"u":[{"$set":{"copy":"$big"}}]}]}"#;
    assert_eq!(run(&session, copy), Some(OBJECT_TOO_LARGE));
    let set = r#"{"update":"things","updates":[{"q":{"_id":1},"u":{"$set":{"more":"@"}}}]}"#;
    assert_eq!(run(&session, &set.replace('@', &half[..3 << 20])), Some(UPDATED_TOO_LARGE));
    let unset = r#"{"update":"things","updates":[{"q":{"_id":1},"u":{"$unset":{"big":1}}}]}"#;
    assert_eq!(run(&session, unset), None);
    assert_eq!(contents(&session), before, "nothing of them is there");
}
