//! What a view may be. Its definition is read when it is made or changed, and where it leads is followed.
//!
//! Views and the collections they read make a graph: an edge leads from a view to its base and to whatever its stages
//! join. A definition is refused if it closes a cycle, if some chain of views through it would be longer than
//! [`VIEW_DEPTH_MAX`], or if it reads a view whose strings compare in another way. Names need not exist: they are
//! followed when they do. Readers count depth again, so that nothing here is needed to end.

use std::collections::HashMap;

use sheaf_document::{RawArray, RawDocument, ValueRef};
use sheaf_language::aggregate::{Pipeline, PipelineContext, Place, Stage};
use sheaf_language::expression::Scope;

use super::{CatalogState, Collection, CollectionOptions, collator};
use crate::{Error, Namespace, Result, error_code};

/// Views on views that are followed, as in MongoDB.
pub(crate) const VIEW_DEPTH_MAX: usize = 20;

/// Stages that a definition may begin with though they do not read documents.
const SOURCES_OF_VIEWS: &[&str] = &["$collStats", "$indexStats", "$planCacheStats"];

/// Checks what a view is about to be; collections and time series pass.
pub(super) fn check(state: &CatalogState, namespace: &Namespace, options: &CollectionOptions) -> Result<()> {
    if !options.is_view() {
        return Ok(());
    }
    check_pipeline(options)?;
    let graph = Graph { state, namespace };
    let below = graph.height_of(&names(options), &mut HashMap::new(), 1)?;
    let views = state.collections(namespace.database()).filter(|found| found.options.is_view());
    let mut known = HashMap::new();
    let mut above = 0;
    for view in views {
        above = above.max(graph.distance_from(view, &mut known, 0).unwrap_or(0));
    }
    if above + below > VIEW_DEPTH_MAX {
        return Err(too_deep(namespace));
    }
    check_collations(state, namespace, options)
}

fn too_deep(namespace: &Namespace) -> Error {
    let reason = format!("views would lead to views more than {VIEW_DEPTH_MAX} times through {namespace}");
    Error::new(error_code::VIEW_DEPTH_LIMIT_EXCEEDED, reason)
}

fn check_pipeline(options: &CollectionOptions) -> Result<()> {
    let mut scope = Scope::new();
    scope.set_collator(collator(options.collation.as_ref())?);
    let mut context = PipelineContext { scope: &mut scope, depth: 0, place: Place::View };
    let stages = options.pipeline.iter().flatten().map(|stage| ValueRef::Document(stage.as_raw()));
    let pipeline = Pipeline::parse(stages, &mut context)?;
    let first = pipeline.stages.first().filter(|stage| stage.is_source()).map(Stage::name);
    match first {
        Some(name) if !SOURCES_OF_VIEWS.contains(&name) => Err(Error::new(
            error_code::INVALID_NAMESPACE,
            format!("{name} reads no collection, and a view is one collection's"),
        )),
        _ => Ok(()),
    }
}

fn check_collations(state: &CatalogState, namespace: &Namespace, options: &CollectionOptions) -> Result<()> {
    for name in names(options) {
        let Some(view) = find(state, namespace, &name).filter(|found| found.options.is_view()) else {
            continue;
        };
        if view.options.collation != options.collation {
            let reason = format!("{namespace} reads the view {}, whose collation is another", view.namespace);
            return Err(Error::new(error_code::OPTION_NOT_SUPPORTED_ON_VIEW, reason));
        }
    }
    Ok(())
}

fn find<'s>(state: &'s CatalogState, namespace: &Namespace, name: &str) -> Option<&'s Collection> {
    let namespace = Namespace::new(namespace.database(), name).ok()?;
    state.find(&namespace).map(AsRef::as_ref)
}

/// The graph of views around a name that is about to be one.
struct Graph<'s> {
    state: &'s CatalogState,
    namespace: &'s Namespace,
}

impl Graph<'_> {
    /// Views on the longest chain that begins with one that reads these names. `known` has those of views seen before.
    fn height_of(&self, names: &[String], known: &mut HashMap<String, usize>, depth: usize) -> Result<usize> {
        let mut height = 1;
        for name in names {
            if name == self.namespace.collection() {
                let reason = format!("the view {} would lead back to itself", self.namespace);
                return Err(Error::new(error_code::GRAPH_CONTAINS_CYCLE, reason));
            }
            let Some(view) = find(self.state, self.namespace, name).filter(|found| found.options.is_view())
            else {
                continue;
            };
            if depth >= VIEW_DEPTH_MAX {
                return Err(too_deep(self.namespace));
            }
            let below = match known.get(name) {
                Some(below) => *below,
                None => self.height_of(&self::names(&view.options), known, depth + 1)?,
            };
            known.insert(name.clone(), below);
            height = height.max(below + 1);
        }
        Ok(height)
    }

    /// Edges on the longest chain from a view to the name; nothing if it does not lead there.
    fn distance_from(
        &self,
        view: &Collection,
        known: &mut HashMap<String, Option<usize>>,
        depth: usize,
    ) -> Option<usize> {
        let own = view.namespace.collection();
        if let Some(distance) = known.get(own) {
            return *distance;
        }
        let mut distance = None;
        for name in names(&view.options) {
            let behind = if name == self.namespace.collection() {
                Some(0)
            } else if depth >= VIEW_DEPTH_MAX {
                None
            } else {
                find(self.state, self.namespace, &name)
                    .filter(|found| found.options.is_view())
                    .and_then(|next| self.distance_from(next, known, depth + 1))
            };
            distance = distance.max(behind.map(|behind| behind + 1));
        }
        known.insert(own.to_owned(), distance);
        distance
    }
}

/// The names that a view reads: its base, and what its stages join.
fn names(options: &CollectionOptions) -> Vec<String> {
    let mut found: Vec<String> = options.view_on.iter().cloned().collect();
    for stage in options.pipeline.iter().flatten() {
        push_names(stage.as_raw(), &mut found);
    }
    found
}

/// The names in a stage and in the pipelines inside it. Definitions were read before, so they do not nest too deep.
fn push_names(stage: RawDocument<'_>, found: &mut Vec<String>) {
    for element in stage {
        match (element.key(), element.value()) {
            ("$unionWith", ValueRef::String(name)) => found.push(name.to_owned()),
            ("$lookup" | "$graphLookup" | "$unionWith", ValueRef::Document(argument)) => {
                let name = argument.get("from").or_else(|| argument.get("coll"));
                found.extend(name.and_then(ValueRef::as_str).map(str::to_owned));
                if let Some(ValueRef::Array(stages)) = argument.get("pipeline") {
                    push_names_of(stages, found);
                }
            }
            ("$facet", ValueRef::Document(facets)) => {
                for stages in facets.into_iter().filter_map(|facet| facet.value().as_array()) {
                    push_names_of(stages, found);
                }
            }
            _ => {}
        }
    }
}

fn push_names_of(stages: RawArray<'_>, found: &mut Vec<String>) {
    for stage in stages.iter().filter_map(ValueRef::as_document) {
        push_names(stage, found);
    }
}
