//! What is running now, and what was run: the operations with their numbers, and counts and times by collection.
//!
//! Every command enters here and leaves here, so this is cheap: a number, a short copy of the command, one lock for
//! a moment at each end. Nothing of it survives a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf};
use sheaf_engine::Interrupt;

use crate::clock::{Moment, now_millis};

/// Bytes of a command that are kept to be shown; of a longer one only its first field is.
const COMMAND_BYTES_MAX: usize = 1_024;

/// Namespaces that are counted apart; what comes later is counted in the totals only.
const NAMESPACES_MAX: usize = 10_000;

/// What kind of work a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OperationKind {
    Command,
    GetMore,
    Insert,
    Query,
    Remove,
    Update,
}

impl OperationKind {
    /// The kind of a command.
    pub(crate) fn of(command: &str) -> Self {
        match command {
            "find" => Self::Query,
            "getMore" => Self::GetMore,
            "insert" => Self::Insert,
            "update" => Self::Update,
            "delete" => Self::Remove,
            _ => Self::Command,
        }
    }

    /// How `currentOp` and the profiler call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::GetMore => "getmore",
            Self::Insert => "insert",
            Self::Query => "query",
            Self::Remove => "remove",
            Self::Update => "update",
        }
    }

    /// What latencies it counts among.
    const fn latency(self, command: &str) -> Latency {
        match self {
            Self::GetMore | Self::Query => Latency::Reads,
            Self::Insert | Self::Remove | Self::Update => Latency::Writes,
            Self::Command => match command.as_bytes() {
                b"aggregate" | b"count" | b"distinct" => Latency::Reads,
                b"bulkWrite" | b"findAndModify" => Latency::Writes,
                _ => Latency::Commands,
            },
        }
    }
}

/// Classes of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Latency {
    Commands,
    Reads,
    Writes,
}

/// A command that is being run.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its number; numbers begin again after 2^31.
    pub(crate) id: i32,
    /// The connection it came from.
    pub(crate) connection_id: i64,
    /// The command's own name.
    pub(crate) name: &'static str,
    pub(crate) kind: OperationKind,
    /// `database.collection`, or `database.$cmd`.
    pub(crate) namespace: String,
    /// As it was sent, or its first field if it is long.
    pub(crate) command: RawDocumentBuf,
    /// The id of its logical session.
    pub(crate) session: Option<Vec<u8>>,
    /// When it began, in milliseconds since 1970.
    pub(crate) started_millis: i64,
    /// When it began.
    pub(crate) started: Moment,
    /// Ends it.
    pub(crate) interrupt: Interrupt,
}

/// How often, and how long in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) count: u64,
    pub(crate) micros: u64,
}

impl Usage {
    fn add(&mut self, micros: u64) {
        self.count += 1;
        self.micros = self.micros.saturating_add(micros);
    }
}

/// What was done to one collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceUsage {
    /// By kind of operation.
    pub(crate) by_kind: BTreeMap<OperationKind, Usage>,
    pub(crate) reads: Usage,
    pub(crate) writes: Usage,
    pub(crate) commands: Usage,
}

