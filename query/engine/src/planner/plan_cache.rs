//! Plans that were chosen before, by the shape of their query.
//!
//! Where several indexes narrow a query, they are tried out on what the query asks for (`session/choice.rs`). What won is
//! kept for queries of the same shape:
//!
//! | entry of the shape | a query of that shape |
//! |---|---|
//! | none | is tried out; the winner is kept, not yet active |
//! | not active | is tried out; a winner that took no more works than the entry says is active, else the entry may take twice as many |
//! | active | uses the entry; if it takes ten times its works, the entry is not active any more |
//!
//! A cache belongs to one state of a collection: a change of its indexes begins an empty one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value};

use super::query::Query;
use crate::catalog::Collection;
use crate::plan::explain::number;

/// Most entries of a collection; the one that was not used for longest makes room.
pub(crate) const ENTRIES_MAX: usize = 1_000;

/// How many times its works an execution may take before its entry is doubted.
const STRAY_RATIO: u64 = 10;

/// Entries by shape.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    inner: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<String, CachedPlan>,
    uses: u64,
}

/// How an index did on a query.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) index: String,
    /// Entries looked at, and one for noticing the end.
    pub(crate) works: u64,
    pub(crate) returned: u64,
    pub(crate) keys: u64,
    pub(crate) documents: u64,
    pub(crate) micros: u64,
    /// What each operator did, as explain shows it.
    pub(crate) stages: RawDocumentBuf,
    /// The more the better.
    pub(crate) score: f64,
}

/// A plan that was chosen.
#[derive(Clone, Debug)]
pub(crate) struct CachedPlan {
    /// The query as it was written: `{query, sort, projection, collation?}`.
    pub(crate) created_from: RawDocumentBuf,
    /// The index that won.
    pub(crate) index: String,
    /// What it took.
    pub(crate) works: u64,
    pub(crate) is_active: bool,
    pub(crate) created_millis: i64,
    pub(crate) has_index_filter: bool,
    pub(crate) hashes: ShapeHashes,
    /// The plan as explain shows it.
    pub(crate) plan: RawDocumentBuf,
    /// All that were tried, the winner first.
    pub(crate) trials: Vec<Trial>,
    last_use: u64,
}

/// What clients know a shape by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShapeHashes {
    /// Of the shape: 8 hexadecimal digits.
    pub(crate) shape: String,
    /// Of the shape and the indexes there are.
    pub(crate) key: String,
}

impl ShapeHashes {
    pub(crate) fn of(shape: &str, collection: &Collection) -> Self {
        let mut key = xxhash_rust::xxh3::Xxh3::new();
        key.update(shape.as_bytes());
        for index in collection.indexes.iter().filter(|index| !index.specification.hidden) {
            key.update(&index.id.0.to_le_bytes());
        }
        let digits = |hash: u64| format!("{:08X}", hash >> 32);
        Self { shape: digits(xxhash_rust::xxh3::xxh3_64(shape.as_bytes())), key: digits(key.digest()) }
    }

    /// Appends `queryHash`, `planCacheShapeHash` and `planCacheKey`.
    pub(crate) fn append(&self, out: &mut DocumentBuilder) {
        out.append("queryHash", self.shape.as_str());
        out.append("planCacheShapeHash", self.shape.as_str());
        out.append("planCacheKey", self.key.as_str());
    }
}

/// An execution of a cached plan that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) cache: Arc<PlanCache>,
    pub(crate) shape: String,
    pub(crate) works: u64,
}

impl Watch {
    /// Whether so many entries are far more than the entry promised.
    pub(crate) fn is_stray(&self, keys: u64) -> bool {
        keys > self.works.saturating_mul(STRAY_RATIO)
    }

    /// Doubts the entry.
    pub(crate) fn doubt(&self) {
        if let Some(entry) = self.cache.lock().entries.get_mut(&self.shape) {
            entry.is_active = false;
        }
    }
}

impl PlanCache {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // The map is consistent between any two statements, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a shape's active entry, and what watches its use.
    pub(crate) fn active(self: &Arc<Self>, shape: &str) -> Option<(String, Watch)> {
        let mut known = self.lock();
        known.uses += 1;
        let now = known.uses;
        let entry = known.entries.get_mut(shape).filter(|entry| entry.is_active)?;
        entry.last_use = now;
        let watch = Watch { cache: Arc::clone(self), shape: shape.to_owned(), works: entry.works };
        Some((entry.index.clone(), watch))
    }

