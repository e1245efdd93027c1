//! Pipeline stages with the collections they name looked up.

use std::sync::Arc;

use sheaf_language::aggregate::Stage;

use crate::catalog::Collection;

/// A stage whose collections and inner pipelines are resolved.
#[derive(Clone)]
pub(crate) struct PreparedStage {
    /// The stage.
    pub(crate) stage: Arc<Stage>,
    /// The other collection it reads, if it reads one.
    pub(crate) foreign: Option<Arc<Source>>,
    /// Its inner pipelines: one per facet, one of a `$lookup` or `$unionWith` that has one.
    pub(crate) inner: Vec<Arc<[PreparedStage]>>,
}

/// Where documents come from: a collection, behind the stages of the views that lead to it.
#[derive(Clone, Default)]
pub(crate) struct Source {
    /// The collection; none if it does not exist, or if the pipeline makes its own documents.
    pub(crate) collection: Option<Arc<Collection>>,
    /// The views' stages, the innermost view's first.
    pub(crate) stages: Vec<PreparedStage>,
}
