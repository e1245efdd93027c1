//! Operators that nobody has.

use crate::fixture::{contents, filled, run};

#[test]
fn an_unknown_operator_is_named_wherever_it_stands() {
    let session = filled();
    let before = contents(&session);
    for (command, code) in [
        (r#"{"find":"things","filter":{"a":{"$nonsense":1}}}"#, 2),
        (r#"{"find":"things","filter":{"$nonsense":1}}"#, 2),
        (r#"{"find":"things","filter":{"$expr":{"$nonsense":1}}}"#, 168),
        (r#"{"update":"things","updates":[{"q":{},"u":{"$nonsense":{"a":1}}}]}"#, 9),
        (r#"{"delete":"things","deletes":[{"q":{"a":{"$nonsense":1}},"limit":0}]}"#, 2),
        (r#"{"findAndModify":"things","query":{},"update":{"$nonsense":{"a":1}}}"#, 9),
        (r#"{"aggregate":"things","pipeline":[{"$nonsense":1}],"cursor":{}}"#, 40324),
        (
            r#"{"aggregate":"things","pipeline":[{"$group":{"_id":1,"x":{"$nonsense":1}}}],"cursor":{}}"#,
            15952,
        ),
        (r#"{"nonsense":1}"#, 59),
    ] {
        assert_eq!(run(&session, command), Some(code), "{command}");
    }
    assert_eq!(contents(&session), before);
}
