//! `explain`: `{explain: {command}, verbosity}`.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::operation::{ExplainOperation, ExplainTarget, Verbosity};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::arguments::Arguments;
use crate::commands::{aggregate, count, delete, distinct, find, find_and_modify, update};
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let command = match request.subject() {
        ValueRef::Document(command) => command,
        ValueRef::Null | ValueRef::Undefined => return arguments.required("explain", None),
        other => return Err(arguments.wrong_type("explain", other, "a document")),
    };
    let verbosity = verbosity(arguments)?;
    arguments.finish()?;
    let target = target(request, command)?;
    let plan = request.session.engine().explain(&ExplainOperation { target, verbosity })?;
    let mut body = plan.into_builder();
    write_command(request, command, &mut body);
    Ok(body)
}

/// What was explained, and who explains.
pub(crate) fn write_command(request: &Request<'_>, command: RawDocument<'_>, body: &mut DocumentBuilder) {
    body.append("command", command);
    body.document("serverInfo", |info| {
        info.append("host", request.commands().identity().address.as_str());
        info.append("version", crate::version::SPOKEN_VERSION);
    });
    body.document("serverParameters", |_| {});
}

fn verbosity(arguments: &Arguments<'_>) -> Result<Verbosity> {
    match arguments.string("verbosity")? {
        None | Some("allPlansExecution") => Ok(Verbosity::AllPlansExecution),
        Some("executionStats") => Ok(Verbosity::ExecutionStats),
        Some("queryPlanner") => Ok(Verbosity::QueryPlanner),
        Some(other) => {
            Err(Error::new(crate::arguments::BAD_VALUE, format!("explain.verbosity does not know {other:?}")))
        }
    }
}

fn target<'a>(request: &Request<'a>, command: RawDocument<'a>) -> Result<ExplainTarget<'a>> {
    let Some(first) = command.first() else {
        return Err(Error::new(crate::codes::COMMAND_NOT_FOUND, "explain needs a command"));
    };
    let name = first.key();
    let arguments = Arguments::new(name, command)?;
    let subject = arguments.value(name).unwrap_or(ValueRef::Null);
    arguments.ignore(&[
        "comment",
        "$db",
        "maxTimeMS",
        "readConcern",
        "writeConcern",
        "lsid",
        "$readPreference",
    ]);
    if name == "aggregate" {
        let operation = aggregate::read(&arguments, aggregate::target(request.database, subject)?)?;
        arguments.ignore(&["cursor", "explain", "collectionUUID"]);
        arguments.finish()?;
        return Ok(ExplainTarget::Aggregate(operation));
    }
    let namespace = match subject {
        ValueRef::String(collection) => Namespace::new(request.database, collection)?,
        other => {
            return Err(Error::new(
                error_code::INVALID_NAMESPACE,
                format!("{name} needs the name of a collection, not a value of type {}", other.kind().name()),
            ));
        }
    };
    // A plan has no use for it: the collection is named.
    arguments.ignore(&["collectionUUID"]);
    let target = match name {
        "find" => ExplainTarget::Find(find::read(&arguments, namespace)?.0),
        "count" => ExplainTarget::Count(count::read(&arguments, namespace)?),
        "distinct" => ExplainTarget::Distinct(distinct::read(&arguments, namespace)?),
        "findAndModify" | "findandmodify" => {
            ExplainTarget::FindAndModify(find_and_modify::read(&arguments, namespace)?)
        }
        "update" => ExplainTarget::Update(update::read_statement(
            &namespace,
            "update.updates.0",
            only_statement(&arguments, "updates")?,
        )?),
        "delete" => ExplainTarget::Delete(delete::read_statement(
            &namespace,
            "delete.deletes.0",
            only_statement(&arguments, "deletes")?,
        )?),
        other => {
            // A command that is known is refused in another way than one that nobody knows.
            let code = match crate::command::find(other) {
                Some(_) => error_code::ILLEGAL_OPERATION,
                None => crate::codes::COMMAND_NOT_FOUND,
            };
            return Err(Error::new(code, format!("the command {other:?} cannot be explained")));
        }
    };
    arguments.finish()?;
    Ok(target)
}

/// A write that is explained has one statement.
fn only_statement<'a>(arguments: &Arguments<'a>, key: &str) -> Result<RawDocument<'a>> {
    arguments.ignore(&["ordered", "let", "bypassDocumentValidation"]);
    let statements = arguments.required(key, arguments.documents(key)?)?;
    match statements.as_slice() {
        [statement] => Ok(*statement),
        _ => Err(Error::new(
            crate::codes::INVALID_LENGTH,
            format!("explain takes one statement in {key}, not {}", statements.len()),
        )),
    }
}
