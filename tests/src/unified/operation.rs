//! Operations of clients, databases, sessions and cursors.

use std::collections::VecDeque;

use bson::{Bson, Document, doc};

use super::client::{Client, Kind};
use super::crud::{Call, copy};
use super::entities::{Entities, OpenCursor, Place};
use super::{Failure, Outcome};

/// Requests that may bring nothing before a cursor is given up.
const EMPTY_BATCHES_MAX: usize = 10;

/// Runs one operation of a case.
pub fn run(client: &mut Client, entities: &mut Entities, operation: &Document) -> Outcome {
    let name = operation.get_str("name").map_err(|_| Failure::client("an operation without a name"))?;
    let object =
        operation.get_str("object").map_err(|_| Failure::client("an operation without an object"))?;
    let arguments = operation.get_document("arguments").cloned().unwrap_or_default();
    if object == "testRunner" {
        return on_runner(client, name, &arguments);
    }
    if entities.sessions.contains_key(object) {
        return on_session(client, entities, object, name, &arguments);
    }
    if entities.cursors.contains_key(object) {
        return on_cursor(client, entities, object, name);
    }
    let place = match (entities.places.get(object), entities.clients.get(object)) {
        (Some(place), _) => place.clone(),
        (None, Some(settings)) => {
            Place { database: "admin".to_owned(), collection: String::new(), settings: settings.clone() }
        }
        (None, None) => return Err(Failure::client(format!("{object} is not known"))),
    };
    let is_bucket = entities.buckets.iter().any(|bucket| bucket == object);
    let session_name = arguments.get_str("session").ok().map(str::to_owned);
    let session = session_name.as_ref().and_then(|name| entities.sessions.get_mut(name));
    let mut call = Call { client, session, place: &place, arguments: &arguments };
    if name == "createCommandCursor" {
        let opened = open_cursor(&mut call, session_name)?;
        if let Ok(id) = operation.get_str("saveResultAsEntity") {
            entities.cursors.insert(id.to_owned(), opened);
        }
        return Ok(Bson::Null);
    }
    if name == "createCollection" && operation.contains_key("saveResultAsEntity") {
        let collection = arguments.get_str("collection").unwrap_or_default().to_owned();
        let outcome = on_database(&mut call, name)?;
        if let Ok(id) = operation.get_str("saveResultAsEntity") {
            entities.places.insert(id.to_owned(), Place { collection, ..place });
        }
        return Ok(outcome);
    }
    match (is_bucket, place.collection.is_empty()) {
        (true, _) => call.run_on_bucket(name).unwrap_or_else(|| unknown(name)),
        (false, true) => on_database(&mut call, name),
        (false, false) => call.run(name).unwrap_or_else(|| unknown(name)),
    }
}

fn unknown(name: &str) -> Outcome {
    Err(Failure::client(format!("the operation {name} is not known here")))
}

/// Operations that look at the server directly.
fn on_runner(client: &mut Client, name: &str, arguments: &Document) -> Outcome {
    let text = |key: &str| arguments.get_str(key).unwrap_or_default();
    let exists =
        |found: bool| if found { Ok(Bson::Null) } else { Err(Failure::client(format!("{name} fails"))) };
    match name {
        "assertCollectionExists" | "assertCollectionNotExists" => {
            let command = doc! {"listCollections": 1, "filter": {"name": text("collectionName")}};
            let reply = client.send_raw(text("databaseName"), &command)?;
            let cursor = reply.get_document("cursor").map_err(|_| Failure::client("no cursor"))?;
            let found = cursor.get_array("firstBatch").is_ok_and(|batch| !batch.is_empty());
            exists(found == (name == "assertCollectionExists"))
        }
        other => unknown(other),
    }
}

fn on_session(
    client: &mut Client,
    entities: &mut Entities,
    object: &str,
    name: &str,
    arguments: &Document,
) -> Outcome {
    let settings = entities.clients.values().next().cloned().unwrap_or_default();
    let gone = || Failure::client(format!("{object} is not known"));
    match name {
        "startTransaction" => entities.sessions.get_mut(object).ok_or_else(gone)?.start_transaction(),
        "commitTransaction" | "abortTransaction" => {
            let session = entities.sessions.get_mut(object).ok_or_else(gone)?;
            client.end_transaction(name, &settings, session)?;
        }
        "endSession" => {
            let session = entities.sessions.get_mut(object).ok_or_else(gone)?;
            client.end_transaction("abortTransaction", &settings, session)?;
        }
        "withTransaction" => {
            entities.sessions.get_mut(object).ok_or_else(gone)?.start_transaction();
            for operation in super::file::documents(arguments, "callback") {
                super::runner::run_operation(client, entities, &operation).map_err(Failure::client)?;
            }
            let session = entities.sessions.get_mut(object).ok_or_else(gone)?;
            client.end_transaction("commitTransaction", &settings, session)?;
        }
        other => return unknown(other),
    }
    Ok(Bson::Null)
}

