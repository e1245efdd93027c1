//! `aggregate`: stages in, a cursor out.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, ExplainOperation, ExplainTarget, SystemSource, Verbosity,
};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::activity::Usage;
use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::change_stream;
use crate::commands::{current_op, explain, query_settings, write_block};
use crate::cursors::{Delivery, cursor_document, deliver};
use crate::number::to_integer;
use crate::request::{Request, collation, hint};
use crate::service::CommandSession;
use crate::transaction::check_pipeline;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let target = target(request.database, request.subject())?;
    let mut operation = read(arguments, target)?;
    if let AggregateTarget::Collection(namespace) = &operation.target {
        crate::collection_uuid::check(request, namespace)?;
    }
    operation.common.max_time = request.generic.max_time;
    operation.durability = request.durability();
    refuse_null(arguments, "explain", "a boolean")?;
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
    if let Some(level) = request.generic.read_level {
        check_read_level(&operation.pipeline, level)?;
    }
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
        let mut body = document.into_builder();
        explain::write_command(request, request.document, &mut body);
        return Ok(body);
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
    if let (None, Some(settings), AggregateTarget::Collection(namespace)) =
        (operation.hint, &request.settings, &operation.target)
    {
        let first = operation.pipeline.first().and_then(|stage| stage.as_document());
        let filter = first.and_then(|stage| stage.get("$match")).and_then(ValueRef::as_document);
        operation.hint = settings.hint(request, namespace, filter.unwrap_or(RawDocument::EMPTY))?;
    }
    let name = match &operation.target {
        AggregateTarget::Collection(namespace) => namespace.to_string(),
        AggregateTarget::Database(database) => format!("{database}.$cmd.aggregate"),
    };
    let session = request.session;
    let system = |stage: &str, argument: RawDocument<'_>| system_documents(session, stage, argument);
    operation.system = Some(SystemSource(&system));
    let cursor = request.session.engine().aggregate(&operation)?;
    deliver(request, cursor, &name, delivery)
}

/// Refuses the search service of Atlas, whose stages come first.
fn check_search(pipeline: &[ValueRef<'_>]) -> Result<()> {
    match stage_name(pipeline.first()) {
        name @ ("$listSearchIndexes" | "$search" | "$searchMeta" | "$vectorSearch") => Err(Error::new(
            crate::codes::SEARCH_NOT_ENABLED,
            format!("{name} is refused: the search service of MongoDB Atlas is not part of this server"),
        )),
        _ => Ok(()),
    }
}

/// The documents of stages that read the server's clients.
fn system_documents(
    session: &CommandSession,
    stage: &str,
    argument: RawDocument<'_>,
) -> Result<Vec<RawDocumentBuf>> {
    match stage {
        "$currentOp" => Ok(current_op::stage(session, argument)),
        "$querySettings" => query_settings::stage(session, argument),
        "$collStats" => Ok(vec![latencies(session, argument)]),
        _ => Ok(Vec::new()),
    }
}

/// How long operations on a collection took: the `latencyStats` of `$collStats`.
fn latencies(session: &CommandSession, argument: RawDocument<'_>) -> RawDocumentBuf {
    let namespace = argument.get("ns").and_then(ValueRef::as_str).unwrap_or_default();
    let usage = session.commands().activity().usage_of(namespace);
    let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut out = DocumentBuilder::new();
    let none = Usage::default();
    for (name, usage) in [
        ("reads", usage.reads),
        ("writes", usage.writes),
        ("commands", usage.commands),
        ("transactions", none),
    ] {
        out.document(name, |counter| {
            counter.append("latency", long(usage.micros)).append("ops", long(usage.count));
            counter.append("queryableEncryptionLatencyMicros", 0_i64);
        });
    }
    out.build()
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

/// A decimal counts as 1 if the double next to it is; the other numbers must be it.
fn is_one(number: ValueRef<'_>) -> bool {
    match number {
        ValueRef::Double(number) => number == 1.0,
        ValueRef::Decimal128(number) => number.to_f64() == 1.0,
        number => to_integer(number) == Some(1),
    }
}

/// Some fields of `aggregate` may be left out and yet not be null.
fn refuse_null(arguments: &Arguments<'_>, key: &str, expected: &str) -> Result<()> {
    match arguments.value(key) {
        Some(value) if value.is_nullish() => Err(arguments.wrong_type(key, value, expected)),
        _ => Ok(()),
    }
}

/// Reads everything that is particular to `aggregate`, but for the cursor.
pub(crate) fn read<'a>(arguments: &Arguments<'a>, target: AggregateTarget) -> Result<AggregateOperation<'a>> {
    refuse_null(arguments, "pipeline", "an array")?;
    refuse_null(arguments, "allowDiskUse", "a boolean")?;
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
    arguments.ignore(&["encryptionInformation", "includeQueryStatsMetrics", "fromMongos"]);
    arguments.ignore(&["needsMerge", "exchange", "isMapReduceCommand", "$_requestReshardingResumeToken"]);
    Ok(operation)
}

/// The cursor's options; nothing if there is no `cursor`.
fn delivery(arguments: &Arguments<'_>) -> Result<Option<Delivery>> {
    refuse_null(arguments, "cursor", "a document")?;
    match arguments.document("cursor")? {
        None => Ok(None),
        Some(document) => cursor_document("aggregate", document).map(Some),
    }
}

/// Stages that write do not wait for the newest majority, and stages that read the system know one level only.
fn check_read_level(pipeline: &[ValueRef<'_>], level: &str) -> Result<()> {
    let (first, last) = (stage_name(pipeline.first()), stage_name(pipeline.last()));
    let refused = if level == "linearizable" && write_block::writes(pipeline) {
        last
    } else if level != "local" && matches!(first, "$listClusterCatalog" | "$planCacheStats") {
        first
    } else {
        return Ok(());
    };
    Err(Error::new(
        crate::codes::INVALID_OPTIONS,
        format!("{refused} does not take the read concern level {level:?}"),
    ))
}

fn stage_name<'a>(stage: Option<&ValueRef<'a>>) -> &'a str {
    let stage = stage.and_then(|stage| stage.as_document()).and_then(RawDocument::first);
    stage.map_or("", |name| name.key())
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
        let only_counts = |options: RawDocument<'_>| options.iter().all(|option| option.key() == "count");
        if stage.key() == "$collStats" && !stage.value().as_document().is_some_and(only_counts) {
            return refused("$collStats with more than count");
        }
    }
    Ok(())
}
