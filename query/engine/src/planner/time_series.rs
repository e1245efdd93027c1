//! Which buckets of a time series can have measurements that match a filter.
//!
//! | of measurements                       | of buckets                                 |
//! |---------------------------------------|--------------------------------------------|
//! | a condition on the meta field         | the same, on `meta`: it is the same value  |
//! | time > a (`>=`)                       | `control.max.time` > a (`>=`)              |
//! | time < a (`<=`)                       | `control.min.time` < a (`<=`)              |
//! | time = a                              | min <= a and max >= a                      |
//! | anything else                         | every bucket                               |
//!
//! The measurements are filtered again behind the buckets, so this only has to leave out what cannot match.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::Filter;
use sheaf_language::aggregate::Stage;
use sheaf_language::expression::Scope;
use sheaf_language::filter::comparison::{Comparison, ComparisonOperator};
use sheaf_language::filter::path::FieldPath;
use sheaf_language::filter::{Condition, Predicate};

use super::query::{HintChoice, IndexRequest, Preferred, Query, QueryCollation};
use crate::catalog::TimeSeries;
use crate::plan::PreparedStage;

/// The query on buckets for one on measurements.
pub(crate) fn bucket_query(series: &TimeSeries, query: &Query) -> Query {
    let filter = bucket_predicate(series, query.filter.predicate());
    of_filter(filter, query.collation.clone(), HintChoice::None)
}

/// The query on buckets for a pipeline that begins with unpacking them: what the `$match` stages right behind it say.
pub(super) fn absorb_matches(
    series: &TimeSeries,
    behind: &[&PreparedStage],
    collation: &QueryCollation,
    hint: HintChoice,
) -> Query {
    let filters = behind.iter().map_while(|prepared| match prepared.stage.as_ref() {
        Stage::Match(filter) => Some(filter.predicate()),
        _ => None,
    });
    let parts = filters.filter_map(|predicate| bucket_predicate(series, predicate)).collect::<Vec<_>>();
    let filter = (!parts.is_empty()).then_some(Predicate::And(parts));
    of_filter(filter, collation.clone(), hint)
}

fn of_filter(filter: Option<Predicate>, collation: QueryCollation, hint: HintChoice) -> Query {
    Query {
        filter: Arc::new(filter.map_or_else(Filter::everything, Filter::from_predicate)),
        sort: None,
        projection: None,
        skip: 0,
        limit: None,
        hint,
        collation,
        index: IndexRequest::default(),
        allowed: None,
        preferred: Preferred::default(),
        written: None,
        scope: Scope::new(),
    }
}

/// What a bucket must fulfil to have a measurement that fulfils the predicate; none if nothing can be said.
fn bucket_predicate(series: &TimeSeries, predicate: &Predicate) -> Option<Predicate> {
    match predicate {
        Predicate::And(parts) => {
            let parts: Vec<_> = parts.iter().filter_map(|part| bucket_predicate(series, part)).collect();
            (!parts.is_empty()).then_some(Predicate::And(parts))
        }
        Predicate::Or(branches) => {
            let branches: Option<Vec<_>> =
                branches.iter().map(|branch| bucket_predicate(series, branch)).collect();
            branches.map(Predicate::Or)
        }
        Predicate::Not(inner) => on_meta(series, inner).map(|inner| Predicate::Not(Box::new(inner))),
        Predicate::Field { path, condition } if path.as_str() == series.time_field => {
            on_time(series, condition)
        }
        field @ Predicate::Field { .. } => on_meta(series, field),
        _ => None,
    }
}

/// A condition on the meta field, on buckets: true of a bucket exactly if it is of all its measurements.
fn on_meta(series: &TimeSeries, predicate: &Predicate) -> Option<Predicate> {
    let Predicate::Field { path, condition } = predicate else { return None };
    let path = series.meta_path(path.as_str())?;
    Some(Predicate::Field { path: FieldPath::parse(&path), condition: condition.clone() })
}

fn on_time(series: &TimeSeries, condition: &Condition) -> Option<Predicate> {
    let Condition::Comparison(Comparison { operator, operand }) = condition else { return None };
    if !matches!(operand, Value::DateTime(_)) {
        return None;
    }
    let bound = |which: &str, operator: ComparisonOperator| Predicate::Field {
        path: FieldPath::parse(&format!("control.{which}.{}", series.time_field)),
        condition: Condition::Comparison(Comparison { operator, operand: operand.clone() }),
    };
    Some(match operator {
        ComparisonOperator::Greater | ComparisonOperator::GreaterOrEqual => bound("max", *operator),
        ComparisonOperator::Less | ComparisonOperator::LessOrEqual => bound("min", *operator),
        ComparisonOperator::Equal => Predicate::And(vec![
            bound("min", ComparisonOperator::LessOrEqual),
            bound("max", ComparisonOperator::GreaterOrEqual),
        ]),
    })
}
