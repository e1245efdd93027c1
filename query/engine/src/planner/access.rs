//! The access path: how the matching documents of a collection are found.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::Filter;
use sheaf_language::filter::comparison::{Comparison, ComparisonOperator};
use sheaf_language::filter::{Condition, Predicate};

use super::bounded_scan;
use super::candidate::Candidate;
use super::predicate_bounds::conjuncts;
use super::query::{HintChoice, Query};
use crate::catalog::Collection;
use crate::index::{Index, IndexContent};
use crate::key_layout;
use crate::plan::{PhysicalPlan, ScanDirection};
use crate::{Error, Result, error_code};

/// How the matching documents are found, and whether they come in the order of the query's sort.
pub(crate) struct Access {
    pub(crate) plan: PhysicalPlan,
    pub(crate) is_sorted: bool,
}

/// Chooses the access path for a query.
pub(crate) fn choose(collection: &Arc<Collection>, query: &Query) -> Result<Access> {
    if query.filter.text().is_some() && query.hint != HintChoice::None {
        return Err(Error::new(
            error_code::BAD_VALUE,
            "a search of text has its index; a hint cannot name another one",
        ));
    }
    if query.index.has_bounds() {
        return bounded_scan::plan(collection, query);
    }
    let parts = conjuncts(query.filter.predicate());
    if parts.iter().any(|part| matches!(part, Predicate::Constant(false))) {
        return Ok(Access { plan: PhysicalPlan::Empty, is_sorted: true });
    }
    if parts.iter().any(|part| matches!(part, Predicate::Text(_))) {
        return text(collection, query, &parts);
    }
    match &query.hint {
        HintChoice::Natural(direction) => Ok(collection_scan(collection, query, *direction)),
        HintChoice::Index(name) => hinted(collection, query, &parts, name),
        HintChoice::None => {
            // Only a scan knows keys.
            if !query.index.needs_key
                && let Some(lookup) = id_lookup(collection, query, &parts)?
            {
                return Ok(Access { plan: lookup, is_sorted: true });
            }
            let best = best_candidate(collection, query, &parts);
            if best.as_ref().is_none_or(|best| best.narrow_fields == 0)
                && let Some(plan) = union(collection, &parts, &|parts| {
                    best_candidate(collection, query, parts).filter(|best| best.bounded_fields > 0)
                })
            {
                return Ok(Access { plan, is_sorted: false });
            }
            match best {
                Some(best) => Ok(fetch(collection, &parts, best)),
                None => Ok(collection_scan(collection, query, ScanDirection::Forward)),
            }
        }
    }
}

fn collection_scan(collection: &Arc<Collection>, query: &Query, direction: ScanDirection) -> Access {
    let filter = (!query.filter.is_everything()).then(|| Arc::clone(&query.filter));
    let plan =
        PhysicalPlan::CollectionScan { collection: Arc::clone(collection), direction, range: None, filter };
    Access { plan, is_sorted: query.sort.is_none() }
}

fn hinted(collection: &Arc<Collection>, query: &Query, parts: &[&Predicate], name: &str) -> Result<Access> {
    let index = collection.index_named(name);
    if index.is_some_and(|index| !index.has_entries()) {
        return Ok(collection_scan(collection, query, ScanDirection::Forward));
    }
    let candidates = index.map(|index| Candidate::all(collection, index, parts, query, true));
    let candidate = best(candidates.unwrap_or_default().into_iter());
    let only = |parts: &[&Predicate]| {
        let candidates = Candidate::all(collection, index?, parts, query, true);
        best(candidates.into_iter()).filter(|best| best.bounded_fields > 0)
    };
    match candidate {
        Some(candidate) => Ok(fetch(collection, parts, candidate)),
        None if let Some(plan) = union(collection, parts, &only) => Ok(Access { plan, is_sorted: false }),
        None => Err(Error::new(
            error_code::NO_QUERY_EXECUTION_PLANS,
            format!("the index \"{name}\" that the hint names does not hold all documents of this query"),
        )),
    }
}

/// The text index for a search of text, which must not have a field in front of the text that the query leaves open.
fn text(collection: &Arc<Collection>, query: &Query, parts: &[&Predicate]) -> Result<Access> {
    let is_text = |index: &&Arc<Index>| matches!(index.content, IndexContent::Terms(_));
    let Some(index) = collection.indexes.iter().find(is_text).filter(|index| index.has_entries()) else {
        return Ok(collection_scan(collection, query, ScanDirection::Forward));
    };
    match best(Candidate::all(collection, index, parts, query, false).into_iter()) {
        Some(candidate) => Ok(fetch(collection, parts, candidate)),
        None => Err(Error::new(
            error_code::NO_QUERY_EXECUTION_PLANS,
            format!(
                "the text index \"{}\" cannot serve the query: the fields in front of its text need equalities, \
                 and a partial index needs its filter in the query",
                index.specification.name
            ),
        )),
    }
}

/// The lookup for `{_id: value}`, perhaps with more conditions beside it.
fn id_lookup(
    collection: &Arc<Collection>,
    query: &Query,
    parts: &[&Predicate],
) -> Result<Option<PhysicalPlan>> {
    let same_collation = collection.options.collation == query.collation.document;
    for (position, part) in parts.iter().enumerate() {
        let Predicate::Field {
            path,
            condition: Condition::Comparison(Comparison { operator: ComparisonOperator::Equal, operand }),
        } = part
        else {
            continue;
        };
        let is_id = path.as_str() == "_id";
        let is_scalar =
            !matches!(operand, Value::Array(_) | Value::Undefined | Value::Missing | Value::Regex { .. });
        let by_bytes = !matches!(operand, Value::String(_) | Value::Symbol(_) | Value::Document(_));
        let Some(id) = operand.as_ref().filter(|_| is_id && is_scalar && (same_collation || by_bytes)) else {
            continue;
        };
        let rest: Vec<_> =
            parts.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, p)| *p).collect();
        return Ok(Some(PhysicalPlan::IdLookup {
            collection: Arc::clone(collection),
            id: operand.clone(),
            document_key: key_layout::document_key(id, collection.collate())?,
            filter: rest_filter(&rest),
        }));
    }
    Ok(None)
}

