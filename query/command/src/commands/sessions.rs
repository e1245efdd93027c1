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
        if let Some(owner) = request.commands().sessions().end(id) {
            kill_cursors(request, owner);
        }
    }
    Ok(DocumentBuilder::new())
}

pub(crate) fn kill(request: &Request<'_>) -> Result<DocumentBuilder> {
    let ids = session_ids(request)?;
    if ids.is_empty() {
        end_all(request);
    }
    for id in ids {
        if let Some(owner) = request.commands().sessions().end(id) {
            kill_cursors(request, owner);
        }
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
            Some(lsid) => {
                if let Some(owner) = request.commands().sessions().end(session_id(lsid)?) {
                    kill_cursors(request, owner);
                }
            }
            None => everything = true,
        }
    }
    if everything {
        end_all(request);
    }
    Ok(DocumentBuilder::new())
}

fn end_all(request: &Request<'_>) {
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

fn session_ids<'a>(request: &Request<'a>) -> Result<Vec<&'a [u8]>> {
    let mut ids = Vec::new();
    for (scope, document) in documents(request)? {
        let arguments = Arguments::new(scope, document)?;
        let id = arguments.present("id");
        arguments.ignore(&["uid", "txnNumber", "txnUUID"]);
        arguments.finish()?;
        arguments.required("id", id)?;
        ids.push(session_id(document)?);
    }
    request.arguments.finish()?;
    Ok(ids)
}
