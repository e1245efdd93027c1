//! Accumulators: what `$group`, `$bucket` and window functions make of many values.
//!
//! An [`AccumulatorSpec`] is read once. Each group starts an [`Accumulator`] from it, adds documents, and finishes to
//! one value. Each says how many bytes it holds, so that whoever groups can spill.

mod distinct;
pub(crate) mod number;
mod parse;
pub(crate) mod percentile;
mod ranked;
mod saved;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, compare};

use crate::expression::{Environment, Expression, heap_bytes};
use crate::sort::{SortKey, SortSpec};
use crate::{Error, ErrorCode, Result};

use distinct::DistinctValues;
use number::{Deviation, Sum};
use percentile::Percentiles;
use ranked::Ranked;
use saved::item_bytes;

/// A compiled accumulator.
#[derive(Clone)]
pub struct AccumulatorSpec {
    kind: Kind,
    argument: Expression,
}

/// Which accumulator, with its own arguments.
#[derive(Clone)]
enum Kind {
    AddToSet,
    Average,
    Bottom(SortSpec),
    BottomN(SortSpec, Expression),
    ConcatArrays,
    Count,
    First,
    FirstN(Expression),
    Last,
    LastN(Expression),
    Max,
    MaxN(Expression),
    Median,
    MergeObjects,
    Min,
    MinN(Expression),
    Percentile(Vec<f64>),
    Push,
    SetUnion,
    StdDev { sample: bool },
    Sum,
    Top(SortSpec),
    TopN(SortSpec, Expression),
}

/// One group's state.
#[derive(Clone)]
pub struct Accumulator {
    state: State,
}

