//! Commands as text, and what of their replies is looked at.

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::{RawDocumentBuf, ValueRef, json};
use sheaf_engine::{Database, DatabaseOptions};

/// The commands of a new database in memory.
pub fn commands() -> Commands {
    let database = Database::in_memory(DatabaseOptions::default()).expect("memory suffices");
    Commands::new(database, Identity::default())
}

/// Runs a command that is written as extended JSON.
pub fn run(session: &CommandSession, database: &str, command: &str) -> RawDocumentBuf {
    let command = json::parse_document(command).expect("a command is JSON");
    run_command(session, database, command.as_raw()).document
}

/// Runs a command that succeeds.
pub fn ok(session: &CommandSession, database: &str, command: &str) -> RawDocumentBuf {
    let reply = run(session, database, command);
    assert_eq!(code(&reply), None, "{command}: {}", text(&reply));
    reply
}

/// The error's code.
pub fn code(reply: &RawDocumentBuf) -> Option<i32> {
    match reply.as_raw().get("code") {
        Some(ValueRef::Int32(code)) => Some(code),
        _ => None,
    }
}

/// The reply as text.
pub fn text(reply: &RawDocumentBuf) -> String {
    json::to_relaxed(reply.as_raw())
}

/// The documents of a reply's first batch, as text.
pub fn batch(reply: &RawDocumentBuf) -> Vec<String> {
    let cursor = reply.as_raw().get("cursor").and_then(ValueRef::as_document).expect("a cursor");
    let batch = cursor.get("firstBatch").and_then(ValueRef::as_array).expect("a batch");
    batch.iter().map(|item| json::to_relaxed(item.as_document().expect("a document"))).collect()
}
