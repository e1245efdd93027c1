//! Stages with less memory than they need: what goes to disk must give the same answers.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, ExplainOperation, ExplainTarget, InsertOperation, Verbosity,
};
use sheaf_engine::{Database, Error, Result, Session, SpillStatistics, SpillUse, error_code};
use sheaf_storage::{FaultVfs, MemoryVfs, Vfs};

use crate::model::Random;
use crate::support::{doc, json, namespace, options};

const DIRECTORY: &str = "/db";

fn open(vfs: &Arc<dyn Vfs>, memory_bytes: usize) -> Database {
    let mut options = options();
    options.operator_memory_bytes_max = memory_bytes;
    Database::open_with(Arc::clone(vfs), Path::new(DIRECTORY), options).expect("opens")
}

/// A database with documents of many shapes, closed.
fn filled(seed: u64, documents: u64) -> Arc<dyn Vfs> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let database = open(&vfs, usize::MAX);
    let mut random = Random(seed);
    let documents: Vec<RawDocumentBuf> = (0..documents)
        .map(|id| {
            let padding = "x".repeat(usize::try_from(random.below(120)).expect("small"));
            let (g, d) = (random.below(40), random.below(1_000));
            doc(&format!(
                r#"{{"_id": {id}, "g": {g}, "v": {}, "s": {}, "n": {}.25, "d": {{"$numberDecimal": "{d}.1"}},
                    "l": {{"$numberLong": "{d}"}}, "a": [{}, {}], "o": {{"k{}": {}}}, "p": "{padding}"}}"#,
                random.value(),
                random.scalar(),
                random.below(1_000_000),
                random.scalar(),
                random.below(5),
                random.below(9),
                random.scalar(),
            ))
        })
        .collect();
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    database.session().insert(&InsertOperation::new(namespace(), raw)).expect("inserts");
    database.close().expect("closes");
    vfs
}

/// The documents of a pipeline, with their types.
fn run(
    session: &Session,
    stages: &[&str],
    collation: Option<&RawDocumentBuf>,
    allow_disk_use: Option<bool>,
) -> Result<Vec<String>> {
    let stages: Vec<RawDocumentBuf> = stages.iter().map(|stage| doc(stage)).collect();
    let pipeline = stages.iter().map(|stage| ValueRef::Document(stage.as_raw())).collect();
    let mut operation = AggregateOperation::new(AggregateTarget::Collection(namespace()), pipeline);
    operation.common.collation = collation.map(RawDocumentBuf::as_raw);
    operation.allow_disk_use = allow_disk_use;
    let mut cursor = session.aggregate(&operation)?;
    let mut found = Vec::new();
    while !cursor.is_exhausted() {
        let batch = cursor.next_batch(50, 1 << 24)?;
        found.extend(batch.documents.iter().map(|document| format!("{document:?}")));
    }
    Ok(found)
}

const ACCUMULATORS: &str = r#"
    "sum": {"$sum": "$n"}, "exact": {"$sum": "$d"}, "mixed": {"$sum": {"$add": ["$n", "$l"]}},
    "avg": {"$avg": "$n"}, "avgd": {"$avg": "$d"}, "count": {"$count": {}}, "min": {"$min": "$v"},
    "max": {"$max": "$v"}, "first": {"$first": "$v"}, "last": {"$last": "$s"}, "push": {"$push": "$s"},
    "pusho": {"$push": {"a": "$_id", "v": "$v"}}, "set": {"$addToSet": "$v"}, "dev": {"$stdDevPop": "$n"},
    "devs": {"$stdDevSamp": "$l"}, "merged": {"$mergeObjects": "$o"},
    "firstN": {"$firstN": {"input": "$s", "n": 3}}, "lastN": {"$lastN": {"input": "$s", "n": 3}},
    "minN": {"$minN": {"input": "$v", "n": 4}}, "maxN": {"$maxN": {"input": "$v", "n": 4}},
    "top": {"$top": {"sortBy": {"n": 1}, "output": ["$_id", "$s"]}},
    "topN": {"$topN": {"sortBy": {"s": 1, "l": -1}, "output": "$_id", "n": 5}},
    "bottom": {"$bottom": {"sortBy": {"a": 1}, "output": "$_id"}},
    "bottomN": {"$bottomN": {"sortBy": {"s": 1}, "output": "$_id", "n": 2}},
    "half": {"$median": {"input": "$n", "method": "approximate"}},
    "ranks": {"$percentile": {"input": "$l", "p": [0.1, 0.9], "method": "approximate"}},
    "concat": {"$concatArrays": "$a"}, "union": {"$setUnion": "$a"}"#;