#[derive(Clone)]
enum State {
    Average(Sum),
    Count(i64),
    Deviation(Deviation),
    Extreme(Option<Value<'static>>),
    First(Option<Value<'static>>),
    Distinct(DistinctValues),
    Items { values: Vec<Value<'static>>, bytes: usize },
    LastN { values: std::collections::VecDeque<Value<'static>>, limit: usize, bytes: usize },
    FirstN { values: Vec<Value<'static>>, limit: usize, bytes: usize },
    Last(Option<Value<'static>>),
    Merged(RawDocumentBuf),
    Percentiles(Percentiles),
    RankedKeys(Ranked<SortKey>),
    RankedValues(Ranked<Value<'static>>),
    Sum(Sum),
}

/// What one document gives an accumulator.
#[derive(Clone, Debug)]
pub(crate) enum Input<'a> {
    /// The argument's value.
    Value(Value<'a>),
    /// For accumulators with an order of their own: the document's place in it, and the argument's value.
    Keyed(SortKey, Value<'a>),
}

impl Input<'_> {
    /// The same input owning its bytes.
    pub(crate) fn into_owned(self) -> Input<'static> {
        match self {
            Self::Value(value) => Input::Value(value.into_owned()),
            Self::Keyed(key, value) => Input::Keyed(key, value.into_owned()),
        }
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value(value) => item_bytes(value),
            Self::Keyed(key, value) => item_bytes(value) + key_bytes(key),
        }
    }
}

impl AccumulatorSpec {
    /// Whether this is `$stdDevPop`.
    pub(crate) const fn is_population_deviation(&self) -> bool {
        matches!(self.kind, Kind::StdDev { sample: false })
    }

    /// Whether the documents themselves are looked at, not only the argument's value.
    pub(crate) const fn needs_document(&self) -> bool {
        self.sort().is_some()
    }

    /// What a document gives.
    pub(crate) fn input<'a>(
        &'a self,
        document: RawDocument<'a>,
        environment: &mut Environment,
    ) -> Result<Input<'a>> {
        let value = self.argument.evaluate(document, environment)?;
        Ok(match self.sort() {
            None => Input::Value(value),
            Some(sort) => Input::Keyed(sort.key(document, environment)?, value),
        })
    }

    /// The accumulator's own order, of those that have one.
    const fn sort(&self) -> Option<&SortSpec> {
        match &self.kind {
            Kind::Bottom(sort) | Kind::BottomN(sort, _) | Kind::Top(sort) | Kind::TopN(sort, _) => Some(sort),
            _ => None,
        }
    }

    /// Starts a group. `key` is the group's `_id`, which the `n` of some accumulators may look at.
    pub fn start(&self, key: &Value<'_>, environment: &mut Environment) -> Result<Accumulator> {
        let mut limit = |n: &Expression| parse::limit(n, key, environment);
        let state = match &self.kind {
            Kind::Sum => State::Sum(Sum::default()),
            Kind::Average => State::Average(Sum::default()),
            Kind::Count => State::Count(0),
            Kind::StdDev { .. } => State::Deviation(Deviation::default()),
            Kind::Min | Kind::Max => State::Extreme(None),
            Kind::First => State::First(None),
            Kind::Last => State::Last(None),
            Kind::AddToSet | Kind::SetUnion => State::Distinct(DistinctValues::default()),
            Kind::Push | Kind::ConcatArrays => State::Items { values: Vec::new(), bytes: 0 },
            Kind::MergeObjects => State::Merged(RawDocumentBuf::new()),
            Kind::Percentile(_) | Kind::Median => State::Percentiles(Percentiles::default()),
            Kind::FirstN(n) => State::FirstN { values: Vec::new(), limit: limit(n)?, bytes: 0 },
            Kind::LastN(n) => State::LastN { values: Default::default(), limit: limit(n)?, bytes: 0 },
            Kind::MinN(n) | Kind::MaxN(n) => State::RankedValues(Ranked::new(limit(n)?, false, heap_bytes)),
            Kind::Top(_) => State::RankedKeys(Ranked::new(1, false, key_bytes)),
            Kind::Bottom(_) => State::RankedKeys(Ranked::new(1, true, key_bytes)),
            Kind::TopN(_, n) => State::RankedKeys(Ranked::new(limit(n)?, false, key_bytes)),
            Kind::BottomN(_, n) => State::RankedKeys(Ranked::new(limit(n)?, true, key_bytes)),
        };
        Ok(Accumulator { state })
    }
}

impl Accumulator {
    /// Adds what the accumulator's argument is for this document.
    pub fn add(
        &mut self,
        spec: &AccumulatorSpec,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let input = spec.input(document, environment)?;
        self.add_input(spec, input, environment)
    }

    /// Adds what a document gave.
    pub(crate) fn add_input(
        &mut self,
        spec: &AccumulatorSpec,
        input: Input<'_>,
        environment: &Environment,
    ) -> Result<()> {
        let (key, value) = match input {
            Input::Value(value) => return self.add_value(spec, value, environment),
            Input::Keyed(key, value) => (key, present(value)),
        };
        let (State::RankedKeys(ranked), Some(sort)) = (&mut self.state, spec.sort()) else { return Ok(()) };
        let collator = environment.collate();
        if matches!(spec.kind, Kind::Top(_) | Kind::TopN(..)) {
            ranked.add(key, value, &|left, right| sort.compare(left, right, collator));
        } else {
            ranked.add(key, value, &|left, right| sort.compare(right, left, collator));
        }
        self.check_bytes(environment)
    }

    /// Adds a value that was computed elsewhere. Not for the accumulators that sort by other fields.
    pub fn add_value(
        &mut self,
        spec: &AccumulatorSpec,
        value: Value<'_>,
        environment: &Environment,
    ) -> Result<()> {
        match &mut self.state {
            State::Sum(sum) | State::Average(sum) => sum.add(&value),
            State::Count(count) => *count = count.saturating_add(1),
            State::Deviation(deviation) => deviation.add(&value),
            State::Percentiles(percentiles) => percentiles.add(&value),
            State::Extreme(best) => {
                let wanted = if matches!(spec.kind, Kind::Min) { Ordering::Less } else { Ordering::Greater };
                let better = |best: &Value<'_>| compare(&value, best, environment.collate()) == wanted;
                if !value.is_nullish() && best.as_ref().is_none_or(better) {
                    *best = Some(value.into_owned());
                }
            }
            State::First(first) => {
                first.get_or_insert_with(|| present(value));
            }
            State::Last(last) => *last = Some(present(value)),
            State::FirstN { values, limit, bytes } => {
                if values.len() < *limit {
                    *bytes += item_bytes(&value);
                    values.push(present(value));
                }
            }
            State::LastN { values, limit, bytes } => {
                *bytes += item_bytes(&value);
                values.push_back(present(value));
                if values.len() > *limit
                    && let Some(dropped) = values.pop_front()
                {
                    *bytes = bytes.saturating_sub(item_bytes(&dropped));
                }
            }
            State::Distinct(set) => add_distinct(&spec.kind, set, value, environment)?,
            State::Items { values, bytes } => add_item(&spec.kind, values, bytes, value)?,
            State::Merged(document) => merge(document, &value)?,
            State::RankedValues(ranked) => {
                if !value.is_nullish() {
                    let value = value.into_owned();
                    let ascending = matches!(spec.kind, Kind::MinN(_));
                    ranked.add(value.clone(), value, &ranked::by_value(ascending, environment.collate()));
                }
            }
            State::RankedKeys(_) => {}
        }
        self.check_bytes(environment)
    }

    fn check_bytes(&self, environment: &Environment) -> Result<()> {
        let limit = environment.value_bytes_max;
        if self.bytes() > limit {
            let reason = format!("an accumulator holds more than {limit} bytes for one group");
            return Err(Error::new(ErrorCode::EXCEEDED_MEMORY_LIMIT, reason));
        }
        Ok(())
    }

    /// Bytes held beyond the state itself.
    pub fn bytes(&self) -> usize {
        match &self.state {
            State::Distinct(set) => set.bytes(),
            State::Items { bytes, .. } | State::FirstN { bytes, .. } | State::LastN { bytes, .. } => *bytes,
            State::Merged(document) => document.as_bytes().len(),
            State::Percentiles(percentiles) => percentiles.bytes(),
            State::RankedKeys(ranked) => ranked.bytes(),
            State::RankedValues(ranked) => ranked.bytes(),
            State::Extreme(value) | State::First(value) | State::Last(value) => {
                value.as_ref().map_or(0, heap_bytes)
            }
            State::Average(_) | State::Count(_) | State::Deviation(_) | State::Sum(_) => 0,
        }
    }

    /// The value of the group.
    pub fn finish(self, spec: &AccumulatorSpec) -> Value<'static> {
        match self.state {
            State::Sum(sum) => sum.total(),
            State::Average(sum) => sum.mean(),
            State::Count(count) => i32::try_from(count).map_or(Value::Int64(count), Value::Int32),
            State::Deviation(deviation) => {
                deviation.result(matches!(spec.kind, Kind::StdDev { sample: true }))
            }
            State::Extreme(value) | State::First(value) | State::Last(value) => value.unwrap_or(Value::Null),
            State::Distinct(set) => Value::array(set.into_values()),
            State::Items { values, .. } | State::FirstN { values, .. } => Value::array(values),
            State::LastN { values, .. } => Value::array(values.into()),
            State::Merged(document) => Value::from(document),
            State::Percentiles(percentiles) => match &spec.kind {
                Kind::Percentile(ranks) => percentiles.at(ranks),
                _ => percentiles.median(),
            },
            State::RankedValues(ranked) => Value::array(ranked.into_values()),
            State::RankedKeys(ranked) => {
                let mut values = ranked.into_values();
                match spec.kind {
                    Kind::Top(_) | Kind::Bottom(_) => values.pop().unwrap_or(Value::Null),
                    Kind::BottomN(..) => {
                        values.reverse();
                        Value::array(values)
                    }
                    _ => Value::array(values),
                }
            }
        }
    }
}

/// Bytes of a key's parts.
fn key_bytes(key: &SortKey) -> usize {
    key.iter().map(item_bytes).sum()
}

/// An owned value; missing becomes null, as every accumulator that keeps values keeps it.
fn present(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Missing => Value::Null,
        value => value.into_owned(),
    }
}

fn add_item(
    kind: &Kind,
    values: &mut Vec<Value<'static>>,
    bytes: &mut usize,
    value: Value<'_>,
) -> Result<()> {
    let mut push = |value: Value<'static>| {
        *bytes += item_bytes(&value);
        values.push(value);
    };
    match (kind, value) {
        (_, Value::Missing) => {}
        (Kind::ConcatArrays, Value::Array(array)) => {
            array.into_items().into_iter().for_each(|item| push(item.into_owned()));
        }
        (Kind::ConcatArrays, other) => return Err(not_array(&other)),
        (_, value) => push(value.into_owned()),
    }
    Ok(())
}