    /// The index of a shape's active entry, for those who only look.
    pub(crate) fn active_index(&self, shape: &str) -> Option<String> {
        let known = self.lock();
        known.entries.get(shape).filter(|entry| entry.is_active).map(|entry| entry.index.clone())
    }

    /// Notes what a query of a shape chose.
    pub(crate) fn note(&self, shape: String, mut chosen: CachedPlan) {
        let mut known = self.lock();
        known.uses += 1;
        chosen.last_use = known.uses;
        match known.entries.get_mut(&shape) {
            Some(entry) if chosen.works <= entry.works => {
                chosen.is_active = true;
                *entry = chosen;
            }
            Some(entry) => {
                entry.works = entry.works.saturating_mul(2);
                entry.is_active = false;
            }
            None => {
                if known.entries.len() >= ENTRIES_MAX {
                    let oldest = known.entries.iter().min_by_key(|(_, entry)| entry.last_use);
                    if let Some(oldest) = oldest.map(|(shape, _)| shape.clone()) {
                        known.entries.remove(&oldest);
                    }
                }
                known.entries.insert(shape, chosen);
            }
        }
    }

    /// Forgets a shape, or all.
    pub(crate) fn clear(&self, shape: Option<&str>) {
        let mut known = self.lock();
        match shape {
            Some(shape) => drop(known.entries.remove(shape)),
            None => known.entries.clear(),
        }
    }

    /// The entries as `$planCacheStats` shows them.
    pub(crate) fn list(&self, host: &str) -> Vec<RawDocumentBuf> {
        self.lock().entries.iter().map(|(shape, entry)| entry.document(shape, host)).collect()
    }
}

impl CachedPlan {
    /// An entry that is not active yet, for the winner of some trials.
    pub(crate) fn new(
        query: &Query,
        hashes: ShapeHashes,
        plan: RawDocumentBuf,
        trials: Vec<Trial>,
        created_millis: i64,
    ) -> Option<Self> {
        let winner = trials.first()?;
        Some(Self {
            created_from: query.written.clone().unwrap_or_default(),
            index: winner.index.clone(),
            works: winner.works,
            is_active: false,
            created_millis,
            has_index_filter: query.allowed.is_some(),
            hashes,
            plan,
            trials,
            last_use: 0,
        })
    }

    fn size_bytes(&self, shape: &str) -> usize {
        let trial = |trial: &Trial| size_of::<Trial>() + trial.index.len() + trial.stages.as_bytes().len();
        let trials: usize = self.trials.iter().map(trial).sum();
        let documents = self.created_from.as_bytes().len() + self.plan.as_bytes().len();
        size_of::<Self>() + shape.len() + documents + trials
    }

    fn document(&self, shape: &str, host: &str) -> RawDocumentBuf {
        let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut out = DocumentBuilder::new();
        out.append("version", "1");
        self.hashes.append(&mut out);
        out.append("isActive", self.is_active).append("works", long(self.works));
        out.append_value("timeOfCreation", &Value::DateTime(self.created_millis));
        out.append("createdFromQuery", self.created_from.as_raw());
        out.append("cachedPlan", self.plan.as_raw());
        out.array("creationExecStats", |list| {
            for trial in &self.trials {
                list.document(|stats| {
                    stats.append("nReturned", number(trial.returned));
                    stats.append("executionTimeMillisEstimate", number(trial.micros / 1_000));
                    stats.append("totalKeysExamined", number(trial.keys));
                    stats.append("totalDocsExamined", number(trial.documents));
                    stats.append("executionStages", trial.stages.as_raw());
                });
            }
        });
        out.array("candidatePlanScores", |list| {
            for trial in &self.trials {
                list.push(trial.score);
            }
        });
        out.append("indexFilterSet", self.has_index_filter);
        let bytes = u64::try_from(self.size_bytes(shape)).unwrap_or(u64::MAX);
        out.append("estimatedSizeBytes", long(bytes)).append("host", host);
        out.build()
    }
}

/// The query as it was written, as entries show it.
pub(crate) fn written(
    query: RawDocument<'_>,
    sort: Option<RawDocument<'_>>,
    projection: Option<RawDocument<'_>>,
    collation: Option<RawDocument<'_>>,
) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.append("query", query);
    out.append("sort", sort.unwrap_or(RawDocument::EMPTY));
    out.append("projection", projection.unwrap_or(RawDocument::EMPTY));
    if let Some(collation) = collation.filter(|collation| !collation.is_empty()) {
        out.append("collation", collation);
    }
    out.build()
}
