//! The cursor of another session.

use sheaf_document::ValueRef;

use crate::fixture::{document, filled, run};

#[test]
fn a_cursor_of_another_session_is_not_read_and_goes_on() {
    let owner = filled();
    let other = owner.commands().connect();
    let find = document(r#"{"find":"things","batchSize":1}"#);
    let reply = sheaf_command::run_command(&owner, "test", find.as_raw()).document;
    let cursor = reply.as_raw().get("cursor").and_then(ValueRef::as_document).unwrap();
    let Some(ValueRef::Int64(id)) = cursor.get("id") else { panic!("a cursor has an id") };
    assert_ne!(id, 0);
    let more = format!(r#"{{"getMore":{{"$numberLong":"{id}"}},"collection":"things"}}"#);
    assert_eq!(run(&other, &more), Some(13), "Unauthorized");
    let elsewhere = more.replace("things", "others");
    assert_eq!(run(&owner, &elsewhere), Some(13), "Unauthorized");
    assert_eq!(run(&owner, &more), None, "the owner reads on");
    assert_eq!(run(&owner, &more), Some(43), "CursorNotFound: it was read to its end");
}