fn add_distinct(
    kind: &Kind,
    set: &mut DistinctValues,
    value: Value<'_>,
    environment: &Environment,
) -> Result<()> {
    let collation = environment.collate();
    match (kind, value) {
        (_, Value::Missing) => {}
        (Kind::SetUnion, Value::Array(array)) => {
            array.into_items().into_iter().for_each(|item| set.add(item, collation));
        }
        (Kind::SetUnion, other) => return Err(not_array(&other)),
        (_, value) => set.add(value, collation),
    }
    Ok(())
}

fn not_array(value: &Value<'_>) -> Error {
    let reason =
        format!("an accumulator of arrays needs an array, not a value of type {}", value.type_name());
    Error::new(ErrorCode::TYPE_MISMATCH, reason)
}

/// `$mergeObjects`: fields of later documents win and keep the place of the first.
fn merge(into: &mut RawDocumentBuf, value: &Value<'_>) -> Result<()> {
    if value.is_nullish() {
        return Ok(());
    }
    let Some(document) = value.as_document() else {
        let reason = format!("$mergeObjects needs documents, not a value of type {}", value.type_name());
        return Err(Error::location(5_911_200, reason));
    };
    let mut builder = DocumentBuilder::with_capacity(into.as_bytes().len() + document.len_bytes());
    for element in into.as_raw() {
        builder.append_element(document.get_element(element.key()).unwrap_or(element));
    }
    for element in document {
        if into.as_raw().get_element(element.key()).is_none() {
            builder.append_element(element);
        }
    }
    *into = builder.build();
    Ok(())
}
