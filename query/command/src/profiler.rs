//! What the profiler records: operations that were slow, or all, as documents of `system.profile`; and the lines about
//! slow operations in the log.

use std::time::Duration;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::{CreateCollectionOperation, InsertOperation};
use sheaf_engine::{Namespace, Result, error_code};
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::Filter;

use crate::activity::Operation;
use crate::clock::now_millis;
use crate::log_lines::{LogLine, Severity};
use crate::number::to_integer;
use crate::reply::CommandReply;
use crate::server_state::Profile;
use crate::service::CommandSession;

/// Where a database's records are.
pub(crate) const COLLECTION: &str = "system.profile";

/// Bytes of records that a database keeps, as in MongoDB.
const RECORDS_BYTES: i64 = 1 << 20;

/// Notes an operation that has ended, if its database is told to, or if it was slow.
pub(crate) fn note(
    session: &CommandSession,
    database: &str,
    operation: &Operation,
    took: Duration,
    reply: &CommandReply,
) {
    let commands = session.commands();
    let profile = commands.state().profiles.get(database).cloned().unwrap_or_default();
    let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let is_slow = millis > i64::from(profile.slow_millis);
    if !is_slow && profile.level == 0 {
        return;
    }
    if let Err(error) = try_note(session, database, operation, (millis, is_slow), &profile, reply) {
        let message = format!("the profiler of {database} cannot write: {error}");
        commands.log().write(LogLine { severity: Severity::Warning, component: "COMMAND", message });
    }
}

fn try_note(
    session: &CommandSession,
    database: &str,
    operation: &Operation,
    (millis, is_slow): (i64, bool),
    profile: &Profile,
    reply: &CommandReply,
) -> Result<()> {
    let commands = session.commands();
    let record = record(session, operation, millis, reply.document.as_raw());
    let is_chosen = match &profile.filter {
        Some(filter) => matches(filter, &record, commands.random())?,
        None => is_slow && (profile.sample_rate >= 1.0 || chance(commands.random()) < profile.sample_rate),
    };
    if is_chosen {
        let message =
            format!("slow {}: {}", operation.namespace, sheaf_document::json::to_relaxed(record.as_raw()));
        commands.log().write(LogLine { severity: Severity::Information, component: "COMMAND", message });
    }
    let is_recorded = match profile.level {
        0 => false,
        1 => is_chosen,
        _ => profile.filter.is_none() || is_chosen,
    };
    if !is_recorded {
        return Ok(());
    }
    let namespace = Namespace::new(database, COLLECTION)?;
    create(session, &namespace)?;
    let outcome = session.engine().insert(&InsertOperation::new(namespace, vec![record.as_raw()]))?;
    outcome.errors.into_iter().next().map_or(Ok(()), |refused| Err(refused.error))
}

/// Makes the collection of a database's records, unless it is there.
pub(crate) fn create(session: &CommandSession, namespace: &Namespace) -> Result<()> {
    let known = session.engine().list_collections(namespace.database())?;
    if known.iter().any(|info| info.name == namespace.collection()) {
        return Ok(());
    }
    let options =
        CollectionOptions { capped: true, size_bytes: Some(RECORDS_BYTES), ..CollectionOptions::default() };
    let operation = CreateCollectionOperation { namespace: namespace.clone(), options };
    match session.engine().create_collection(&operation) {
        // Somebody else was faster.
        Err(error) if error.code == error_code::NAMESPACE_EXISTS => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn matches(filter: &RawDocumentBuf, record: &RawDocumentBuf, random: u64) -> Result<bool> {
    let mut scope = Scope::new();
    let filter = Filter::parse(filter.as_raw(), &mut scope)?;
    let mut environment = Environment::new(now_millis(), random);
    Ok(filter.matches(record.as_raw(), &mut environment)?)
}

/// A number in `[0, 1)` of random bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fill the fraction of a double exactly")]
fn chance(random: u64) -> f64 {
    (random >> 11) as f64 / 9_007_199_254_740_992.0
}

fn record(
    session: &CommandSession,
    operation: &Operation,
    millis: i64,
    reply: RawDocument<'_>,
) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.append("op", operation.kind.name()).append("ns", operation.namespace.as_str());
    out.append("command", operation.command.clone());
    let cursor = reply.get("cursor").and_then(|cursor| cursor.as_document());
    if let Some(cursor) = cursor {
        if let Some(id) = cursor.get("id").and_then(to_integer).filter(|id| *id != 0) {
            out.append("cursorid", id);
        } else {
            out.append("cursorExhausted", true);
        }
        let batch = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"));
        let returned = batch.and_then(|batch| batch.as_array()).map_or(0, |batch| batch.count());
        out.append("nreturned", i32::try_from(returned).unwrap_or(i32::MAX));
    }
    for (field, shown) in [("n", counted(operation.name)), ("nModified", "nModified")] {
        if let Some(count) = reply.get(field).and_then(to_integer)
            && !shown.is_empty()
        {
            out.append(shown, count);
        }
    }
    if let Some(code) = reply.get("code").and_then(to_integer) {
        out.append("ok", 0.0).append("errCode", i32::try_from(code).unwrap_or(i32::MAX));
        for (field, shown) in [("errmsg", "errMsg"), ("codeName", "errName")] {
            if let Some(text) = reply.get(field) {
                out.append_ref(shown, text);
            }
        }
    }
    out.append("numYield", 0).document("locks", |_| {});
    out.append("responseLength", i32::try_from(reply.len_bytes()).unwrap_or(i32::MAX));
    out.append("protocol", "op_msg").append("millis", i32::try_from(millis).unwrap_or(i32::MAX));
    out.append_value("ts", &Value::DateTime(now_millis()));
    out.append("client", session.peer()).append("appName", "").array("allUsers", |_| {}).append("user", "");
    out.build()
}

/// What the `n` of a reply counts, as the profiler calls it.
fn counted(command: &str) -> &'static str {
    match command {
        "insert" => "ninserted",
        "delete" => "ndeleted",
        "update" => "nMatched",
        _ => "",
    }
}
