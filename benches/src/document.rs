//! Documents, in process: a database in a temporary directory, one thread.
//!
//! The documents are those of [`crate::corpus`], about 1 KB, in a collection with three secondary indexes. Every query's
//! answer is checked against what the corpus says; a wrong one ends the run.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::IndexSpecification;
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, CreateIndexesOperation, DeleteOperation, FindOperation,
    InsertOperation, UpdateOperation,
};
use sheaf_engine::{Cursor, Database, DatabaseOptions, Durability, Namespace, Session};

use crate::arguments::Arguments;
use crate::corpus::{self, CITIES, LEVELS, SCORES, account, congruent, integer, nested, one};
use crate::evaluation;
use crate::meter::{Figures, measure, mix};
use crate::report::Report;

const BATCH: u64 = 1_000;
/// Documents that a sorted range returns.
const TOP: u64 = 20;
/// As long as it takes: a row that has to be complete.
const UNLIMITED_SECONDS: f64 = 24.0 * 3_600.0;

struct Run {
    documents: u64,
    seconds: f64,
    session: Session,
    collection: Namespace,
    report: Report,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads an answer to its end; the number of documents.
fn drain(mut cursor: Cursor) -> Result<u64, String> {
    let mut count = 0;
    while !cursor.is_exhausted() {
        let batch = cursor.next_batch(1_000, 1 << 20).map_err(text)?;
        count += batch.documents.len() as u64;
        std::hint::black_box(&batch);
    }
    Ok(count)
}

fn expect(what: &str, found: u64, expected: u64) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("wrong answer: {what}: {found}, not {expected}")) }
}

impl Run {
    /// A new collection with its indexes.
    fn create(&self, name: &str) -> Result<Namespace, String> {
        let namespace = Namespace::new("bench", name).map_err(text)?;
        let indexes = ["account", "city", "score"]
            .iter()
            .map(|field| IndexSpecification::new(one(field, 1).as_raw()).map_err(text))
            .collect::<Result<_, _>>()?;
        let operation = CreateIndexesOperation { namespace: namespace.clone(), indexes };
        self.session.create_indexes(&operation).map_err(text)?;
        Ok(namespace)
    }

    fn insert(
        &self,
        into: &Namespace,
        documents: &[RawDocumentBuf],
        durability: Durability,
    ) -> Result<(), String> {
        let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
        let mut operation = InsertOperation::new(into.clone(), raw);
        operation.durability = Some(durability);
        let outcome = self.session.insert(&operation).map_err(text)?;
        expect("inserted", outcome.inserted, documents.len() as u64)
    }

    fn inserts(&mut self) -> Result<(), String> {
        for (name, durability) in [("written", Durability::Async), ("synced", Durability::Sync)] {
            let into = self.create(name)?;
            let figures = measure(1, self.documents, self.seconds, |_, number| {
                self.insert(&into, &[corpus::document(number, self.documents)], durability)
            })?;
            self.report.operations(&format!("insert, {name}"), 1, &figures, 1);
            self.session.drop_collection(&into).map_err(text)?;
        }
        self.collection = self.create("documents")?;
        let batches = self.documents.div_ceil(BATCH);
        let figures = measure(1, batches, UNLIMITED_SECONDS, |_, batch| {
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(self.documents);
            let documents: Vec<_> = numbers.map(|number| corpus::document(number, self.documents)).collect();
            self.insert(&self.collection, &documents, Durability::Async)
        })?;
        self.report.operations("insert, batches of 1,000, written", 1, &figures, BATCH);
        self.session.database().store().tablet().flush().map_err(text)
    }

    fn find(&self, filter: &RawDocumentBuf) -> Result<u64, String> {
        drain(self.session.find(&FindOperation::new(self.collection.clone(), filter.as_raw())).map_err(text)?)
    }

    fn top(&self, from: u64) -> Result<(), String> {
        let (filter, sort) = (nested("score", "$gte", integer(from)), one("score", 1));
        let mut operation = FindOperation::new(self.collection.clone(), filter.as_raw());
        operation.sort = Some(sort.as_raw());
        operation.limit = Some(TOP);
        expect("range", drain(self.session.find(&operation).map_err(text)?)?, TOP)
    }

