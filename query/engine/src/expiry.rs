//! Documents that expire (TTL): which they are, and deleting them.
//!
//! A pass goes over every collection. What expires is found by the index that says so (`expireAfterSeconds`), of a
//! clustered collection by `_id`, and deleted like any other documents: part by part, each part in a transaction that
//! looks at the newest version again. Only dates expire; of an array the earliest one counts, a document without a date
//! stays. A pass that was stopped, or that failed in one collection, leaves the rest to the next.
//!
//! The database's own thread ([`monitor`]) runs a pass from time to time; [`Database::delete_expired`] runs one by call.

mod monitor;
mod target;

pub(crate) use monitor::ExpiryMonitor;

use std::time::Duration;

use self::target::Target;
use crate::planner::{Query, QueryOptions};
use crate::{Database, Error, Namespace, Result};

/// Time between two passes, as in MongoDB.
pub const TTL_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// Documents that one target loses before the next target gets its turn. A pass comes back to it until none are left.
const DOCUMENTS_PER_TURN_MAX: u64 = 50_000;

/// What became of a pass.
#[derive(Clone, Debug, Default)]
pub struct ExpiryPass {
    /// Documents that were deleted.
    pub deleted: u64,
    /// Rounds over the targets.
    pub rounds: u64,
    /// Indexes that say when documents expire but are of a kind that cannot find them.
    pub unusable_indexes: u64,
    /// Where it failed, and why.
    pub failures: Vec<(Namespace, Error)>,
}

/// What all passes since the database was opened did.
#[derive(Clone, Debug, Default)]
pub struct ExpiryStatistics {
    /// Passes that came to their end.
    pub passes: u64,
    /// Rounds over the targets.
    pub rounds: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// Indexes that could not be used, counted in every pass.
    pub unusable_indexes: u64,
    /// Targets that failed, counted in every pass.
    pub failures: u64,
    /// Why the last of them failed.
    pub last_failure: Option<Error>,
}

impl ExpiryStatistics {
    fn count(&mut self, pass: &ExpiryPass) {
        self.passes = self.passes.saturating_add(1);
        self.rounds = self.rounds.saturating_add(pass.rounds);
        self.deleted = self.deleted.saturating_add(pass.deleted);
        self.unusable_indexes = self.unusable_indexes.saturating_add(pass.unusable_indexes);
        self.failures = self.failures.saturating_add(u64::try_from(pass.failures.len()).unwrap_or(0));
        if let Some((_, error)) = pass.failures.last() {
            self.last_failure = Some(error.clone());
        }
    }
}

impl Database {
    /// Deletes what has expired by the clock of the options, in every collection.
    pub fn delete_expired(&self) -> ExpiryPass {
        let mut pass = ExpiryPass::default();
        let mut targets = Vec::new();
        let state = self.catalog().state();
        for name in state.databases() {
            for collection in state.collections(name) {
                pass.unusable_indexes += target::collect(collection, &mut targets);
            }
        }
        drop(state);
        let is_stopped = || self.expiry().is_stopped();
        while !targets.is_empty() && !is_stopped() {
            pass.rounds += 1;
            targets.retain(|target| match self.delete_some(target) {
                Ok(deleted) => {
                    pass.deleted += deleted;
                    deleted >= DOCUMENTS_PER_TURN_MAX
                }
                Err(error) => {
                    pass.failures.push((target.collection.namespace.clone(), error));
                    false
                }
            });
        }
        self.expiry().count(&pass);
        pass
    }

    /// What the passes since the database was opened did.
    pub fn expiry_statistics(&self) -> ExpiryStatistics {
        self.expiry().statistics()
    }

    /// How often the database runs a pass by itself, and whether it does.
    pub fn expiry_schedule(&self) -> (Duration, bool) {
        self.expiry().schedule()
    }

    /// Changes how often the database runs a pass by itself, and whether it does.
    pub fn set_expiry_schedule(&self, interval: Duration, is_enabled: bool) {
        self.expiry().set_schedule(interval, is_enabled);
    }

    fn delete_some(&self, target: &Target) -> Result<u64> {
        let Some(filter) = target.filter(self.now_millis()) else { return Ok(0) };
        let options = QueryOptions::new(filter.as_raw(), target.hint(), Default::default());
        let query = Query::parse(&options, Some(&target.collection))?;
        let session = self.session();
        let is_over = |deleted: u64| deleted >= DOCUMENTS_PER_TURN_MAX || self.expiry().is_stopped();
        session.delete_matches(&target.collection, &query, &is_over)
    }
}