/// What one command adds up to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommandCount {
    pub(crate) total: u64,
    pub(crate) failed: u64,
}

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    last_id: AtomicU32,
    running: Mutex<BTreeMap<i32, Arc<Operation>>>,
    usage: Mutex<HashMap<String, NamespaceUsage>>,
    commands: Mutex<HashMap<&'static str, CommandCount>>,
    totals: Mutex<NamespaceUsage>,
    killed: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Activity {
    /// Begins an operation.
    pub(crate) fn begin(
        &self,
        connection_id: i64,
        name: &'static str,
        database: &str,
        document: RawDocument<'_>,
        session: Option<&[u8]>,
    ) -> Arc<Operation> {
        let number = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & 0x7fff_ffff;
        let operation = Arc::new(Operation {
            id: i32::try_from(number).unwrap_or(i32::MAX),
            connection_id,
            name,
            kind: OperationKind::of(name),
            namespace: namespace(name, database, document),
            command: shown(document, database),
            session: session.map(<[u8]>::to_vec),
            started_millis: now_millis(),
            started: Moment::now(),
            interrupt: Interrupt::default(),
        });
        lock(&self.running).insert(operation.id, Arc::clone(&operation));
        operation
    }

    /// Ends an operation; says how long it took.
    pub(crate) fn end(&self, operation: &Operation, failed: bool) -> Duration {
        lock(&self.running).remove(&operation.id);
        let took = operation.started.elapsed();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let count = &mut *lock(&self.commands);
        let count = count.entry(operation.name).or_default();
        count.total += 1;
        count.failed += u64::from(failed);
        add(&mut lock(&self.totals), operation, micros);
        let mut usage = lock(&self.usage);
        if let Some(known) = usage.get_mut(&operation.namespace) {
            add(known, operation, micros);
        } else if usage.len() < NAMESPACES_MAX {
            add(usage.entry(operation.namespace.clone()).or_default(), operation, micros);
        }
        took
    }

    /// The operations that run now, oldest first.
    pub(crate) fn running(&self) -> Vec<Arc<Operation>> {
        lock(&self.running).values().cloned().collect()
    }

    /// Interrupts an operation; says whether it was there.
    pub(crate) fn kill(&self, id: i32) -> bool {
        let Some(operation) = lock(&self.running).get(&id).cloned() else { return false };
        operation.interrupt.fire();
        self.killed.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Interrupts the operations of a logical session.
    pub(crate) fn kill_session(&self, session: &[u8]) {
        for operation in self.running() {
            if operation.session.as_deref() == Some(session) {
                operation.interrupt.fire();
            }
        }
    }

    /// Operations that were interrupted.
    pub(crate) fn killed(&self) -> u64 {
        self.killed.load(Ordering::Relaxed)
    }

    /// How often a command was run, and how often it failed.
    pub(crate) fn command_count(&self, name: &str) -> CommandCount {
        lock(&self.commands).get(name).copied().unwrap_or_default()
    }

    /// What was done, by namespace, in its order.
    pub(crate) fn usage(&self) -> BTreeMap<String, NamespaceUsage> {
        lock(&self.usage).iter().map(|(name, usage)| (name.clone(), usage.clone())).collect()
    }

    /// What was done to one namespace.
    pub(crate) fn usage_of(&self, namespace: &str) -> NamespaceUsage {
        lock(&self.usage).get(namespace).cloned().unwrap_or_default()
    }

    /// What was done to all.
    pub(crate) fn totals(&self) -> NamespaceUsage {
        lock(&self.totals).clone()
    }
}

fn add(usage: &mut NamespaceUsage, operation: &Operation, micros: u64) {
    usage.by_kind.entry(operation.kind).or_default().add(micros);
    match operation.kind.latency(operation.name) {
        Latency::Commands => usage.commands.add(micros),
        Latency::Reads => usage.reads.add(micros),
        Latency::Writes => usage.writes.add(micros),
    }
}

/// What a command is about: the collection its first field names, that of a cursor, or the database's commands.
fn namespace(name: &str, database: &str, document: RawDocument<'_>) -> String {
    let collection = match name {
        "getMore" => document.get("collection"),
        "explain" => document
            .first()
            .and_then(|first| first.value().as_document())
            .and_then(|inner| inner.first())
            .map(|first| first.value()),
        _ => document.first().map(|first| first.value()),
    };
    match collection.and_then(|value| value.as_str()) {
        Some(collection) if name == "renameCollection" => collection.to_owned(),
        Some(collection) => format!("{database}.{collection}"),
        None if name == "aggregate" => format!("{database}.$cmd.aggregate"),
        None => format!("{database}.$cmd"),
    }
}

/// The command as it is shown: what is about a password is left out, and what is long.
fn shown(document: RawDocument<'_>, database: &str) -> RawDocumentBuf {
    let mut out = DocumentBuilder::with_capacity(document.len_bytes().min(COMMAND_BYTES_MAX) + 64);
    if document.len_bytes() <= COMMAND_BYTES_MAX {
        for element in document {
            if element.key() == "pwd" {
                out.append("pwd", "xxx");
            } else if element.key() != "$db" {
                out.append_element(element);
            }
        }
    } else if let Some(first) = document.first() {
        if first.value().as_document().is_none() {
            out.append_element(first);
        }
        out.append("$truncated", format!("{} bytes", document.len_bytes()));
    }
    out.append("$db", database);
    out.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &str, text: &str) -> RawDocumentBuf {
        let mut out = DocumentBuilder::new();
        out.append(name, text).append("pwd", "secret");
        out.build()
    }

    #[test]
    fn operations_are_counted_and_can_be_killed() {
        let activity = Activity::default();
        let document = command("find", "users");
        let operation = activity.begin(1, "find", "shop", document.as_raw(), None);
        let other = activity.begin(1, "find", "shop", document.as_raw(), None);
        assert_ne!(operation.id, other.id);
        activity.end(&other, false);
        assert_eq!(operation.namespace, "shop.users");
        assert_eq!(operation.command.as_raw().get("pwd").and_then(|value| value.as_str()), Some("xxx"));
        assert_eq!(activity.running().len(), 1);
        assert!(activity.kill(operation.id));
        assert!(operation.interrupt.is_fired());
        activity.end(&operation, true);
        assert!(!activity.kill(operation.id));
        let usage = activity.usage_of("shop.users");
        assert_eq!((usage.reads.count, usage.writes.count), (2, 0));
        assert_eq!(activity.command_count("find").failed, 1);
        assert_eq!(activity.killed(), 1);
    }

    #[test]
    fn a_long_command_is_cut() {
        let long = command("insert", &"x".repeat(2 * COMMAND_BYTES_MAX));
        let cut = shown(long.as_raw(), "shop");
        assert!(cut.as_raw().get("$truncated").is_some());
        assert!(cut.as_raw().get("pwd").is_none());
    }
}
