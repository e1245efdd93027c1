//! Running a case: its data, its operations, its expectations.

use bson::{Bson, Document, doc};

use super::client::Client;
use super::entities::Entities;
use super::file::{Case, File, documents};
use super::requirement::{Reason, not_run};
use super::{matching, operation};
use crate::conformance::Topology;
use crate::conformance::target::Target;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// What was wrong.
    Failed(String),
    /// It is not about the server.
    NotRun(Reason),
}

/// Runs every case; in the order of the files.
pub fn run_all(files: &[File], target: &dyn Target) -> Vec<(String, Verdict)> {
    let mut verdicts = Vec::new();
    for file in files {
        for case in &file.cases {
            verdicts.push((case.id.clone(), run_case(file, case, target)));
        }
    }
    verdicts
}

/// Runs one case on an empty server.
pub fn run_case(file: &File, case: &Case, target: &dyn Target) -> Verdict {
    if let Some(reason) = not_run(file, case) {
        return Verdict::NotRun(reason);
    }
    match attempt(file, case, target) {
        Ok(()) => Verdict::Passed,
        Err(reason) => Verdict::Failed(reason),
    }
}

fn attempt(file: &File, case: &Case, target: &dyn Target) -> Result<(), String> {
    let mut client = Client::new(target.open(Topology::ReplicaSet)?);
    for data in &file.initial_data {
        fill(&mut client, data)?;
    }
    let mut entities = Entities::create(&file.entities)?;
    for operation in &case.operations {
        run_operation(&mut client, &mut entities, operation)?;
    }
    case.outcome.iter().try_for_each(|data| check_contents(&mut client, data))
}

/// Makes a collection with its documents.
fn fill(client: &mut Client, data: &Document) -> Result<(), String> {
    let (database, collection) = place(data)?;
    let documents = documents(data, "documents");
    let mut create = doc! {"create": collection};
    create.extend(data.get_document("createOptions").cloned().unwrap_or_default());
    let failed = |failure: super::Failure| format!("the data of {collection}: {}", failure.message);
    client.send_raw(database, &create).map_err(failed)?;
    if !documents.is_empty() {
        client.send_raw(database, &doc! {"insert": collection, "documents": documents}).map_err(failed)?;
    }
    Ok(())
}

fn place(data: &Document) -> Result<(&str, &str), String> {
    match (data.get_str("databaseName"), data.get_str("collectionName")) {
        (Ok(database), Ok(collection)) => Ok((database, collection)),
        _ => Err("data of no collection".to_owned()),
    }
}

/// Runs an operation and compares its result with what is expected.
pub fn run_operation(
    client: &mut Client,
    entities: &mut Entities,
    operation: &Document,
) -> Result<(), String> {
    let name = operation.get_str("name").unwrap_or_default();
    let outcome = operation::run(client, entities, operation);
    if operation.get_bool("ignoreResultAndError").unwrap_or(false) {
        return Ok(());
    }
    let saved = |name: &str| entities.saved.get(name).cloned();
    let result = match (operation.get_document("expectError").ok(), outcome) {
        (Some(expected), Err(failure)) => {
            return matching::matches_failure(expected, &failure, &saved)
                .map_err(|reason| format!("{name} fails otherwise: {reason}"));
        }
        (Some(_), Ok(result)) => return Err(format!("{name} should fail, but answers {result}")),
        (None, Err(failure)) => return Err(format!("{name} fails: {failure:?}")),
        (None, Ok(result)) => result,
    };
    if let Some(expected) = operation.get("expectResult") {
        matching::matches(expected, Some(&result), &saved).map_err(|reason| format!("{name}: {reason}"))?;
    }
    if let Ok(id) = operation.get_str("saveResultAsEntity") {
        entities.saved.insert(id.to_owned(), result);
    }
    Ok(())
}

fn check_contents(client: &mut Client, data: &Document) -> Result<(), String> {
    let (database, collection) = place(data)?;
    let find = doc! {"find": collection, "sort": {"_id": 1}, "batchSize": 10_000};
    let reply = client.send_raw(database, &find).map_err(|failure| failure.message)?;
    let found = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let found = found.map_err(|error| error.to_string())?;
    let expected = documents(data, "documents").into_iter().map(Bson::Document).collect();
    matching::equals(&Bson::Array(expected), &Bson::Array(found.clone()))
        .map_err(|reason| format!("{collection} holds something else: {reason}"))
}
