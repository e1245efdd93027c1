//! A small database, commands written as JSON, and what it holds.

use std::path::Path;
use std::sync::Arc;

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::{Database, DatabaseOptions, Result};
use sheaf_storage::{BackgroundWork, MemoryVfs, StoreOptions, Vfs};

/// Where the databases lie.
pub const DIRECTORY: &str = "/db";

/// All work in the calling thread.
pub fn options() -> DatabaseOptions {
    let store = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
    DatabaseOptions { store, ..DatabaseOptions::default() }
}

/// An empty file system in memory.
pub fn memory() -> (MemoryVfs, Arc<dyn Vfs>) {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new("/")).unwrap();
    (memory.clone(), Arc::new(memory))
}

/// Opens the database of a test.
pub fn open(vfs: &Arc<dyn Vfs>) -> Result<Database> {
    Database::open_with(Arc::clone(vfs), Path::new(DIRECTORY), options())
}

/// A connection to a database.
pub fn connect(database: &Database) -> CommandSession {
    Commands::new(database.clone(), Identity::default()).connect()
}

/// A connection to a new database with three documents and an index on `name`.
pub fn filled() -> CommandSession {
    let session = connect(&Database::in_memory(options()).unwrap());
    fill(&session);
    session
}

/// Three documents and an index on `name`.
pub fn fill(session: &CommandSession) {
    let insert =
        r#"{"insert":"things","documents":[{"_id":1,"name":"a"},{"_id":2,"name":"b"},{"_id":3,"n":1}]}"#;
    let index = r#"{"createIndexes":"things","indexes":[{"key":{"name":1},"name":"name_1"}]}"#;
    for command in [insert, index] {
        assert_eq!(run(session, command), None, "{command}");
    }
}

/// A document written as JSON.
pub fn document(json: &str) -> RawDocumentBuf {
    sheaf_document::json::parse_document(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The code of the error, if the command or a write in it failed.
pub fn run(session: &CommandSession, command: &str) -> Option<i32> {
    send(session, document(command).as_raw())
}

/// As [`run`], for a document.
pub fn send(session: &CommandSession, command: RawDocument<'_>) -> Option<i32> {
    let reply = run_command(session, "test", command).document;
    let reply = reply.as_raw();
    let error = match reply.get("writeErrors") {
        Some(ValueRef::Array(errors)) => errors.iter().next().and_then(ValueRef::as_document).unwrap(),
        _ => reply,
    };
    match error.get("code") {
        Some(ValueRef::Int32(code)) => Some(code),
        None => None,
        Some(_) => panic!("a code is an int"),
    }
}

/// The reply of a command that must succeed, as JSON.
pub fn reply(session: &CommandSession, command: &str) -> String {
    let reply = run_command(session, "test", document(command).as_raw());
    let text = sheaf_document::json::to_canonical(reply.document.as_raw());
    assert!(reply.is_ok(), "{command}: {text}");
    text
}

/// Everything that the collection and its indexes hold, as the index and the scan see it.
pub fn contents(session: &CommandSession) -> [String; 3] {
    [
        reply(session, r#"{"find":"things","sort":{"_id":1},"hint":{"$natural":1}}"#),
        reply(session, r#"{"find":"things","sort":{"name":1,"_id":1},"hint":"name_1"}"#),
        reply(session, r#"{"listIndexes":"things"}"#),
    ]
}
