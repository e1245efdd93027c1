//! Transactions, writes that are done once and reads of one moment, as clients send them.

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::{RawDocumentBuf, json};
use sheaf_engine::{Database, DatabaseOptions};

const SESSION: &str = r#""lsid":{"id":{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAQ==","subType":"04"}}}"#;

fn connect() -> CommandSession {
    let database = Database::in_memory(DatabaseOptions::default()).expect("memory suffices");
    Commands::new(database, Identity::default()).connect()
}

/// Sends a command; `{` is followed by the session where the text has `@`.
fn send(session: &CommandSession, database: &str, command: &str) -> RawDocumentBuf {
    let command = json::parse_document(&command.replace('@', SESSION)).expect("extended JSON");
    run_command(session, database, command.as_raw()).document
}

/// The reply's code, `0` if it has none.
fn code(session: &CommandSession, database: &str, command: &str) -> i32 {
    match send(session, database, command).as_raw().get("code") {
        Some(sheaf_document::ValueRef::Int32(code)) => code,
        _ => 0,
    }
}

fn text(reply: &RawDocumentBuf) -> String {
    json::to_relaxed(reply.as_raw())
}

#[test]
fn a_transaction_is_driven_by_commands() {
    let client = connect();
    let run = |command: &str| code(&client, "db", command);
    let end = |command: &str| code(&client, "admin", command);
    assert_eq!(
        run(
            r#"{"insert":"c","documents":[{"_id":1}],@,"txnNumber":{"$numberLong":"1"},"autocommit":false,"startTransaction":true}"#
        ),
        0
    );
    assert_eq!(
        run(
            r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$set":{"x":1}}}],@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#
        ),
        0
    );
    assert!(!text(&send(&client, "db", r#"{"find":"c"}"#)).contains("_id"), "nobody else sees it");
    assert_eq!(end(r#"{"commitTransaction":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#), 0);
    assert_eq!(end(r#"{"commitTransaction":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#), 0);
    assert!(text(&send(&client, "db", r#"{"find":"c"}"#)).contains(r#""x""#));
    assert_eq!(end(r#"{"abortTransaction":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#), 256);
    assert_eq!(end(r#"{"commitTransaction":1}"#), 125);
    assert_eq!(end(r#"{"commitTransaction":1,@,"txnNumber":{"$numberLong":"9"}}"#), 50_768);
}

#[test]
fn what_fails_in_a_transaction_aborts_it_and_says_what_clients_may_do() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1}]}"#);
    let twice = send(
        &client,
        "db",
        r#"{"insert":"c","documents":[{"_id":1}],@,"txnNumber":{"$numberLong":"1"},"autocommit":false,"startTransaction":true}"#,
    );
    assert!(text(&twice).contains("11000"), "{}", text(&twice));
    let gone = send(&client, "db", r#"{"find":"c",@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#);
    assert!(
        text(&gone).contains("251") && text(&gone).contains("TransientTransactionError"),
        "{}",
        text(&gone)
    );
    let start = |number: i32, rest: &str| {
        let command = format!(
            r#"{{{rest},@,"txnNumber":{{"$numberLong":"{number}"}},"autocommit":false,"startTransaction":true}}"#
        );
        code(&client, "db", &command)
    };
    assert_eq!(start(2, r#""count":"c""#), 263);
    assert_eq!(
        start(
            3,
            r#""aggregate":"c","pipeline":[{"$lookup":{"from":"c","pipeline":[{"$unionWith":"c"}],"as":"x"}}],"cursor":{}"#
        ),
        263
    );
    assert_eq!(start(4, r#""find":"c","readConcern":{"level":"linearizable"}"#), 72);
    assert_eq!(start(5, r#""insert":"c","documents":[{}],"writeConcern":{"w":1}"#), 72);
    assert_eq!(start(6, r#""killCursors":"c","cursors":[]"#), 263);
    assert_eq!(
        code(
            &client,
            "local",
            r#"{"find":"c",@,"txnNumber":{"$numberLong":"7"},"autocommit":false,"startTransaction":true}"#
        ),
        263
    );
}

#[test]
fn a_cursor_of_a_transaction_is_read_within_it_only() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1},{"_id":2},{"_id":3}]}"#);
    let reply = send(
        &client,
        "db",
        r#"{"find":"c","batchSize":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false,"startTransaction":true}"#,
    );
    let cursor =
        reply.as_raw().get("cursor").and_then(sheaf_document::ValueRef::as_document).expect("a cursor");
    let Some(sheaf_document::ValueRef::Int64(id)) = cursor.get("id") else { unreachable!("an id") };
    let more = |rest: &str| {
        format!(r#"{{"getMore":{{"$numberLong":"{id}"}},"collection":"c","batchSize":1{rest}}}"#)
    };
    assert_eq!(code(&client, "db", &more("")), 13);
    let inside = r#",@,"txnNumber":{"$numberLong":"1"},"autocommit":false"#;
    assert_eq!(code(&client, "db", &more(inside)), 0);
    code(&client, "admin", r#"{"commitTransaction":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#);
    assert_eq!(code(&client, "db", &more("")), 43);
}

#[test]
fn a_write_that_is_sent_again_is_done_once() {
    let client = connect();
    // The same answer, and beside it which statements were not done again.
    let again = |command: &str, retried: &str| {
        let first = text(&send(&client, "db", command));
        assert!(!first.contains("retriedStmtId"), "{first}");
        let second = text(&send(&client, "db", command));
        let told = format!("{retried},");
        assert!(second.contains(&told), "{second}");
        assert_eq!(second.replace(&told, ""), first);
        first
    };
    again(
        r#"{"insert":"c","documents":[{"_id":1,"x":0},{"_id":2,"x":0}],@,"txnNumber":{"$numberLong":"1"}}"#,
        r#""retriedStmtIds":[0,1]"#,
    );
    again(
        r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"x":1}}},{"q":{"_id":3},"u":{"$inc":{"x":1}},"upsert":true}],@,"txnNumber":{"$numberLong":"2"}}"#,
        r#""retriedStmtIds":[0,1]"#,
    );
    let changed = again(
        r#"{"findAndModify":"c","query":{"_id":2},"update":{"$inc":{"x":1}},"new":true,@,"txnNumber":{"$numberLong":"3"}}"#,
        r#""retriedStmtId":0"#,
    );
    assert!(changed.contains("value"), "{changed}");
    again(
        r#"{"delete":"c","deletes":[{"q":{},"limit":1}],@,"txnNumber":{"$numberLong":"4"}}"#,
        r#""retriedStmtIds":[0]"#,
    );
    let left = text(&send(
        &client,
        "db",
        r#"{"aggregate":"c","pipeline":[{"$group":{"_id":null,"n":{"$sum":1},"x":{"$sum":"$x"}}}],"cursor":{}}"#,
    ));
    assert!(left.contains(r#""n":2"#) || left.contains(r#""n": 2"#), "{left}");
    let many = r#"{"update":"c","updates":[{"q":{},"u":{"$inc":{"x":1}},"multi":true}],@,"txnNumber":{"$numberLong":"5"}}"#;
    assert_eq!(code(&client, "db", many), 72);
    assert_eq!(code(&client, "db", r#"{"find":"c",@,"txnNumber":{"$numberLong":"6"}}"#), 50_768);
    assert_eq!(
        code(
            &client,
            "db",
            r#"{"delete":"c","deletes":[{"q":{},"limit":1}],@,"txnNumber":{"$numberLong":"3"}}"#
        ),
        225
    );
}

#[test]
fn a_write_that_loses_against_an_open_transaction_is_told_so_at_once() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1,"x":0}]}"#);
    let update = |session: &str| {
        let rest = r#""txnNumber":{"$numberLong":"1"},"autocommit":false,"startTransaction":true"#;
        let command = format!(
            r#"{{"update":"c","updates":[{{"q":{{"_id":1}},"u":{{"$inc":{{"x":1}}}}}}],{session},{rest}}}"#
        );
        text(&send(&client, "db", &command))
    };
    assert!(update(SESSION).contains(r#""nModified":1"#));
    let late = update(&SESSION.replace("AQ==", "Ag=="));
    assert!(late.contains(r#""code":112"#) && late.contains("TransientTransactionError"), "{late}");
    let end = r#"{"commitTransaction":1,@,"txnNumber":{"$numberLong":"1"},"autocommit":false}"#;
    assert_eq!(code(&client, "admin", end), 0, "the first goes on");
}

#[test]
fn cluster_times_that_nobody_gave_out_are_refused() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1}]}"#);
    let now = client.commands().database().operation_time().0 >> 32;
    let find = |after: u64, told: u64| {
        let time = |seconds: u64| format!(r#"{{"$timestamp":{{"t":{seconds},"i":1}}}}"#);
        let told = format!(r#""$clusterTime":{{"clusterTime":{},"signature":{{}}}}"#, time(told));
        let concern = format!(r#""readConcern":{{"level":"local","afterClusterTime":{}}}"#, time(after));
        code(&client, "db", &format!(r#"{{"find":"c",{concern},{told}}}"#))
    };
    assert_eq!(find(now - 10, now - 10), 0);
    assert_eq!(find(now + 60, now), 72, "nobody gave it out");
    assert_eq!(find(now + 60, now + 70), 0, "another member may have");
    assert_eq!(find(now + 60, now), 0, "and that is known from then on");
    assert_eq!(find(now, now + 2 * 365 * 24 * 60 * 60), 205);
    assert_eq!(code(&client, "db", r#"{"find":"c","$clusterTime":7}"#), 14);
    let alone = Commands::new(
        client.commands().database().clone(),
        Identity { replica_set: None, ..Identity::default() },
    );
    assert_eq!(code(&alone.connect(), "db", r#"{"find":"c","$clusterTime":7}"#), 0, "no member of anything");
}

#[test]
fn a_snapshot_read_says_its_moment_and_can_be_repeated() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1,"x":1}]}"#);
    let first = send(&client, "db", r#"{"find":"c","readConcern":{"level":"snapshot"}}"#);
    let cursor =
        first.as_raw().get("cursor").and_then(sheaf_document::ValueRef::as_document).expect("a cursor");
    let Some(sheaf_document::ValueRef::Timestamp(moment)) = cursor.get("atClusterTime") else {
        unreachable!("a moment")
    };
    code(&client, "db", r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"x":2}}}]}"#);
    let (seconds, increment) = (moment.seconds, moment.increment);
    let again = format!(
        r#"{{"distinct":"c","key":"x","readConcern":{{"level":"snapshot","atClusterTime":{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}}}}}"#
    );
    let again = text(&send(&client, "db", &again));
    assert!(again.contains("[1]") && again.contains("atClusterTime"), "{again}");
}

#[test]
fn oplog_entries_are_applied_all_or_none() {
    let client = connect();
    code(&client, "db", r#"{"insert":"c","documents":[{"_id":1,"x":1}]}"#);
    let apply = |entries: &str| code(&client, "admin", &format!(r#"{{"applyOps":[{entries}]}}"#));
    let insert = r#"{"op":"i","ns":"db.c","o":{"_id":2}}"#;
    let missing = r#"{"op":"u","ns":"db.c","o":{"_id":9},"o2":{"_id":9}}"#;
    assert_eq!(apply(&format!("{insert},{missing}")), 8);
    assert!(!text(&send(&client, "db", r#"{"find":"c","filter":{"_id":2}}"#)).contains(r#""_id""#));
    let diff = r#"{"op":"u","ns":"db.c","o":{"$v":2,"diff":{"u":{"x":5},"i":{"y":{"z":1}},"d":{"gone":false}}},"o2":{"_id":1}}"#;
    let nested = r#"{"op":"u","ns":"db.c","o":{"$v":2,"diff":{"sy":{"u":{"z":7}}}},"o2":{"_id":1}}"#;
    assert_eq!(apply(&format!("{insert},{diff},{nested}")), 0);
    let found = text(&send(&client, "db", r#"{"find":"c","filter":{"_id":1,"x":5,"y.z":7}}"#));
    assert!(found.contains(r#""_id""#), "{found}");
    assert_eq!(
        apply(r#"{"op":"u","ns":"db.c","o":{"$v":2,"diff":{"sa":{"a":true,"u0":1}}},"o2":{"_id":1}}"#),
        238
    );
    assert_eq!(apply(r#"{"op":"c","ns":"db.$cmd","o":{"shutdown":1}}"#), 2);
}