/// A pipeline, and whether its order is decided.
fn pipelines() -> Vec<(Vec<String>, bool)> {
    let one = |stage: &str, ordered: bool| (vec![stage.replace("ACCUMULATORS", ACCUMULATORS)], ordered);
    vec![
        one(r#"{"$group": {"_id": "$g", ACCUMULATORS}}"#, false),
        one(r#"{"$group": {"_id": "$v", ACCUMULATORS}}"#, false),
        one(r#"{"$group": {"_id": {"g": "$g", "s": "$s"}, "n": {"$sum": 1}}}"#, false),
        one(r#"{"$group": {"_id": "$_id"}}"#, false),
        one(r#"{"$group": {"_id": null, ACCUMULATORS}}"#, false),
        one(r#"{"$sortByCount": "$s"}"#, false),
        one(r#"{"$sort": {"s": -1, "v": 1}}"#, true),
        one(r#"{"$sort": {"a": 1}}"#, true),
        one(r#"{"$bucketAuto": {"groupBy": "$v", "buckets": 7, "output": {ACCUMULATORS}}}"#, true),
        one(r#"{"$bucketAuto": {"groupBy": "$l", "buckets": 5, "granularity": "R10"}}"#, true),
        one(
            r#"{"$setWindowFields": {"partitionBy": "$g", "sortBy": {"n": 1}, "output": {
                "sum": {"$sum": "$d", "window": {"documents": ["unbounded", "current"]}},
                "near": {"$push": "$_id", "window": {"range": [-90000, 90000]}},
                "top": {"$topN": {"n": 2, "sortBy": {"s": 1}, "output": "$_id"}, "window": {"documents": [-3, 0]}},
                "rank": {"$rank": {}}, "shift": {"$shift": {"output": "$s", "by": -1, "default": "none"}},
                "cov": {"$covariancePop": ["$n", "$l"], "window": {"documents": [-5, 5]}},
                "slope": {"$derivative": {"input": "$l"}, "window": {"documents": [-1, 0]}}}}}"#,
            true,
        ),
        one(
            r#"{"$setWindowFields": {"sortBy": {"_id": 1}, "output": {
                "sum": {"$sum": "$n", "window": {"documents": ["unbounded", "current"]}}, "no": {"$documentNumber": {}}}}}"#,
            true,
        ),
        one(
            r#"{"$facet": {"few": [{"$match": {"g": 3}}, {"$project": {"s": 1}}], "count": [{"$count": "n"}],
                "best": [{"$sort": {"n": -1}}, {"$limit": 3}]}}"#,
            true,
        ),
    ]
}

fn compare_all(seed: u64, documents: u64, memory_bytes: usize) -> (u64, SpillStatistics) {
    let vfs = filled(seed, documents);
    let mut compared = 0;
    let mut statistics = SpillStatistics::default();
    let collation = doc(r#"{"locale": "en", "strength": 1}"#);
    for (stages, is_ordered) in pipelines() {
        let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
        // What the functions need of one partition must be in memory.
        if memory_bytes < 100 << 10 && stages.iter().any(|stage| stage.contains("$setWindowFields")) {
            continue;
        }
        for collated in [false, true] {
            let mut answers = [usize::MAX, memory_bytes].map(|memory_bytes| {
                let database = open(&vfs, memory_bytes);
                let answer = run(&database.session(), &stages, collated.then_some(&collation), None);
                if memory_bytes != usize::MAX {
                    statistics = add(statistics, database.spill_statistics());
                }
                assert!(vfs.list(&Path::new(DIRECTORY).join("spill")).unwrap_or_default().is_empty());
                answer.unwrap_or_else(|error| panic!("{stages:?} in {memory_bytes} bytes: {error}"))
            });
            if !is_ordered {
                answers.iter_mut().for_each(|answer| answer.sort_unstable());
            }
            let [whole, spilled] = answers;
            compared += whole.len() as u64;
            assert_eq!(whole.len(), spilled.len(), "{stages:?}, seed {seed}");
            for (whole, spilled) in whole.iter().zip(&spilled) {
                assert_eq!(whole, spilled, "{stages:?}, seed {seed}");
            }
        }
    }
    (compared, statistics)
}

/// Joins by paths that lead through arrays, documents and nothing; what was found is brought into one order.
const JOINS: [&str; 5] = [
    r#"{"$lookup": {"from": "things", "localField": "s", "foreignField": "v", "as": "m"}}"#,
    r#"{"$lookup": {"from": "things", "localField": "v", "foreignField": "v", "as": "m"}}"#,
    r#"{"$lookup": {"from": "things", "localField": "a", "foreignField": "v", "as": "m",
        "let": {"g": "$g"}, "pipeline": [{"$match": {"$expr": {"$gt": ["$g", "$$g"]}}}, {"$limit": 5}]}}"#,
    r#"{"$lookup": {"from": "things", "localField": "v.x", "foreignField": "v.x", "as": "m"}}"#,
    r#"{"$graphLookup": {"from": "things", "startWith": "$g", "connectFromField": "l", "connectToField": "g",
        "as": "m", "maxDepth": 2, "depthField": "depth"}}"#,
];

