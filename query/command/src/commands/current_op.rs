//! `currentOp`, and what `$currentOp` shows: the operations that run now, and on request idle connections and cursors.

use std::sync::Arc;

use sheaf_document::{Binary, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::Result;

use crate::activity::Operation;
use crate::clock::now_millis;
use crate::listing::filtered;
use crate::number::to_truth;
use crate::request::Request;
use crate::service::CommandSession;

/// What is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) idle_connections: bool,
    pub(crate) idle_cursors: bool,
    /// Only those of the connection that asks.
    pub(crate) own_only: bool,
}

/// `{currentOp: 1, $ownOps, $all, field: condition, ..}`.
pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let flag = |key: &str| arguments.value(key).and_then(to_truth).unwrap_or(false);
    let all = flag("$all");
    let wanted = Wanted { idle_connections: all, idle_cursors: all, own_only: flag("$ownOps") };
    let mut filter = DocumentBuilder::new();
    for (key, value) in arguments.untaken() {
        filter.append_ref(key, value);
    }
    let filter = filter.build();
    let operations = list(request.session, wanted);
    let operations = filtered(request, operations, Some(filter.as_raw()))?;
    let mut body = DocumentBuilder::new();
    body.array("inprog", |list| {
        for operation in &operations {
            list.push_ref(ValueRef::Document(operation.as_raw()));
        }
    });
    Ok(body)
}

/// The documents of `$currentOp`, whose argument was checked.
pub(crate) fn stage(session: &CommandSession, argument: RawDocument<'_>) -> Vec<RawDocumentBuf> {
    let flag = |key: &str| argument.get(key) == Some(ValueRef::Boolean(true));
    let wanted = Wanted {
        idle_connections: flag("idleConnections"),
        idle_cursors: flag("idleCursors"),
        own_only: false,
    };
    list(session, wanted)
}

fn list(session: &CommandSession, wanted: Wanted) -> Vec<RawDocumentBuf> {
    let commands = session.commands();
    let host = commands.identity().address.as_str();
    let running: Vec<Arc<Operation>> = commands
        .activity()
        .running()
        .into_iter()
        .filter(|operation| !wanted.own_only || operation.connection_id == session.connection_id())
        .collect();
    let connections = commands.connections();
    let show = |operation: &Arc<Operation>| {
        let client = connections.get(&operation.connection_id).map_or("", String::as_str);
        active(operation, host, client)
    };
    let mut out: Vec<RawDocumentBuf> = running.iter().map(show).collect();
    if wanted.idle_connections && !wanted.own_only {
        let is_idle = |id: i64| running.iter().all(|operation| operation.connection_id != id);
        for (id, client) in connections.iter().filter(|(id, _)| is_idle(**id)) {
            let mut idle = head(*id, client, host, now_millis());
            idle.append("active", false).append("op", "none").append("ns", "");
            out.push(idle.build());
        }
    }
    if wanted.idle_cursors {
        out.extend(idle_cursors(session, host));
    }
    out
}

/// What every document about a connection begins with.
fn head(connection: i64, client: &str, host: &str, since_millis: i64) -> DocumentBuilder {
    let mut out = DocumentBuilder::new();
    out.append("type", "op").append("host", host).append("desc", format!("conn{connection}"));
    out.append("connectionId", connection).append("client", client);
    out.append_value("currentOpTime", &Value::from(iso(since_millis)));
    out.array("effectiveUsers", |_| {}).append("threaded", true);
    out
}

fn active(operation: &Operation, host: &str, client: &str) -> RawDocumentBuf {
    let micros = i64::try_from(operation.started.elapsed().as_micros()).unwrap_or(i64::MAX);
    let mut out = head(operation.connection_id, client, host, operation.started_millis);
    out.append("active", true).append("opid", operation.id);
    if let Some(session) = &operation.session {
        out.document("lsid", |lsid| {
            lsid.append_ref("id", ValueRef::Binary(Binary { subtype: 4, bytes: session }));
        });
    }
    out.append("secs_running", micros / 1_000_000).append("microsecs_running", micros);
    out.append("op", operation.kind.name()).append("ns", operation.namespace.as_str());
    out.append("redacted", false).append("command", operation.command.clone());
    if operation.interrupt.is_fired() {
        out.append("killPending", true);
    }
    out.append("numYields", 0).document("locks", |_| {});
    out.append("waitingForLock", false).append("waitingForLatch", false);
    out.append("waitingForFlowControl", false).document("lockStats", |_| {});
    out.document("flowControlStats", |_| {});
    out.build()
}

fn idle_cursors(session: &CommandSession, host: &str) -> Vec<RawDocumentBuf> {
    let cursors = session.commands().database().cursors().idle();
    let show = |cursor: &sheaf_engine::IdleCursor| {
        let mut out = DocumentBuilder::new();
        out.append("type", "idleCursor").append("host", host).append("ns", cursor.namespace.to_string());
        out.document("cursor", |shown| {
            let last = i64::try_from(cursor.idle_since_millis).unwrap_or(i64::MAX);
            shown.append("cursorId", cursor.id).append_value("lastAccessDate", &Value::DateTime(last));
            shown.append("noCursorTimeout", cursor.never_times_out);
        });
        out.build()
    };
    cursors.iter().map(show).collect()
}

/// A time as MongoDB writes it here: a text, in UTC.
fn iso(millis: i64) -> String {
    let text = sheaf_document::json::value_to_relaxed(&Value::DateTime(millis));
    text.split('"').nth(3).unwrap_or(&text).to_owned()
}
