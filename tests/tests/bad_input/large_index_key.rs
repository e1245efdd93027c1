//! Values too large for an index key.

use crate::fixture::{contents, filled, run};

const KEY_TOO_LONG: i32 = 17280;

#[test]
fn a_value_too_large_for_its_index_is_refused_and_nothing_of_it_stays() {
    let session = filled();
    let before = contents(&session);
    let large = "x".repeat(40 << 10);
    for command in [
        r#"{"insert":"things","documents":[{"_id":9,"name":"@"}]}"#,
        r#"{"insert":"things","documents":[{"_id":"@"}]}"#,
        r#"{"update":"things","updates":[{"q":{"_id":1},"u":{"$set":{"name":"@"}}}]}"#,
    ] {
        assert_eq!(run(&session, &command.replace('@', &large)), Some(KEY_TOO_LONG), "{command}");
    }
    assert_eq!(contents(&session), before);
}

#[test]
fn an_index_over_a_value_too_large_is_not_built() {
    let session = filled();
    let insert = r#"{"insert":"things","documents":[{"_id":9,"text":"@"}]}"#;
    assert_eq!(run(&session, &insert.replace('@', &"x".repeat(40 << 10))), None);
    let before = contents(&session);
    let build = r#"{"createIndexes":"things","indexes":[{"key":{"text":1},"name":"text_1"}]}"#;
    assert_eq!(run(&session, build), Some(KEY_TOO_LONG));
    assert_eq!(contents(&session), before);
}
