//! Index filters: which indexes the planner may use for queries of a shape.
//!
//! The shape of a query is what it asks without the values it asks for: paths and operators, sort, projection and
//! collation. Filters live as long as the process and their collection; they change which plan is chosen, never an
//! answer. A collection scan is always allowed.

use std::sync::{PoisonError, RwLock};

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::expression::Scope;
use sheaf_language::filter::comparison::ComparisonOperator;
use sheaf_language::filter::{Condition, Place, Predicate};
use sheaf_language::sort::{Direction, SortBy};
use sheaf_language::{Filter, SortSpec};

use super::query::QueryCollation;
use crate::Result;
use crate::catalog::{Collection, same_key};
use crate::index::Index;

/// Indexes by name or by key pattern, as an array.
#[derive(Clone, Debug)]
pub(crate) struct AllowedIndexes(RawDocumentBuf);

impl AllowedIndexes {
    /// Whether an index is among them.
    pub(crate) fn have(&self, index: &Index) -> bool {
        self.0.as_raw().iter().any(|element| match element.value() {
            ValueRef::String(name) => index.specification.name == name,
            ValueRef::Document(key) => same_key(index, key),
            _ => false,
        })
    }
}

/// A query by whose shape a filter goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapeDocuments<'a> {
    pub(crate) query: RawDocument<'a>,
    pub(crate) sort: RawDocument<'a>,
    pub(crate) projection: RawDocument<'a>,
    pub(crate) collation: RawDocument<'a>,
}

impl ShapeDocuments<'_> {
    /// The shape of queries like this on a collection; what is wrong with it is an error.
    pub(crate) fn shape(&self, collection: &Collection) -> Result<String> {
        let collation = QueryCollation::parse(Some(self.collation), Some(collection))?;
        let mut scope = Scope::new();
        scope.set_collator(collation.collator.clone());
        let filter = Filter::parse(self.query, &mut scope)?;
        let sort = match self.sort.is_empty() {
            true => None,
            false => Some(SortSpec::parse(self.sort, &mut scope)?),
        };
        Ok(shape(&filter, sort.as_ref(), Some(self.projection), &collation))
    }
}

/// The filters of a collection.
#[derive(Debug, Default)]
pub(crate) struct IndexFilters {
    /// By shape: the filter as it was given, and what it allows.
    filters: RwLock<Vec<(String, RawDocumentBuf, AllowedIndexes)>>,
}

impl IndexFilters {
    /// Sets the filter of a shape, in the place of one before.
    pub(crate) fn set(&self, shape: String, given: RawDocumentBuf, indexes: RawDocumentBuf) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|(known, ..)| *known != shape);
        filters.push((shape, given, AllowedIndexes(indexes)));
    }

    /// Forgets the filter of a shape, or all.
    pub(crate) fn clear(&self, shape: Option<&str>) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|(known, ..)| shape.is_some_and(|shape| known != shape));
    }

    /// The filters as they were given.
    pub(crate) fn list(&self) -> Vec<RawDocumentBuf> {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        filters.iter().map(|(_, given, _)| given.clone()).collect()
    }

    /// The indexes that a query may use; none if no filter is about it.
    pub(super) fn allowed(
        &self,
        filter: &Filter,
        sort: Option<&SortSpec>,
        projection: Option<RawDocument<'_>>,
        collation: &QueryCollation,
    ) -> Option<AllowedIndexes> {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        if filters.is_empty() {
            return None;
        }
        let asked = shape(filter, sort, projection, collation);
        filters.iter().find(|(known, ..)| *known == asked).map(|(_, _, allowed)| allowed.clone())
    }
}

/// The text of a shape.
pub(super) fn shape(
    filter: &Filter,
    sort: Option<&SortSpec>,
    projection: Option<RawDocument<'_>>,
    collation: &QueryCollation,
) -> String {
    let text = |document: Option<RawDocument<'_>>| {
        let document = document.filter(|document| !document.is_empty());
        document.map_or_else(String::new, |document| crate::value_text::of(ValueRef::Document(document)))
    };
    let sort: Vec<String> = sort.map_or_else(Vec::new, |sort| {
        let part = |part: &sheaf_language::sort::SortPart| match &part.by {
            SortBy::Path(path) if part.direction == Direction::Ascending => format!("{path} 1"),
            SortBy::Path(path) => format!("{path} -1"),
            SortBy::Meta(_) => "$meta".to_owned(),
        };
        sort.parts().iter().map(part).collect()
    });
    format!(
        "{}\n{}\n{}\n{}",
        predicate_shape(filter.predicate()),
        sort.join(","),
        text(projection),
        text(collation.document.as_ref().map(RawDocumentBuf::as_raw))
    )
}

/// Conditions that are joined have one shape in every order.
fn joined(name: &str, list: &[Predicate]) -> String {
    let mut shapes: Vec<String> = list.iter().map(predicate_shape).collect();
    shapes.sort();
    format!("{name}({})", shapes.join(","))
}

fn predicate_shape(predicate: &Predicate) -> String {
    match predicate {
        Predicate::And(list) => joined("and", list),
        Predicate::Or(list) => joined("or", list),
        Predicate::Nor(list) => joined("nor", list),
        Predicate::Not(inner) => format!("not({})", predicate_shape(inner)),
        Predicate::Field { path, condition } => format!("{path:?} {}", condition_shape(condition)),
        Predicate::Expression(_) => "expr".to_owned(),
        Predicate::Schema(_) => "schema".to_owned(),
        Predicate::Text(_) => "text".to_owned(),
        Predicate::Constant(truth) => truth.to_string(),
        Predicate::Sample(_) => "sample".to_owned(),
    }
}

fn condition_shape(condition: &Condition) -> String {
    let name = match condition {
        Condition::Comparison(comparison) => match comparison.operator {
            ComparisonOperator::Equal => "eq",
            ComparisonOperator::Greater => "gt",
            ComparisonOperator::GreaterOrEqual => "gte",
            ComparisonOperator::Less => "lt",
            ComparisonOperator::LessOrEqual => "lte",
        },
        Condition::In(_) => "in",
        Condition::Exists => "exists",
        Condition::Type(_) => "type",
        Condition::Size(_) => "size",
        Condition::ElementDocument(inner) => return format!("elem({})", predicate_shape(inner)),
        Condition::ElementValue(list) => return joined("elem", list),
        Condition::Modulo(_) => "mod",
        Condition::Regex(_) => "regex",
        Condition::Bits(_) => "bits",
        Condition::Place(place) => match &**place {
            Place::Within(_) => "within",
            Place::Intersects(_) => "intersects",
            Place::Near(_) => "near",
        },
    };
    name.to_owned()
}
