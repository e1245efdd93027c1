//! What an evaluation may know besides the document: everything the outside world would otherwise have to be asked.

use std::sync::Arc;

use sheaf_document::{Collate, RawDocumentBuf, Timestamp, Value};

use super::scope::VariableId;

/// Bytes that one value made by an expression may take: 100 MiB.
pub const VALUE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// What the plan knows about the current document besides its fields, for `$meta`.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "named as in $meta")]
pub struct Metadata {
    pub text_score: Option<f64>,
    pub search_score: Option<f64>,
    pub vector_search_score: Option<f64>,
    pub score: Option<f64>,
    pub score_details: Option<Value<'static>>,
    pub random: Option<f64>,
    pub geo_distance: Option<f64>,
    pub geo_point: Option<Value<'static>>,
    pub record_id: Option<i64>,
    pub index_key: Option<RawDocumentBuf>,
    pub sort_key: Option<Value<'static>>,
}

/// One query's surroundings. Built once per query by whoever runs it; nothing in here is read from the system.
#[derive(Clone)]
pub struct Environment {
    /// `$$NOW`, in milliseconds since the Unix epoch.
    pub now_millis: i64,
    /// `$$CLUSTER_TIME`, where there is one.
    pub cluster_time: Option<Timestamp>,
    /// How strings compare; binary order if absent.
    pub collator: Option<Arc<dyn Collate>>,
    /// `$$USER_ROLES`: an array of documents.
    pub user_roles: Value<'static>,
    /// About the current document.
    pub metadata: Metadata,
    /// Bytes that one computed value may take.
    pub value_bytes_max: usize,
    variables: Vec<Value<'static>>,
    random: u64,
}

impl Environment {
    /// Surroundings with binary string order. `random_seed` decides what `$rand` gives.
    pub fn new(now_millis: i64, random_seed: u64) -> Self {
        Self {
            now_millis,
            cluster_time: None,
            collator: None,
            user_roles: Value::array(Vec::new()),
            metadata: Metadata::default(),
            value_bytes_max: VALUE_BYTES_MAX,
            variables: Vec::new(),
            random: random_seed,
        }
    }

    /// How strings compare.
    pub fn collate(&self) -> Option<&dyn Collate> {
        self.collator.as_deref()
    }

    /// Gives a variable of [`Scope::define_variable`](super::Scope::define_variable) its value.
    pub fn set_variable(&mut self, id: VariableId, value: Value<'static>) {
        if self.variables.len() <= id.0 {
            self.variables.resize(id.0 + 1, Value::Missing);
        }
        if let Some(slot) = self.variables.get_mut(id.0) {
            *slot = value;
        }
    }

    /// The value of a variable; missing before it was given one.
    pub fn variable(&self, id: VariableId) -> &Value<'static> {
        self.variables.get(id.0).unwrap_or(&Value::Missing)
    }

    /// The next random number in `[0, 1)` (splitmix64, Steele, Lea and Flood 2014).
    pub fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        // 53 bits fill the fraction of a double exactly.
        (bits >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("now_millis", &self.now_millis)
            .field("cluster_time", &self.cluster_time)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}
