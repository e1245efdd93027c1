//! What runs and what was run: seen, ended, counted, recorded.

use sheaf_command::{Commands, Identity};
use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::{Database, DatabaseOptions};

use crate::support::{batch, code, commands, ok, run, text};

/// Looks for something that another thread is about to do.
const LOOKS_MAX: usize = 100_000;

fn integer(reply: &RawDocumentBuf, path: &[&str]) -> i64 {
    let mut value = Some(ValueRef::Document(reply.as_raw()));
    for name in path {
        value = value.and_then(ValueRef::as_document).and_then(|document| document.get(name));
    }
    match value {
        Some(ValueRef::Int64(number)) => number,
        Some(ValueRef::Int32(number)) => number.into(),
        other => unreachable!("{path:?}: {other:?}"),
    }
}

/// A pipeline that runs for minutes unless it is ended.
const LONG: &str = r#"{"aggregate": 1, "cursor": {}, "pipeline": [
    {"$documents": {"$map": {"input": {"$range": [0, 3000]}, "in": {"a": 1}}}},
    {"$lookup": {"as": "b", "let": {"v": "$a"}, "pipeline": [
        {"$documents": {"$map": {"input": {"$range": [0, 3000]}, "in": {"c": 1}}}},
        {"$match": {"$expr": {"$lte": ["$c", "$$v"]}}},
        {"$group": {"_id": null, "n": {"$sum": "$c"}}}]}},
    {"$group": {"_id": null, "n": {"$sum": 1}}}]}"#;