    fn queries(&mut self) -> Result<(), String> {
        let (documents, seconds) = (self.documents, self.seconds);
        let figures = measure(1, u64::MAX, seconds, |_, number| {
            let id = mix(number) % documents;
            expect("get", self.find(&one("_id", integer(id)))?, 1)
        })?;
        self.report.operations("get by _id", 1, &figures, 1);
        let figures = measure(1, u64::MAX, seconds, |_, number| {
            let account = account(mix(number) % documents, documents);
            let expected = congruent(documents, account, corpus::accounts(documents));
            expect("account", self.find(&one("account", integer(account)))?, expected)
        })?;
        self.report.operations("find by secondary index (10 docs)", 1, &figures, corpus::ACCOUNT_DOCUMENTS);
        // From the lower half, so that 20 documents are left above.
        let figures = measure(1, u64::MAX, seconds, |_, number| self.top(mix(number) % (SCORES / 2)))?;
        self.report.operations("range, sort, limit 20 (indexed)", 1, &figures, TOP);
        let figures = measure(1, u64::MAX, seconds, |_, number| {
            let level = number % LEVELS;
            let found = self.find(&one("profile.level", integer(level)))?;
            expect("scan", found, congruent(documents, level, LEVELS))
        })?;
        self.report.operations("scan with filter (all docs, 1 % found)", 1, &figures, documents);
        Ok(())
    }

    fn pipeline(&self, stages: &str, expected: u64) -> Result<Figures, String> {
        let parsed =
            sheaf_document::json::parse_document(&format!("{{\"stages\": {stages}}}")).map_err(text)?;
        let Some(ValueRef::Array(stages)) = parsed.as_raw().get("stages") else {
            return Err("a pipeline is an array".to_owned());
        };
        let target = AggregateTarget::Collection(self.collection.clone());
        let operation = AggregateOperation::new(target, stages.iter().collect());
        measure(1, u64::MAX, self.seconds, |_, _| {
            expect("pipeline", drain(self.session.aggregate(&operation).map_err(text)?)?, expected)
        })
    }

    fn pipelines(&mut self) -> Result<(), String> {
        let figures = self.pipeline(
            r#"[{"$group": {"_id": "$city", "sum": {"$sum": "$score"}, "average": {"$avg": "$balance"}}}]"#,
            CITIES,
        )?;
        self.report.operations("group by, $sum and $avg (all docs)", 1, &figures, self.documents);
        let figures = self.pipeline(
            r#"[{"$project": {
                "a": {"$add": ["$score", 1]}, "b": {"$multiply": ["$balance", 2]},
                "c": {"$concat": ["$city", "/", "$profile.language"]}, "d": {"$gt": ["$score", 500000]},
                "e": {"$size": "$tags"}}}]"#,
            self.documents,
        )?;
        self.report.operations("project 5 computed fields (all docs)", 1, &figures, self.documents);
        Ok(())
    }

    fn changes(&mut self) -> Result<(), String> {
        let increment = nested("$inc", "visits", 1_i64);
        let figures = measure(1, u64::MAX, self.seconds, |_, number| {
            let id = one("_id", integer(mix(number) % self.documents));
            let change = ValueRef::Document(increment.as_raw());
            let mut operation = UpdateOperation::new(self.collection.clone(), id.as_raw(), change);
            operation.durability = Some(Durability::Async);
            expect("updated", self.session.update(&operation).map_err(text)?.modified, 1)
        })?;
        self.report.operations("update $inc by _id, written", 1, &figures, 1);
        let deleted = AtomicU64::new(0);
        let figures = measure(1, self.documents, self.seconds, |_, number| {
            let id = one("_id", integer(number));
            let mut operation = DeleteOperation::new(self.collection.clone(), id.as_raw());
            operation.durability = Some(Durability::Async);
            let outcome = self.session.delete(&operation).map_err(text)?;
            deleted.fetch_add(outcome.deleted, Ordering::Relaxed);
            expect("deleted", outcome.deleted, 1)
        })?;
        self.report.operations("delete by _id, written", 1, &figures, 1);
        let left = self.find(&RawDocumentBuf::new())?;
        expect("left at the end", left, self.documents - deleted.into_inner())
    }
}

/// The suite: `--n DOCUMENTS --secs SECONDS_A_ROW`.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let arguments = Arguments::parse(arguments)?;
    println!("{} documents of about 1 KB, {} s a row", arguments.documents, arguments.seconds);
    let directory = tempfile::tempdir().map_err(text)?;
    let mut options = DatabaseOptions::default();
    options.store.cache_bytes = 1_536 << 20;
    options.store.memtable_bytes = 64 << 20;
    let database = Database::open(directory.path().join("db"), options).map_err(text)?;
    let mut run = Run {
        documents: arguments.documents,
        seconds: arguments.seconds,
        session: database.session(),
        collection: Namespace::new("bench", "documents").map_err(text)?,
        report: Report::default(),
    };
    evaluation::rows(&mut run.report, run.seconds)?;
    run.inserts()?;
    run.queries()?;
    run.pipelines()?;
    run.changes()?;
    database.close().map_err(text)?;
    run.report.finish();
    Ok(())
}
