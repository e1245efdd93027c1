//! Starting a plan: the snapshot it reads and what its operators share.

use std::time::Duration;

use sheaf_storage::{Snapshot, Timestamp};

use super::Session;
use super::transaction::Binding;
use crate::Result;
use crate::catalog::Collection;
use crate::cursor::Execution;
use crate::executor::ExecutionContext;
use crate::operation::Hint;
use crate::plan::PhysicalPlan;
use crate::planner::QueryCollation;

/// How an execution is started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadOptions {
    pub(crate) max_time: Option<Duration>,
    pub(crate) allow_disk_use: Option<bool>,
}

impl Session {
    /// A snapshot of now or of a time before. What the session is bound to comes first.
    pub(crate) fn snapshot(&self, timestamp: Option<Timestamp>) -> Result<Snapshot> {
        match (&self.binding, timestamp) {
            (Binding::Transaction(open), _) => Ok(open.view()),
            (Binding::Moment(moment), None) => Ok(moment.snapshot.clone()),
            (_, Some(timestamp)) => Ok(self.database().tablet().snapshot_at(timestamp)?),
            (_, None) => Ok(self.database().tablet().snapshot()),
        }
    }

    /// What the operators of an execution share. The snapshot must be taken before the plan is made: the plan then
    /// knows of every array that the snapshot shows.
    pub(crate) fn execution_context(
        &self,
        snapshot: Snapshot,
        collation: &QueryCollation,
        options: ReadOptions,
    ) -> ExecutionContext {
        let database = self.database();
        let mut environment = database.new_environment();
        environment.collator.clone_from(&collation.collator);
        if !database.options().has_cluster_clock {
            environment.cluster_time = None;
        }
        let mut context = ExecutionContext::new(
            std::sync::Arc::clone(&database.options().store.clock),
            snapshot,
            environment,
            collation.document.clone(),
            database.options().operator_memory_bytes_max,
        );
        if options.allow_disk_use.unwrap_or(database.options().allow_disk_use) {
            context.spill = Some(std::sync::Arc::clone(database.spill_space()));
        }
        context.set_time_limit(options.max_time);
        context
    }

    /// Starts a plan at a snapshot for a user.
    pub(crate) fn start(
        &self,
        plan: &PhysicalPlan,
        snapshot: Snapshot,
        collation: &QueryCollation,
        options: ReadOptions,
    ) -> Execution {
        plan.count_usage();
        Execution::new(plan, self.execution_context(snapshot, collation, options))
    }

    /// As [`Session::start`], where nobody uses the answer, but how long it took.
    pub(super) fn start_timed(
        &self,
        plan: &PhysicalPlan,
        snapshot: Snapshot,
        collation: &QueryCollation,
        options: ReadOptions,
    ) -> Execution {
        let mut context = self.execution_context(snapshot, collation, options);
        context.is_timed = true;
        Execution::new(plan, context)
    }
}

/// A hash of what an operation asks for, so that a resume position can be told from another operation's.
#[derive(Clone)]
pub(super) struct Fingerprint(xxhash_rust::xxh3::Xxh3);

impl Fingerprint {
    pub(super) fn new(kind: &str, collection: Option<&Collection>) -> Self {
        let mut fingerprint = Self(xxhash_rust::xxh3::Xxh3::new());
        fingerprint.add(kind.as_bytes());
        if let Some(collection) = collection {
            fingerprint.add(&collection.uuid);
        }
        fingerprint
    }

    /// Adds a part; parts do not run into each other.
    pub(super) fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(super) fn add_document(&mut self, document: Option<sheaf_document::RawDocument<'_>>) -> &mut Self {
        self.add(document.map_or(&[], |document| document.as_bytes()))
    }

    pub(super) fn add_hint(&mut self, hint: Option<Hint<'_>>) -> &mut Self {
        match hint {
            None => self.add(&[]),
            Some(Hint::Name(name)) => self.add(name.as_bytes()),
            Some(Hint::KeyPattern(key)) => self.add(key.as_bytes()),
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.digest()
    }
}
