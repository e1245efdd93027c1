//! `startSession`, `refreshSessions`, `endSessions` and the ways to kill sessions.

use sheaf_document::{BsonType, DocumentBuilder, RawArray, RawDocument, ValueRef};
use sheaf_engine::{Result, SessionId};

use crate::arguments::Arguments;
use crate::generic::session_id;
use crate::logical_session::SESSION_IDLE_MINUTES_MAX;
use crate::request::Request;

pub(crate) fn start(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let commands = request.commands();
    let mut id = [0u8; 16];
    for half in id.chunks_mut(8) {
        half.copy_from_slice(&commands.random().to_be_bytes());
    }
    // A random UUID says so in two places.
    if let Some(version) = id.get_mut(6) {
        *version = *version & 0x0f | 0x40;
    }
    if let Some(variant) = id.get_mut(8) {
        *variant = *variant & 0x3f | 0x80;
    }
    commands.sessions().owner(&id);
    let mut body = DocumentBuilder::new();
    body.document("id", |document| {
        document.append_ref("id", ValueRef::Binary(sheaf_document::Binary { subtype: 4, bytes: &id }));
    });
    body.append("timeoutMinutes", SESSION_IDLE_MINUTES_MAX);
    Ok(body)
}

pub(crate) fn refresh(request: &Request<'_>) -> Result<DocumentBuilder> {
    for id in session_ids(request)? {
        request.commands().sessions().owner(id);
    }
    Ok(DocumentBuilder::new())
}

pub(crate) fn end(request: &Request<'_>) -> Result<DocumentBuilder> {
    for id in session_ids(request)? {
        end_one(request, id);
    }
    Ok(DocumentBuilder::new())
}

pub(crate) fn kill(request: &Request<'_>) -> Result<DocumentBuilder> {
    let entries = list(request)?;
    // Other fields mean nothing to it, and an entry that is null names no session.
    let mut ids = Vec::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_nullish()) {
        ids.push(entry_id(request, index, entry)?);
    }
    if entries.is_empty() {
        end_all(request);
    }
    for id in ids {
        request.commands().activity().kill_session(id);
        end_one(request, id);
    }
    Ok(DocumentBuilder::new())
}

pub(crate) fn kill_all(request: &Request<'_>) -> Result<DocumentBuilder> {
    for (scope, entry) in documents(request)? {
        let arguments = Arguments::new(scope, entry)?;
        arguments.required("user", arguments.string("user")?)?;
        arguments.required("db", arguments.string("db")?)?;
        arguments.finish()?;
    }
    request.arguments.finish()?;
    end_all(request);
    Ok(DocumentBuilder::new())
}

pub(crate) fn kill_all_by_pattern(request: &Request<'_>) -> Result<DocumentBuilder> {
    let patterns = documents(request)?;
    request.arguments.finish()?;
    let mut everything = patterns.is_empty();
    for (scope, pattern) in patterns {
        let arguments = Arguments::new(scope, pattern)?;
        let lsid = arguments.document("lsid")?;
        arguments.ignore(&["uid", "users", "roles"]);
        arguments.finish()?;
        match lsid {
            Some(lsid) => end_one(request, session_id(lsid)?),
            None => everything = true,
        }
    }
    if everything {
        end_all(request);
    }
    Ok(DocumentBuilder::new())
}

/// Ends a session, with its transaction and its cursors.
fn end_one(request: &Request<'_>, id: &[u8; 16]) {
    request.commands().database().end_logical_session(id);
    if let Some(owner) = request.commands().sessions().end(id) {
        kill_cursors(request, owner);
    }
}

fn end_all(request: &Request<'_>) {
    request.commands().database().end_logical_sessions();
    for owner in request.commands().sessions().end_all() {
        kill_cursors(request, owner);
    }
}

fn kill_cursors(request: &Request<'_>, owner: SessionId) {
    request.commands().database().cursors().kill_session(owner);
}

/// The array that the first field holds.
fn list<'a>(request: &Request<'a>) -> Result<RawArray<'a>> {
    match request.subject() {
        ValueRef::Array(array) => Ok(array),
        ValueRef::Null | ValueRef::Undefined => request.arguments.required(request.name, None),
        other => Err(request.arguments.wrong_type(request.name, other, BsonType::Array.name())),
    }
}

/// The documents in that array, with how messages name them.
fn documents<'a>(request: &Request<'a>) -> Result<Vec<(String, RawDocument<'a>)>> {
    let entries = list(request)?.iter().enumerate().map(|(index, entry)| match entry {
        ValueRef::Document(document) => Ok((format!("{}.{index}", request.name), document)),
        other => Err(request.arguments.wrong_type(&index.to_string(), other, "a document")),
    });
    entries.collect()
}

fn session_ids<'a>(request: &Request<'a>) -> Result<Vec<&'a [u8; 16]>> {
    let entries = list(request)?.iter().enumerate();
    let ids = entries.map(|(index, entry)| entry_id(request, index, entry)).collect::<Result<Vec<_>>>()?;
    request.arguments.finish()?;
    Ok(ids)
}

/// The id in one of the entries that name sessions.
fn entry_id<'a>(request: &Request<'a>, index: usize, entry: ValueRef<'a>) -> Result<&'a [u8; 16]> {
    let ValueRef::Document(document) = entry else {
        return Err(request.arguments.wrong_type(&index.to_string(), entry, "a document"));
    };
    let arguments = Arguments::new(format!("{}.{index}", request.name), document)?;
    let id = arguments.present("id");
    arguments.ignore(&["uid", "txnNumber", "txnUUID"]);
    arguments.finish()?;
    arguments.required("id", id)?;
    session_id(document)
}
