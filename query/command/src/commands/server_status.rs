//! `serverStatus`: figures of the running server.

use sheaf_document::{DocumentBuilder, Timestamp, Value, ValueRef};
use sheaf_engine::Result;
use sheaf_engine::operation::CollectionKind;

use crate::activity::{OperationKind, Usage};
use crate::clock::now_millis;
use crate::request::Request;
use crate::version::SPOKEN_VERSION;

/// Writes one section.
type Section = fn(&Request<'_>, &mut DocumentBuilder);

/// Sections that are there unless they are switched off by name: `{serverStatus: 1, section: 0}`.
const SECTIONS: [(&str, Section); 16] = [
    ("asserts", asserts),
    ("catalogStats", catalog),
    ("connections", connections),
    ("defaultRWConcern", default_concerns),
    ("extra_info", extra_info),
    ("globalLock", global_lock),
    ("locks", |_, _| {}),
    ("logicalSessionRecordCache", logical_sessions),
    ("mem", memory),
    ("metrics", metrics),
    ("network", network),
    ("opLatencies", operation_latencies),
    ("opcounters", operation_counters),
    ("opcountersRepl", no_operations),
    ("storageEngine", storage_engine),
    ("transactions", transactions),
];

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    // Every other field names a section; a name that is not known is no error.
    let sections: Vec<(&str, bool)> = request
        .arguments
        .iter()
        .map(|(key, value)| (key, crate::number::to_truth(value).unwrap_or(!value.is_nullish())))
        .collect();
    let wanted = |name: &str| sections.iter().find(|(key, _)| *key == name).is_none_or(|(_, wanted)| *wanted);
    let commands = request.commands();
    let uptime_millis = now_millis() - commands.started_millis();
    let mut body = DocumentBuilder::new();
    body.append("host", commands.identity().address.as_str())
        .append("version", SPOKEN_VERSION)
        .append("process", "sheafd")
        .append("service", Vec::<Value<'_>>::new())
        .append("pid", i64::from(std::process::id()))
        .append("uptime", double(uptime_millis / 1000))
        .append("uptimeMillis", uptime_millis)
        .append("uptimeEstimate", uptime_millis / 1000)
        .append_value("localTime", &Value::DateTime(now_millis()));
    for (name, write) in SECTIONS {
        if wanted(name) {
            body.document(name, |section| write(request, section));
        }
    }
    // One server has nobody to mirror reads to. The section comes only to those who ask for it.
    if sections.iter().any(|(key, is_wanted)| *key == "mirroredReads" && *is_wanted) {
        body.document("mirroredReads", |section| {
            section.append("seen", 0_i64).append("sent", 0_i64);
        });
    }
    if let Some(name) = commands.identity().replica_set.as_ref().filter(|_| wanted("repl")) {
        body.document("repl", |repl| {
            let address = commands.identity().address.as_str();
            repl.append("setName", name.as_str()).append("setVersion", 1);
            repl.append("isWritablePrimary", true).append("secondary", false);
            repl.append("primary", address).append("me", address);
        });
    }
    Ok(body)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of uptime are far below 2^53")]
fn double(number: i64) -> f64 {
    number as f64
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn asserts(_: &Request<'_>, section: &mut DocumentBuilder) {
    for name in ["regular", "warning", "msg", "user", "tripwire", "rollovers"] {
        section.append(name, 0);
    }
}

fn connections(request: &Request<'_>, section: &mut DocumentBuilder) {
    let commands = request.commands();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let current = count(commands.connections().len());
    let active = count(commands.activity().running().len());
    section.append("current", current).append("available", i32::MAX - current);
    section.append("totalCreated", commands.connections_opened()).append("rejected", 0);
    section.append("active", active).append("threaded", current).append("exhaustIsMaster", 0);
    section.append("exhaustHello", 0).append("awaitingTopologyChanges", 0).append("loadBalanced", 0);
}

fn default_concerns(_: &Request<'_>, section: &mut DocumentBuilder) {
    section.document("defaultReadConcern", |read| {
        read.append("level", "local");
    });
    section.document("defaultWriteConcern", |write| {
        write.append("w", "majority").append("wtimeout", 0);
    });
    section.append("defaultWriteConcernSource", "implicit").append("defaultReadConcernSource", "implicit");
}

fn extra_info(_: &Request<'_>, section: &mut DocumentBuilder) {
    section.append("note", "fields vary by platform");
    section.append("page_faults", 0_i64);
}

fn global_lock(request: &Request<'_>, section: &mut DocumentBuilder) {
    section.append("totalTime", (now_millis() - request.commands().started_millis()).saturating_mul(1000));
    section.document("currentQueue", |queue| {
        queue.append("total", 0).append("readers", 0).append("writers", 0);
    });
    section.document("activeClients", |clients| {
        clients.append("total", 0).append("readers", 0).append("writers", 0);
    });
}

fn logical_sessions(request: &Request<'_>, section: &mut DocumentBuilder) {
    let count = i32::try_from(request.commands().sessions().list().len()).unwrap_or(i32::MAX);
    section.append("activeSessionsCount", count);
}

fn memory(_: &Request<'_>, section: &mut DocumentBuilder) {
    section.append("bits", 64);
    match crate::process_memory::megabytes() {
        Some((resident, virtual_size)) => {
            section.append("resident", resident).append("virtual", virtual_size).append("supported", true);
        }
        None => {
            section.append("supported", false);
        }
    }
}

fn metrics(request: &Request<'_>, section: &mut DocumentBuilder) {
    let commands = request.commands();
    section.document("commands", |list| {
        for command in crate::command::all() {
            let count = commands.activity().command_count(command.name);
            list.document(command.name, |item| {
                item.append("failed", long(count.failed)).append("total", long(count.total));
            });
        }
    });
    section.document("cursor", |cursor| {
        let open = i64::try_from(commands.database().cursors().count()).unwrap_or(i64::MAX);
        cursor.append("timedOut", 0_i64).append("totalOpened", open);
        cursor.document("open", |figures| {
            figures.append("noTimeout", 0_i64).append("pinned", 0_i64).append("total", open);
        });
    });
    section.document("operation", |operation| {
        operation.append("killedDueToClientDisconnect", 0_i64);
        operation.append("killedByOperator", long(commands.activity().killed()));
    });
    for name in ["document", "queryExecutor", "record"] {
        section.document(name, |_| {});
    }
    let expiry = commands.database().expiry_statistics();
    section.document("ttl", |ttl| {
        ttl.append("deletedDocuments", long(expiry.deleted))
            .append("failures", long(expiry.failures))
            .append("invalidTTLIndexSkips", long(expiry.unusable_indexes))
            .append("passes", long(expiry.passes))
            .append("subPasses", long(expiry.rounds));
    });
    section.document("query", |query| spilling(&commands.database().spill_statistics(), query));
}

/// What went to temporary files, under the names that MongoDB counts it by.
fn spilling(statistics: &sheaf_engine::SpillStatistics, query: &mut DocumentBuilder) {
    query.document("sort", |sort| {
        sort.append("spillToDisk", long(statistics.sort.spills));
        sort.append("spilledRecords", long(statistics.sort.records));
        sort.append("spilledBytes", long(statistics.sort.bytes));
    });
    for (name, used) in [
        ("bucketAuto", statistics.bucket_auto),
        ("facet", statistics.facet),
        ("group", statistics.group),
        ("lookup", statistics.lookup),
        ("setWindowFields", statistics.set_window_fields),
    ] {
        query.document(name, |section| {
            section.append("spills", long(used.spills));
            section.append("spilledRecords", long(used.records));
            section.append("spilledBytes", long(used.bytes));
        });
    }
}

fn network(_: &Request<'_>, section: &mut DocumentBuilder) {
    for name in ["bytesIn", "bytesOut", "physicalBytesIn", "physicalBytesOut", "numSlowDNSOperations"] {
        section.append(name, 0_i64);
    }
    section.append("numSlowSSLOperations", 0_i64).append("numRequests", 0_i64);
}

fn operation_counters(request: &Request<'_>, section: &mut DocumentBuilder) {
    let totals = request.commands().activity().totals();
    let count = |kind| long(totals.by_kind.get(&kind).map_or(0, |usage| usage.count));
    section.append("insert", count(OperationKind::Insert)).append("query", count(OperationKind::Query));
    section.append("update", count(OperationKind::Update)).append("delete", count(OperationKind::Remove));
    section.append("getmore", count(OperationKind::GetMore));
    section.append("command", count(OperationKind::Command));
}

/// How long operations took: what was read, what was written, and everything else.
fn operation_latencies(request: &Request<'_>, section: &mut DocumentBuilder) {
    let totals = request.commands().activity().totals();
    let none = Usage::default();
    for (name, usage) in [
        ("reads", totals.reads),
        ("writes", totals.writes),
        ("commands", totals.commands),
        ("transactions", none),
    ] {
        section.document(name, |counter| {
            counter.append("latency", long(usage.micros)).append("ops", long(usage.count));
            counter.append("queryableEncryptionLatencyMicros", 0_i64);
        });
    }
}

/// How many collections there are of which kind.
fn catalog(request: &Request<'_>, section: &mut DocumentBuilder) {
    let (mut plain, mut capped, mut views, mut series) = (0, 0, 0, 0);
    let (mut internal_collections, mut internal_views) = (0, 0);
    let engine = request.session.engine();
    // Figures are of the moment; a database that is dropped meanwhile has none.
    for database in engine.list_databases().unwrap_or_default() {
        let is_internal = matches!(database.name.as_str(), "admin" | "config" | "local");
        for info in engine.list_collections(&database.name).unwrap_or_default() {
            match info.kind {
                CollectionKind::View if is_internal => internal_views += 1,
                CollectionKind::View => views += 1,
                CollectionKind::TimeSeries => series += 1,
                CollectionKind::Collection if is_internal => internal_collections += 1,
                CollectionKind::Collection => plain += 1,
            }
            let is_capped = info.options.as_raw().get("capped") == Some(ValueRef::Boolean(true));
            capped += i32::from(is_capped);
        }
    }
    section.append("collections", plain).append("capped", capped).append("clustered", 0);
    section.append("timeseries", series).append("views", views);
    section.append("internalCollections", internal_collections).append("internalViews", internal_views);
}

fn no_operations(_: &Request<'_>, section: &mut DocumentBuilder) {
    for name in ["insert", "query", "update", "delete", "getmore", "command"] {
        section.append(name, 0_i64);
    }
}

fn storage_engine(_: &Request<'_>, section: &mut DocumentBuilder) {
    section.append("name", "sheaf").append("supportsCommittedReads", true);
    section.append("oldestRequiredTimestampForCrashRecovery", Timestamp { seconds: 0, increment: 0 });
    section.append("supportsPendingDrops", false).append("supportsSnapshotReadConcern", true);
    section.append("readOnly", false).append("persistent", true).append("backupCursorOpen", false);
}

fn transactions(_: &Request<'_>, section: &mut DocumentBuilder) {
    for name in ["retriedCommandsCount", "retriedStatementsCount", "transactionsCollectionWriteCount"] {
        section.append(name, 0_i64);
    }
    for name in ["currentActive", "currentInactive", "currentOpen", "currentPrepared"] {
        section.append(name, 0_i64);
    }
    for name in ["totalAborted", "totalCommitted", "totalPrepared", "totalStarted"] {
        section.append(name, 0_i64);
    }
}