fn candidates<'a>(
    collection: &'a Collection,
    query: &'a Query,
    parts: &'a [&Predicate],
) -> impl Iterator<Item = Candidate> + 'a {
    let useful = |candidate: &Candidate| candidate.bounded_fields > 0 || candidate.provides_sort;
    let of = move |index| Candidate::all(collection, index, parts, query, false);
    collection.indexes.iter().flat_map(of).filter(useful)
}

fn best_candidate(collection: &Arc<Collection>, query: &Query, parts: &[&Predicate]) -> Option<Candidate> {
    if let Some(name) = query.preferred.get() {
        let preferred = |candidate: &Candidate| candidate.scan.index.specification.name == name;
        if let Some(found) = best(candidates(collection, query, parts).filter(preferred)) {
            return Some(found);
        }
    }
    best(candidates(collection, query, parts))
}

/// Whether a collection has an index beside another and that on `_id`.
pub(crate) fn may_compete(collection: &Collection) -> bool {
    collection.indexes.len() > 2
}

/// The indexes that may each be the best for a query, by name, the best by rule first; none where there is nothing to
/// choose: a hint, a lookup of one document, a search, a union or a scan of everything.
pub(crate) fn competing(collection: &Arc<Collection>, query: &Query) -> Vec<String> {
    let is_free = query.hint == HintChoice::None && !query.index.has_bounds();
    let is_search = query.filter.text().is_some() || query.filter.near().is_some();
    if !may_compete(collection) || !is_free || is_search {
        return Vec::new();
    }
    let parts = conjuncts(query.filter.predicate());
    let is_nothing = parts.iter().any(|part| matches!(part, Predicate::Constant(false)));
    if is_nothing || !query.index.needs_key && !matches!(id_lookup(collection, query, &parts), Ok(None)) {
        return Vec::new();
    }
    let mut found: Vec<Candidate> = candidates(collection, query, &parts)
        .filter(|candidate| candidate.narrow_fields > 0 || candidate.provides_sort)
        .collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.score()));
    let is_settled =
        |best: &Candidate| best.narrow_fields == 0 || best.is_lookup() || best.scan.ranges.is_empty();
    if found.first().is_none_or(is_settled) {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for candidate in found {
        let name = &candidate.scan.index.specification.name;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The access path of a query, and whether its rows are in the query's order.
pub(crate) fn access_path(collection: &Arc<Collection>, query: &Query) -> Result<(PhysicalPlan, bool)> {
    choose(collection, query).map(|access| (access.plan, access.is_sorted))
}

/// The best of several; of equals the first, which is of the older index.
pub(super) fn best(candidates: impl Iterator<Item = Candidate>) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    for candidate in candidates {
        if best.as_ref().is_none_or(|best| candidate.score() > best.score()) {
            best = Some(candidate);
        }
    }
    best
}

fn fetch(collection: &Arc<Collection>, parts: &[&Predicate], candidate: Candidate) -> Access {
    if candidate.scan.ranges.is_empty() {
        return Access { plan: PhysicalPlan::Empty, is_sorted: true };
    }
    let open: Vec<_> = parts
        .iter()
        .zip(&candidate.settled)
        .filter(|(_, settled)| !**settled)
        .map(|(part, _)| *part)
        .collect();
    let plan = PhysicalPlan::Fetch {
        collection: Arc::clone(collection),
        filter: rest_filter(&open),
        key_of: candidate.scan.with_entries.then(|| Arc::clone(&candidate.scan.index)),
        input: Box::new(PhysicalPlan::IndexScan(candidate.scan)),
    };
    Access { plan, is_sorted: candidate.provides_sort }
}

/// A filter of the conjuncts that are left; none if there are none.
pub(super) fn rest_filter(parts: &[&Predicate]) -> Option<Arc<Filter>> {
    match parts {
        [] => None,
        [only] => Some(Arc::new(Filter::from_predicate((*only).clone()))),
        several => {
            let several = several.iter().map(|part| (*part).clone()).collect();
            Some(Arc::new(Filter::from_predicate(Predicate::And(several))))
        }
    }
}

/// A union of index scans for an `$or` each of whose branches an index serves, as `candidate` says.
fn union(
    collection: &Arc<Collection>,
    parts: &[&Predicate],
    candidate: &dyn Fn(&[&Predicate]) -> Option<Candidate>,
) -> Option<PhysicalPlan> {
    for (position, part) in parts.iter().enumerate() {
        let Predicate::Or(branches) = part else { continue };
        let inputs: Option<Vec<_>> = branches
            .iter()
            .map(|branch| {
                let parts = conjuncts(branch);
                candidate(&parts).map(|best| fetch(collection, &parts, best).plan)
            })
            .collect();
        let Some(inputs) = inputs else { continue };
        let rest: Vec<_> =
            parts.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, p)| *p).collect();
        let union = PhysicalPlan::Union { inputs };
        return Some(match rest_filter(&rest) {
            Some(filter) => PhysicalPlan::Filter { filter, input: Box::new(union) },
            None => union,
        });
    }
    None
}