fn on_database(call: &mut Call<'_>, name: &str) -> Outcome {
    let listed = |call: &mut Call<'_>, mut command: Document| {
        copy(call.arguments, &mut command, &["filter"]);
        let reply = call.send(command, Kind::Other)?;
        call.drain(&reply).map(Bson::Array)
    };
    match name {
        "aggregate" => call.aggregate(),
        "clientBulkWrite" => call.client_bulk_write(),
        "listCollections" => listed(call, doc! {"listCollections": 1, "cursor": {}}),
        "listDatabases" => {
            let reply = call.send(doc! {"listDatabases": 1}, Kind::Other)?;
            Ok(reply.get("databases").cloned().unwrap_or(Bson::Null))
        }
        "dropCollection" => {
            match call.send(doc! {"drop": call.argument("collection")}, Kind::Write) {
                // Nothing to drop is fine, as drivers have it.
                Err(failure) if failure.code != Some(26) => Err(failure),
                _ => Ok(Bson::Null),
            }
        }
        "createCollection" | "modifyCollection" => {
            let verb = if name == "createCollection" { "create" } else { "collMod" };
            let mut command = doc! {verb: call.argument("collection")};
            for (key, value) in
                call.arguments.iter().filter(|(key, _)| *key != "collection" && *key != "session")
            {
                command.insert(key, value.clone());
            }
            call.send(command, Kind::Write).map(|_| Bson::Null)
        }
        "runCommand" => {
            let mut command = call.arguments.get_document("command").cloned().unwrap_or_default();
            if let Some(preference) = call.arguments.get("readPreference") {
                command.insert("$readPreference", preference.clone());
            }
            call.send(command, Kind::Other).map(Bson::Document)
        }
        "runCursorCommand" => {
            let command = call.arguments.get_document("command").cloned().unwrap_or_default();
            let reply = call.send(command, Kind::Other)?;
            call.drain(&reply).map(Bson::Array)
        }
        other => unknown(other),
    }
}

fn open_cursor(call: &mut Call<'_>, session: Option<String>) -> Result<OpenCursor, Failure> {
    let command = call.arguments.get_document("command").cloned().unwrap_or_default();
    let reply = call.send(command, Kind::Other)?;
    let cursor = reply.get_document("cursor").map_err(|_| Failure::client("the reply is not a cursor"))?;
    let collection = cursor.get_str("ns").ok().and_then(|ns| ns.split_once('.')).map_or("", |(_, name)| name);
    Ok(OpenCursor {
        place: Place { collection: collection.to_owned(), ..call.place.clone() },
        id: cursor.get_i64("id").unwrap_or(0),
        ready: cursor.get_array("firstBatch").cloned().map(VecDeque::from).unwrap_or_default(),
        batch_size: call.arguments.get("batchSize").cloned(),
        session,
    })
}

fn on_cursor(client: &mut Client, entities: &mut Entities, object: &str, name: &str) -> Outcome {
    let Some(mut cursor) = entities.cursors.remove(object) else {
        return Err(Failure::client(format!("{object} is closed")));
    };
    let session = cursor.session.as_ref().and_then(|name| entities.sessions.get_mut(name));
    let arguments = Document::new();
    let place = cursor.place.clone();
    let mut call = Call { client, session, place: &place, arguments: &arguments };
    if name == "close" {
        if cursor.id != 0 {
            let command = doc! {"killCursors": place.collection.as_str(), "cursors": [cursor.id]};
            call.send(command, Kind::Other)?;
        }
        return Ok(Bson::Null);
    }
    let requests_max = match name {
        "iterateOnce" => 1,
        "iterateUntilDocumentOrError" => EMPTY_BATCHES_MAX,
        other => return unknown(other),
    };
    for _ in 0..requests_max {
        if !cursor.ready.is_empty() || cursor.id == 0 {
            break;
        }
        let mut more = doc! {"getMore": cursor.id, "collection": place.collection.as_str()};
        if let Some(size) = &cursor.batch_size {
            more.insert("batchSize", size.clone());
        }
        let reply = call.send(more, Kind::Other)?;
        let answer =
            reply.get_document("cursor").map_err(|_| Failure::client("the reply is not a cursor"))?;
        cursor.id = answer.get_i64("id").unwrap_or(0);
        cursor.ready.extend(answer.get_array("nextBatch").cloned().unwrap_or_default());
    }
    let next = cursor.ready.pop_front();
    entities.cursors.insert(object.to_owned(), cursor);
    Ok(next.unwrap_or(Bson::Null))
}
