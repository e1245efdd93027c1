//! What every command may carry, and what it refuses.

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::{Database, DatabaseOptions};

fn connect(replica_set: Option<&str>) -> CommandSession {
    let database = Database::in_memory(DatabaseOptions::default()).expect("memory suffices");
    let identity = Identity { replica_set: replica_set.map(str::to_owned), ..Identity::default() };
    Commands::new(database, identity).connect()
}

fn code(session: &CommandSession, command: &RawDocumentBuf) -> Option<i32> {
    let reply = run_command(session, "admin", command.as_raw());
    match reply.document.as_raw().get("code") {
        Some(ValueRef::Int32(code)) => Some(code),
        _ => None,
    }
}

fn command(fields: &[(&str, Value<'_>)]) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for (key, value) in fields {
        builder.append_value(key, value);
    }
    builder.build()
}

fn document(fields: &[(&str, Value<'_>)]) -> Value<'static> {
    Value::from(command(fields))
}

#[test]
fn unknown_commands_and_fields_are_refused() {
    let session = connect(None);
    assert_eq!(code(&session, &command(&[("nothing", Value::Int32(1))])), Some(59));
    assert_eq!(code(&session, &command(&[])), Some(59));
    assert_eq!(code(&session, &command(&[("ping", 1.into()), ("extra", 1.into())])), Some(40415));
    assert_eq!(code(&session, &command(&[("ping", 1.into()), ("comment", "x".into())])), None);
    assert_eq!(
        code(&session, &command(&[("ping", 1.into()), ("$db", "x".into()), ("$db", "x".into())])),
        Some(40413)
    );
}

#[test]
fn time_limits_are_whole_numbers_of_any_type() {
    let session = connect(None);
    for (limit, expected) in [
        (Value::Int32(5), None),
        (Value::Double(5.0), None),
        (Value::Null, None),
        (Value::Double(5.5), Some(9)),
        (Value::Int32(-1), Some(2)),
        (Value::Int64(1 << 31), Some(2)),
        ("5".into(), Some(14)),
    ] {
        let sent = command(&[("ping", 1.into()), ("maxTimeMS", limit.clone())]);
        assert_eq!(code(&session, &sent), expected, "{limit:?}");
    }
}

#[test]
fn concerns_are_checked() {
    let session = connect(Some("rs0"));
    let read = |fields: &[(&str, Value<'_>)]| {
        code(&session, &command(&[("ping", 1.into()), ("readConcern", document(fields))]))
    };
    assert_eq!(read(&[]), None);
    assert_eq!(read(&[("level", "local".into())]), None);
    assert_eq!(read(&[("level", "majority".into())]), Some(72));
    assert_eq!(read(&[("level", "strong".into())]), Some(2));
    assert_eq!(read(&[("level", 1.into())]), Some(14));
    assert_eq!(read(&[("unknown", 1.into())]), Some(40415));
    let write = document(&[("w", 1.into())]);
    assert_eq!(code(&session, &command(&[("ping", 1.into()), ("writeConcern", write)])), Some(72));
}

#[test]
fn sessions_have_uuids() {
    let session = connect(Some("rs0"));
    let with = |id: Value<'static>| {
        code(&session, &command(&[("ping", 1.into()), ("lsid", document(&[("id", id)]))]))
    };
    let uuid = |bytes: usize| Value::Binary { subtype: 4, bytes: vec![7; bytes].into() };
    assert_eq!(with(uuid(16)), None);
    assert_eq!(with(uuid(8)), Some(207));
    assert_eq!(with("x".into()), Some(14));
    assert_eq!(code(&session, &command(&[("ping", 1.into()), ("txnNumber", Value::Int64(1))])), Some(72));
}

#[test]
fn a_server_alone_names_no_set() {
    for name in [None, Some("rs0")] {
        let session = connect(name);
        let reply = run_command(&session, "admin", command(&[("hello", 1.into())]).as_raw());
        let set = reply.document.as_raw().get("setName").and_then(ValueRef::as_str).map(str::to_owned);
        assert_eq!(set.as_deref(), name);
        assert!(reply.is_ok());
    }
}