#[test]
fn a_join_gives_the_same_by_hash_from_disk_and_by_searching() {
    let vfs = filled(6, 300);
    let order = r#"{"$set": {"m": {"$sortArray": {"input": "$m", "sortBy": {"_id": 1}}}}}"#;
    let collation = doc(r#"{"locale": "en", "strength": 1}"#);
    for collated in [false, true] {
        let collation = collated.then_some(&collation);
        let answers = |memory_bytes: usize, allow: bool| {
            let database = open(&vfs, memory_bytes);
            let session = database.session();
            let run = |join: &&str| run(&session, &[join, order], collation, Some(allow)).expect(join);
            (JOINS.iter().map(run).collect::<Vec<_>>(), database.spill_statistics().lookup)
        };
        let (whole, not_used) = answers(usize::MAX, true);
        assert_eq!(not_used, SpillUse::default());
        // Room for the table, not for the documents.
        let (spilled, used) = answers(60 << 10, true);
        assert!(used.spills > 0, "{used:?}");
        assert_eq!(whole, spilled, "from disk");
        // No room anywhere: every document searches for itself.
        let (searched, none) = answers(60 << 10, false);
        assert_eq!(none, SpillUse::default());
        assert_eq!(whole, searched, "by searching");
        let matched = whole.iter().flatten().filter(|row| !row.contains(r#""m": Array([])"#)).count();
        assert!(matched > 500, "only {matched} documents have matches");
    }
}

fn add(mut sum: SpillStatistics, more: SpillStatistics) -> SpillStatistics {
    sum.bucket_auto.add(more.bucket_auto);
    sum.facet.add(more.facet);
    sum.group.add(more.group);
    sum.set_window_fields.add(more.set_window_fields);
    sum.sort.add(more.sort);
    sum
}

#[test]
fn deep_spilled_answers_are_the_same() {
    let is_deep = std::env::var_os("SHEAF_DEEP").is_some();
    let rounds = if is_deep { 40 } else { 1 };
    let (mut compared, mut all) = (0, SpillStatistics::default());
    for seed in 0..rounds {
        // From a limit that most partitions fit into to one that nothing fits into.
        for memory_bytes in [200 << 10, 120 << 10, 16 << 10] {
            let (count, statistics) = compare_all(seed, 700, memory_bytes);
            compared += count;
            all = add(all, statistics);
        }
    }
    for (name, used) in [
        ("$bucketAuto", all.bucket_auto),
        ("$facet", all.facet),
        ("$group", all.group),
        ("$setWindowFields", all.set_window_fields),
        ("$sort", all.sort),
    ] {
        println!("{name}: {used:?}");
        assert!(used.spills > 0 && used.records > 0 && used.bytes > 0, "{name} did not spill: {used:?}");
    }
    println!("stage spilled answers are the same: {compared} documents compared");
}

const GROUP: &str = r#"{"$group": {"_id": "$_id", "v": {"$push": "$p"}}}"#;
const WINDOW: &str =
    r#"{"$setWindowFields": {"partitionBy": "$g", "sortBy": {"n": 1}, "output": {"c": {"$sum": "$n"}}}}"#;
const STAGES: [&str; 5] = [
    GROUP,
    WINDOW,
    r#"{"$sort": {"s": 1}}"#,
    r#"{"$bucketAuto": {"groupBy": "$n", "buckets": 4}}"#,
    r#"{"$facet": {"a": [{"$count": "n"}]}}"#,
];

/// So many runs that some are merged before the end.
#[test]
fn equal_keys_keep_their_order_over_runs_of_runs() {
    let vfs = filled(6, 3_000);
    let stages = [r#"{"$sort": {"g": 1}}"#, r#"{"$project": {"g": 1}}"#];
    let in_memory = run(&open(&vfs, usize::MAX).session(), &stages, None, None).expect("fits");
    let database = open(&vfs, 4 << 10);
    assert_eq!(run(&database.session(), &stages, None, None).expect("spills"), in_memory);
    assert!(database.spill_statistics().sort.spills > 20, "{:?}", database.spill_statistics().sort);
}

#[test]
fn without_the_disk_a_stage_past_its_memory_is_refused() {
    let database = open(&filled(1, 300), 20 << 10);
    let session = database.session();
    for stage in STAGES {
        let refused = run(&session, &[stage], None, Some(false));
        assert_eq!(refused.expect_err(stage).code, error_code::QUERY_EXCEEDED_MEMORY_LIMIT, "{stage}");
    }
    assert_eq!(database.spill_statistics().sort, SpillUse::default());
}

#[test]
fn a_full_disk_is_named_and_the_database_goes_on() {
    let faults = FaultVfs::new(filled(2, 300));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let database = open(&vfs, 20 << 10);
    let session = database.session();
    let code = |answer: Result<Vec<String>>, stage: &str| answer.map(drop).expect_err(stage).code;
    for stage in STAGES {
        faults.add_rule("full 1KiB").expect("a rule");
        assert_eq!(
            code(run(&session, &[stage], None, None), stage),
            error_code::OUT_OF_DISK_SPACE,
            "{stage}"
        );
        faults.clear_rules();
        for rule in ["fail create *.spill", "fail write *.spill", "fail read *.spill"] {
            faults.add_rule(rule).expect("a rule");
            let failed = code(run(&session, &[stage], None, None), stage);
            assert_eq!(failed, error_code::FILE_STREAM_FAILED, "{stage}, {rule}");
            faults.clear_rules();
        }
        run(&session, &[stage], None, None).expect(stage);
    }
}

#[test]
fn explain_says_what_went_to_disk() {
    let vfs = filled(3, 300);
    for (memory_bytes, used) in [(20 << 10, true), (100 << 20, false)] {
        let session = open(&vfs, memory_bytes).session();
        for stage in STAGES {
            let stage_document = doc(stage);
            let pipeline = vec![ValueRef::Document(stage_document.as_raw())];
            let operation = AggregateOperation::new(AggregateTarget::Collection(namespace()), pipeline);
            let target = ExplainTarget::Aggregate(operation);
            let verbosity = Verbosity::ExecutionStats;
            let shown = session.explain(&ExplainOperation { target, verbosity }).expect("explains");
            let text = json(shown.as_raw());
            assert!(text.contains(&format!(r#""usedDisk":{used}"#)), "{stage}: {text}");
        }
    }
}

/// One group is never written: it is as large as its accumulators allow, and what they do not allow is an error.
#[test]
fn a_single_group_may_be_larger_than_memory() -> std::result::Result<(), Error> {
    let session = open(&filled(4, 300), 4 << 10).session();
    let all = run(&session, &[r#"{"$group": {"_id": null, "all": {"$push": "$$ROOT"}}}"#], None, None)?;
    assert_eq!(all.len(), 1);
    Ok(())
}

#[test]
fn a_result_is_no_larger_than_a_document_may_be() {
    let session = open(&filled(5, 40), 100 << 20).session();
    let double = r#"{"$set": {"p": {"$concat": ["$p", "$p"]}}}"#;
    let mut stages = vec![r#"{"$match": {"_id": 7}}"#, r#"{"$set": {"p": "0123456789abcdef"}}"#];
    // 16 bytes, doubled twenty-one times: 32 MiB, between stages.
    stages.extend([double; 21]);
    let shown = run(&session, &stages, None, None).expect_err("too large");
    assert_eq!(shown.code, error_code::OBJECT_TOO_LARGE);
    stages.push(r#"{"$project": {"_id": 0, "n": {"$strLenBytes": "$p"}}}"#);
    assert_eq!(run(&session, &stages, None, None).expect("fits"), [r#"{"n": Int32(33554432)}"#]);
}
