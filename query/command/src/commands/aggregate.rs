//! `aggregate`: stages in, a cursor out.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, ExplainOperation, ExplainTarget, Verbosity,
};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::change_stream;
use crate::commands::write_block;
use crate::cursors::{Delivery, cursor_document, deliver};
use crate::number::to_integer;
use crate::request::{Request, collation, hint};
use crate::transaction::check_pipeline;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let target = target(request.database, request.subject())?;
    let mut operation = read(arguments, target)?;
    operation.common.max_time = request.generic.max_time;
    operation.durability = request.durability();
    let explain = arguments.boolean("explain")?.unwrap_or(false);
    let delivery = delivery(arguments)?;
    arguments.finish()?;
    if request.generic.in_transaction {
        check_pipeline(&operation.pipeline)?;
    }
    if request.generic.api_strict {
        check_api_strict(&operation.pipeline, explain)?;
    }
    check_search(&operation.pipeline)?;
    change_stream::check(request.commands(), &operation.pipeline)?;
    if explain {
        if request.generic.has_write_concern {
            return Err(Error::new(
                FAILED_TO_PARSE,
                "aggregate cannot have both explain and a write concern",
            ));
        }
        let target = ExplainTarget::Aggregate(operation);
        let document = request
            .session
            .engine()
            .explain(&ExplainOperation { target, verbosity: Verbosity::QueryPlanner })?;
        return Ok(document.into_builder());
    }
    let Some(delivery) = delivery else {
        return Err(Error::new(
            FAILED_TO_PARSE,
            "aggregate needs the field \"cursor\", unless it is explained",
        ));
    };
    if write_block::writes(&operation.pipeline) {
        if request.generic.is_linearizable {
            return Err(Error::new(
                crate::codes::INVALID_OPTIONS,
                "a pipeline that writes cannot have the read concern level linearizable",
            ));
        }
        write_block::check(request)?;
    }
    let name = match &operation.target {
        AggregateTarget::Collection(namespace) => namespace.to_string(),
        AggregateTarget::Database(database) => format!("{database}.$cmd.aggregate"),
    };
    let cursor = request.session.engine().aggregate(&operation)?;
    deliver(request, cursor, &name, delivery)
}

/// Refuses the search service of Atlas, whose stages come first.
fn check_search(pipeline: &[ValueRef<'_>]) -> Result<()> {
    let first = pipeline.first().and_then(|stage| stage.as_document()).and_then(|stage| stage.first());
    match first.map(|stage| stage.key()) {
        Some(name @ ("$listSearchIndexes" | "$search" | "$searchMeta" | "$vectorSearch")) => Err(Error::new(
            crate::codes::SEARCH_NOT_ENABLED,
            format!("{name} is refused: the search service of MongoDB Atlas is not part of this server"),
        )),
        _ => Ok(()),
    }
}

/// What the first field names: a collection, or the database by the number 1.
pub(crate) fn target(database: &str, subject: ValueRef<'_>) -> Result<AggregateTarget> {
    match subject {
        ValueRef::String(collection) => Namespace::new(database, collection).map(AggregateTarget::Collection),
        number if number.kind().is_number() => {
            if is_one(number) {
                Ok(AggregateTarget::Database(database.to_owned()))
            } else {
                Err(Error::new(BAD_VALUE, "aggregate needs the name of a collection, or the number 1"))
            }
        }
        other => Err(Error::new(
            error_code::INVALID_NAMESPACE,
            format!(
                "aggregate needs the name of a collection or 1, not a value of type {}",
                other.kind().name()
            ),
        )),
    }
}

/// A decimal counts as 1 if it rounds to it; the other numbers must be it.
fn is_one(number: ValueRef<'_>) -> bool {
    match number {
        ValueRef::Double(number) => number == 1.0,
        number => to_integer(number) == Some(1),
    }
}

/// Reads everything that is particular to `aggregate`, but for the cursor.
pub(crate) fn read<'a>(arguments: &Arguments<'a>, target: AggregateTarget) -> Result<AggregateOperation<'a>> {
    let pipeline = arguments.required("pipeline", arguments.array("pipeline")?)?;
    let stages = pipeline.iter().enumerate().map(|(index, stage)| match stage {
        ValueRef::Document(_) => Ok(stage),
        other => Err(arguments.wrong_type(&format!("pipeline.{index}"), other, "a document")),
    });
    let mut operation = AggregateOperation::new(target, stages.collect::<Result<Vec<_>>>()?);
    operation.allow_disk_use = arguments.boolean("allowDiskUse")?;
    operation.hint = hint(arguments)?;
    operation.bypass_document_validation = arguments.flag("bypassDocumentValidation")?.unwrap_or(false);
    operation.common.let_variables = arguments.document("let")?;
    operation.common.collation = collation(arguments)?;
    arguments.ignore(&["collectionUUID", "encryptionInformation", "includeQueryStatsMetrics", "fromMongos"]);
    arguments.ignore(&["needsMerge", "exchange", "isMapReduceCommand", "$_requestReshardingResumeToken"]);
    Ok(operation)
}

/// The cursor's options; nothing if there is no `cursor`.
fn delivery(arguments: &Arguments<'_>) -> Result<Option<Delivery>> {
    match arguments.document("cursor")? {
        None => Ok(None),
        Some(document) => cursor_document("aggregate", document).map(Some),
    }
}

/// Stages that version 1 of the stable API leaves out.
const UNSTABLE_STAGES: [&str; 8] = [
    "$currentOp",
    "$indexStats",
    "$listLocalSessions",
    "$listSessions",
    "$planCacheStats",
    "$search",
    "$searchMeta",
    "$querySettings",
];

fn check_api_strict(pipeline: &[ValueRef<'_>], explain: bool) -> Result<()> {
    let refused = |what: &str| {
        Err(Error::new(
            crate::codes::API_STRICT_ERROR,
            format!("{what} is not part of version 1 of the stable API"),
        ))
    };
    if explain {
        return refused("aggregate.explain");
    }
    for stage in pipeline {
        let Some(stage) = stage.as_document().and_then(|stage| stage.first()) else { continue };
        if UNSTABLE_STAGES.contains(&stage.key()) {
            return refused(stage.key());
        }
        let only_counts =
            |options: sheaf_document::RawDocument<'_>| options.iter().all(|option| option.key() == "count");
        if stage.key() == "$collStats" && !stage.value().as_document().is_some_and(only_counts) {
            return refused("$collStats with more than count");
        }
    }
    Ok(())
}
