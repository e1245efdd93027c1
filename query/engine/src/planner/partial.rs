//! Whether an index that has not all documents has all that a query asks for.

use sheaf_document::Value;
use sheaf_language::Filter;
use sheaf_language::filter::{Condition, Predicate};

use super::predicate_bounds::{Strings, conjuncts, predicate_bounds};
use crate::plan::{FieldBounds, Interval};

/// Whether every document that fulfils `query` fulfils the filter of a partial index. May say no where the answer is yes.
pub(crate) fn implies(query: &[&Predicate], partial: &Filter, strings: Strings<'_>) -> bool {
    conjuncts(partial.predicate()).into_iter().all(|needed| implies_one(query, needed, strings))
}

fn implies_one(query: &[&Predicate], needed: &Predicate, strings: Strings<'_>) -> bool {
    match needed {
        Predicate::Constant(truth) => *truth,
        Predicate::Or(branches) => branches
            .iter()
            .any(|branch| conjuncts(branch).into_iter().all(|needed| implies_one(query, needed, strings))),
        Predicate::Field { path, condition: Condition::Exists } => {
            let not_null = FieldBounds::of(vec![Interval::point(Value::Null)], None).complement(None);
            query_bounds(query, path.as_str(), strings).any(|bounds| bounds.is_within(&not_null, strings.collator))
                || query.iter().any(|asked| {
                    matches!(asked, Predicate::Field { path: other, condition: Condition::Exists } if other == path)
                })
        }
        Predicate::Field { path, .. } => {
            let needed = predicate_bounds(needed, strings);
            let Some(needed) = needed.into_iter().find(|needed| needed.is_exact) else { return false };
            query_bounds(query, path.as_str(), strings)
                .any(|bounds| bounds.is_within(&needed.bounds, strings.collator))
        }
        _ => false,
    }
}

/// The bounds that the query's conjuncts give a path, one by one. Each alone is a condition on *some* value at the
/// path, and so is the partial filter's; that makes containment an implication for arrays too.
fn query_bounds<'q>(
    query: &'q [&Predicate],
    path: &'q str,
    strings: Strings<'q>,
) -> impl Iterator<Item = FieldBounds> + 'q {
    query
        .iter()
        .flat_map(move |predicate| predicate_bounds(predicate, strings))
        .filter(move |found| found.path == path && !found.needs_no_array)
        .map(|found| found.bounds)
}
