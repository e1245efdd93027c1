//! What the filter of a partial index may ask.

use sheaf_document::RawDocument;
use sheaf_language::Filter;
use sheaf_language::expression::Scope;
use sheaf_language::filter::{Condition, Place, Predicate};

use crate::{Error, Result, error_code};

/// Checks a `partialFilterExpression`: comparisons, `$in`, `$exists: true`, `$type` and shapes that contain, joined by
/// `$and` and `$or`.
pub(super) fn check(filter: RawDocument<'_>) -> Result<()> {
    let filter = Filter::parse(filter, &mut Scope::new())?;
    if is_allowed(filter.predicate()) {
        return Ok(());
    }
    Err(Error::new(
        error_code::CANNOT_CREATE_INDEX,
        "a partialFilterExpression has comparisons, $in, $exists: true, $type, $geoWithin and $geoIntersects, \
         joined by $and and $or, and nothing else",
    ))
}

fn is_allowed(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::And(list) | Predicate::Or(list) => list.iter().all(is_allowed),
        Predicate::Field { condition, .. } => match condition {
            Condition::Comparison(_) | Condition::Exists | Condition::Type(_) => true,
            Condition::In(list) => list.regexes().is_empty(),
            Condition::Place(place) => !matches!(&**place, Place::Near(_)),
            _ => false,
        },
        Predicate::Constant(truth) => *truth,
        _ => false,
    }
}