#[test]
fn a_running_operation_is_seen_and_killed() {
    let commands = commands();
    let worker = commands.clone();
    let running = std::thread::spawn(move || run(&worker.connect(), "shop", LONG));
    let admin = commands.connect();
    let mut looks = 0;
    let id = loop {
        looks += 1;
        if running.is_finished() {
            unreachable!("it has ended: {}", text(&running.join().expect("no panic")));
        }
        assert!(looks < LOOKS_MAX, "it is never seen");
        let found = run(
            &admin,
            "admin",
            r#"{"aggregate": 1, "cursor": {}, "pipeline": [
                {"$currentOp": {}}, {"$match": {"ns": "shop.$cmd.aggregate"}}, {"$project": {"opid": 1}}]}"#,
        );
        if let Some(first) = batch(&found).first() {
            let digits: String = first.chars().filter(char::is_ascii_digit).collect();
            break digits.parse::<i64>().expect("a number");
        }
        std::thread::yield_now();
    };
    ok(&admin, "admin", &format!(r#"{{"killOp": 1, "op": {id}}}"#));
    let ended = running.join().expect("no panic");
    assert_eq!(code(&ended), Some(11_601), "{}", text(&ended));
    let status = ok(&admin, "admin", r#"{"serverStatus": 1}"#);
    assert_eq!(integer(&status, &["metrics", "operation", "killedByOperator"]), 1);
    assert_eq!(integer(&status, &["metrics", "commands", "aggregate", "failed"]), 1);
}

#[test]
fn one_sees_ones_own_operation_and_idle_cursors() {
    let session = commands().connect();
    let own = ok(&session, "admin", r#"{"currentOp": 1, "$ownOps": true, "op": "command"}"#);
    assert!(text(&own).contains(r#""active":true"#), "{}", text(&own));
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    ok(&session, "shop", r#"{"find": "a", "batchSize": 1}"#);
    let idle = ok(
        &session,
        "admin",
        r#"{"aggregate": 1, "cursor": {}, "pipeline": [
            {"$currentOp": {"idleCursors": true}}, {"$match": {"type": "idleCursor"}}]}"#,
    );
    assert!(batch(&idle)[0].contains(r#""ns":"shop.a""#));
}

#[test]
fn passwords_are_not_shown() {
    let session = commands().connect();
    ok(&session, "shop", r#"{"profile": 2}"#);
    ok(&session, "shop", r#"{"createUser": "ada", "pwd": "secret", "roles": []}"#);
    let records =
        ok(&session, "shop", r#"{"find": "system.profile", "filter": {"command.createUser": "ada"}}"#);
    assert_eq!(batch(&records).len(), 1);
    assert!(!text(&records).contains("secret") && text(&records).contains("xxx"));
}

#[test]
fn the_profiler_records_what_it_is_told_to() {
    let session = commands().connect();
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1}]}"#);
    let was = ok(&session, "shop", r#"{"profile": 2, "slowms": 7}"#);
    assert_eq!((integer(&was, &["was"]), integer(&was, &["slowms"])), (0, 100));
    ok(&session, "shop", r#"{"find": "a", "filter": {"x": 1}}"#);
    run(&session, "shop", r#"{"find": "a", "filter": {"$bad": 1}}"#);
    let records = ok(&session, "shop", r#"{"find": "system.profile", "filter": {"op": "query"}}"#);
    let records = batch(&records);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(
        records[0].contains(r#""ns":"shop.a""#) && records[0].contains(r#""nreturned":0"#),
        "{records:?}"
    );
    assert!(records[1].contains(r#""errCode":2"#), "{records:?}");

    ok(&session, "shop", r#"{"profile": 1, "filter": {"op": "insert"}}"#);
    ok(&session, "shop", r#"{"find": "a", "filter": {"only": 1}}"#);
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 2}]}"#);
    let inserts = ok(&session, "shop", r#"{"count": "system.profile", "query": {"op": "insert"}}"#);
    assert_eq!(integer(&inserts, &["n"]), 1);
    let finds = r#"{"count": "system.profile", "query": {"command.filter.only": 1}}"#;
    assert_eq!(integer(&ok(&session, "shop", finds), &["n"]), 0);
    let shown = ok(&session, "shop", r#"{"profile": 0, "filter": "unset"}"#);
    assert!(text(&shown).contains(r#""filter":{"op":{"$eq":"insert"}}"#), "{}", text(&shown));
    assert_eq!(code(&run(&session, "shop", r#"{"profile": 1, "filter": {"$bad": 1}}"#)), Some(2));
    assert_eq!(code(&run(&session, "shop", r#"{"profile": 1, "sampleRate": 2}"#)), Some(2));
}

#[test]
fn collections_are_counted() {
    let session = commands().connect();
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1}]}"#);
    for _ in 0..3 {
        ok(&session, "shop", r#"{"find": "a"}"#);
    }
    let top = ok(&session, "admin", r#"{"top": 1}"#);
    assert_eq!(integer(&top, &["totals", "shop.a", "queries", "count"]), 3);
    assert_eq!(integer(&top, &["totals", "shop.a", "insert", "count"]), 1);
    assert!(integer(&top, &["totals", "shop.a", "total", "time"]) > 0);
    let status = ok(&session, "admin", r#"{"serverStatus": 1}"#);
    assert_eq!(integer(&status, &["opcounters", "query"]), 3);
    assert_eq!(integer(&status, &["opLatencies", "writes", "ops"]), 1);
    let figures = r#"{"aggregate": "a", "cursor": {}, "pipeline": [{"$collStats": {"latencyStats": {}}},
        {"$match": {"latencyStats.reads.ops": 3}}]}"#;
    assert_eq!(batch(&ok(&session, "shop", figures)).len(), 1);
}

#[test]
fn a_document_that_is_let_in_is_logged() {
    let session = commands().connect();
    let create = r#"{"create": "a", "validator": {"x": {"$gt": 0}}, "validationAction": "warn"}"#;
    ok(&session, "shop", create);
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 7, "x": 1}]}"#);
    let log = |session| text(&ok(session, "admin", r#"{"getLog": "global"}"#));
    // A machine that is busy may have lines about slow operations on the collection there too.
    let told = "does not pass the validator of shop.a";
    assert!(!log(&session).contains(told), "{}", log(&session));
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 8, "x": 0}]}"#);
    assert!(log(&session).contains(told), "{}", log(&session));
    assert_eq!(code(&run(&session, "admin", r#"{"getLog": "other"}"#)), Some(96));
}

#[test]
fn a_get_more_waits_as_long_as_it_is_told_to() {
    let commands = commands();
    let (session, other) = (commands.connect(), commands.connect());
    ok(&session, "shop", r#"{"create": "a", "capped": true, "size": 4096}"#);
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1}]}"#);
    let opened = ok(&session, "shop", r#"{"find": "a", "tailable": true, "awaitData": true}"#);
    let id = integer(&opened, &["cursor", "id"]);
    let more = format!(r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "a", "maxTimeMS": 20000}}"#);
    let waiting = std::thread::spawn(move || run(&session, "shop", &more));
    let mut looks = 0;
    while !text(&ok(&other, "admin", r#"{"currentOp": 1}"#)).contains("getMore") {
        looks += 1;
        assert!(looks < LOOKS_MAX && !waiting.is_finished(), "it does not wait");
        std::thread::yield_now();
    }
    ok(&other, "shop", r#"{"insert": "a", "documents": [{"_id": 2}]}"#);
    let found = text(&waiting.join().expect("no panic"));
    assert!(found.contains(r#""nextBatch":[{"_id":2}]"#), "{found}");
}

#[test]
fn writes_wait_while_fsync_holds_its_lock() {
    let commands = commands();
    let session = commands.connect();
    ok(&session, "admin", r#"{"fsync": 1, "lock": true}"#);
    let limited = r#"{"insert": "a", "documents": [{"_id": 1}], "maxTimeMS": 60}"#;
    assert_eq!(code(&run(&session, "shop", limited)), Some(50));
    let worker = commands.clone();
    let waiting = std::thread::spawn(move || {
        run(&worker.connect(), "shop", r#"{"insert": "a", "documents": [{"_id": 2}]}"#)
    });
    let mut looks = 0;
    loop {
        looks += 1;
        assert!(looks < LOOKS_MAX && !waiting.is_finished(), "it never waits");
        let found = ok(&session, "admin", r#"{"currentOp": 1, "ns": "shop.a"}"#);
        if text(&found).contains("shop.a") {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(integer(&ok(&session, "shop", r#"{"count": "a"}"#), &["n"]), 0);
    ok(&session, "admin", r#"{"fsyncUnlock": 1}"#);
    assert_eq!(code(&waiting.join().expect("no panic")), None);
    assert_eq!(integer(&ok(&session, "shop", r#"{"count": "a"}"#), &["n"]), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what a disk does to a file behind the database's back")]
fn a_full_validation_reads_the_files_too() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("full_validation");
    // What a run before may have left.
    let _there_was_none = std::fs::remove_dir_all(&directory);
    let database = Database::open(&directory, DatabaseOptions::default()).expect("opens");
    database.store().tablet().flush().expect("flushes what a new database has");
    let session = Commands::new(database.clone(), Identity::default()).connect();
    ok(&session, "shop", r#"{"insert": "wares", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    let verdict = |command: &str| {
        let reply = ok(&session, "shop", command);
        let valid = reply.as_raw().get("valid") == Some(ValueRef::Boolean(true));
        (valid, text(&reply))
    };
    for command in [r#"{"validate": "wares"}"#, r#"{"validate": "wares", "full": true}"#] {
        assert!(verdict(command).0, "{command}");
    }
    let files = std::fs::read_dir(directory.join("tablet-1")).expect("lists");
    let mut files = files.map(|entry| entry.expect("an entry").path());
    let damaged = files.find(|path| path.extension().is_some_and(|e| e == "sst")).expect("a flush");
    let mut bytes = std::fs::read(&damaged).expect("reads");
    *bytes.get_mut(9).expect("it is longer") ^= 1;
    std::fs::write(&damaged, bytes).expect("writes");
    let (valid, reply) = verdict(r#"{"validate": "wares", "full": true}"#);
    let name = damaged.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(!valid && reply.contains(name), "{reply}");
    drop((session, database));
    std::fs::remove_dir_all(&directory).expect("removes");
}
