//! Accumulators on their way to disk and back.
//!
//! Whoever groups more than memory holds writes states out, and the inputs that come later behind them. A state that
//! was saved and loaded goes on exactly as if it had stayed: sums keep what rounding took from them, sets and lists
//! their order. Saved states live as long as one operation: their form may change with every build.
//!
//! ```text
//! $sum, $avg                {w: width, i: binary (i128), s: sum, l: lost, d: decimal, c: count}
//! $stdDevPop, $stdDevSamp   {c: count, m: mean, q: squares}
//! $percentile, $median      {n: binary (f64 *)}
//! $top, $bottom, $minN ...  {i: [{k: [key] or key, v: value}, ...]}
//! $first, $last, $min, $max {} or {v: value}
//! lists and sets            {v: [value, ...]}
//! $mergeObjects             {v: document};  $count  {c: count}
//! ```

use std::borrow::Cow;

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::number::{Deviation, Sum};
use super::{Accumulator, AccumulatorSpec, Input, State};
use crate::expression::{Environment, heap_bytes};
use crate::sort::SortKey;
use crate::{Error, ErrorCode, Result};

fn damaged() -> Error {
    Error::new(ErrorCode::INTERNAL, "a saved accumulator is not what was saved")
}

fn owned(value: ValueRef<'_>) -> Value<'static> {
    Value::from(value).into_owned()
}

fn array<'a>(document: RawDocument<'a>, name: &str) -> Result<RawArray<'a>> {
    document.get(name).and_then(ValueRef::as_array).ok_or_else(damaged)
}

fn append_array<'v>(
    out: &mut DocumentBuilder,
    name: &str,
    values: impl IntoIterator<Item = &'v Value<'static>>,
) {
    out.array(name, |array| {
        for value in values {
            array.push_value(value);
        }
    });
}

impl Input<'_> {
    /// Appends the input to a record; one that is missing appends nothing.
    pub(crate) fn append_to(&self, name: &str, out: &mut DocumentBuilder) {
        match self {
            Self::Value(value) => {
                out.append_value(name, value);
            }
            Self::Keyed(key, value) => {
                out.document(name, |pair| {
                    append_array(pair, "k", key);
                    pair.append_value("v", value);
                });
            }
        }
    }
}

impl AccumulatorSpec {
    /// An input as [`Input::append_to`] wrote it.
    pub(crate) fn read_input<'a>(&self, written: Option<ValueRef<'a>>) -> Result<Input<'a>> {
        if !self.needs_document() {
            return Ok(Input::Value(Value::from(written)));
        }
        let pair = written.and_then(ValueRef::as_document).ok_or_else(damaged)?;
        let key: SortKey = array(pair, "k")?.iter().map(owned).collect();
        Ok(Input::Keyed(key, Value::from(pair.get("v"))))
    }

    /// A state as [`Accumulator::save`] wrote it. `key` is the group's.
    pub(crate) fn load(
        &self,
        saved: ValueRef<'_>,
        key: &Value<'_>,
        environment: &mut Environment,
    ) -> Result<Accumulator> {
        let saved = saved.as_document().ok_or_else(damaged)?;
        let mut accumulator = self.start(key, environment)?;
        accumulator.fill(saved, environment)?;
        Ok(accumulator)
    }
}

impl Accumulator {
    /// Everything it knows, as a document.
    pub(crate) fn save(&self) -> RawDocumentBuf {
        let mut out = DocumentBuilder::new();
        match &self.state {
            State::Sum(sum) | State::Average(sum) => sum.save(&mut out),
            State::Deviation(deviation) => deviation.save(&mut out),
            State::Count(count) => {
                out.append("c", *count);
            }
            State::Extreme(value) | State::First(value) | State::Last(value) => {
                out.append_value("v", value.as_ref().unwrap_or(&Value::Missing));
            }
            State::Distinct(set) => append_array(&mut out, "v", set.values()),
            State::Items { values, .. } | State::FirstN { values, .. } => {
                append_array(&mut out, "v", values);
            }
            State::LastN { values, .. } => append_array(&mut out, "v", values),
            State::Merged(document) => {
                out.append_ref("v", ValueRef::Document(document.as_raw()));
            }
            State::Percentiles(percentiles) => {
                let bytes = percentiles.numbers().iter().flat_map(|number| number.to_le_bytes());
                out.append("n", Value::Binary { subtype: 0, bytes: Cow::Owned(bytes.collect()) });
            }
            State::RankedKeys(ranked) => save_ranked(&mut out, ranked.items(), |key, out| {
                append_array(out, "k", key);
            }),
            State::RankedValues(ranked) => {
                save_ranked(&mut out, ranked.items(), |key, out| {
                    out.append_value("k", key);
                });
            }
        }
        out.build()
    }

    /// Takes over what was saved, into a state that was just started.
    fn fill(&mut self, saved: RawDocument<'_>, environment: &Environment) -> Result<()> {
        match &mut self.state {
            State::Sum(sum) | State::Average(sum) => *sum = Sum::load(saved).ok_or_else(damaged)?,
            State::Deviation(deviation) => *deviation = Deviation::load(saved).ok_or_else(damaged)?,
            State::Count(count) => match saved.get("c") {
                Some(ValueRef::Int64(number)) => *count = number,
                _ => return Err(damaged()),
            },
            State::Extreme(value) | State::First(value) | State::Last(value) => {
                *value = saved.get("v").map(owned);
            }
            State::Distinct(set) => {
                for value in array(saved, "v")?.iter() {
                    set.add(Value::from(value), environment.collate());
                }
            }
            State::Items { values, bytes } | State::FirstN { values, bytes, .. } => {
                values.extend(array(saved, "v")?.iter().map(owned));
                *bytes = values.iter().map(item_bytes).sum();
            }
            State::LastN { values, bytes, .. } => {
                values.extend(array(saved, "v")?.iter().map(owned));
                *bytes = values.iter().map(item_bytes).sum();
            }
            State::Merged(document) => {
                let saved = saved.get("v").and_then(ValueRef::as_document);
                *document = saved.ok_or_else(damaged)?.to_buf();
            }
            State::Percentiles(percentiles) => {
                let Some(ValueRef::Binary(numbers)) = saved.get("n") else { return Err(damaged()) };
                let (numbers, _) = numbers.bytes.as_chunks::<8>();
                percentiles.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            State::RankedKeys(ranked) => {
                for item in array(saved, "i")?.iter() {
                    let item = item.as_document().ok_or_else(damaged)?;
                    let key: SortKey = array(item, "k")?.iter().map(owned).collect();
                    ranked.push_last(key, Value::from(item.get("v")).into_owned());
                }
            }
            State::RankedValues(ranked) => {
                for item in array(saved, "i")?.iter() {
                    let item = item.as_document().ok_or_else(damaged)?;
                    let key = Value::from(item.get("k")).into_owned();
                    ranked.push_last(key, Value::from(item.get("v")).into_owned());
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a value in a list.
pub(super) fn item_bytes(value: &Value<'_>) -> usize {
    size_of::<Value<'static>>() + heap_bytes(value)
}

fn save_ranked<K>(
    out: &mut DocumentBuilder,
    items: &[(K, Value<'static>)],
    mut save_key: impl FnMut(&K, &mut DocumentBuilder),
) {
    out.array("i", |array: &mut ArrayBuilder| {
        for (key, value) in items {
            array.document(|item| {
                save_key(key, item);
                item.append_value("v", value);
            });
        }
    });
}
