//! `$densify`: documents where a sequence of numbers or dates has gaps.
//!
//! Documents are parted by fields and sorted; between them come new ones that have the partition's fields and the
//! value of the sequence only. The sequence counts in steps from the lower bound, whatever lies between.

use std::cmp::Ordering;
use std::mem::discriminant;

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef, compare};

use super::parse::document_argument;
use super::put_field::{Path, parse_path, put_field};
use crate::expression::arithmetic::sum;
use crate::expression::date::arithmetic::add;
use crate::expression::date::unit::Unit;
use crate::expression::date::zone::Zone;
use crate::expression::number::Number;
use crate::expression::{Environment, Expression, FieldPath};
use crate::{Error, ErrorCode, Result};

/// Documents that one stage may add, as in MongoDB.
const ADDED_MAX: usize = 500_000;

/// A field, its partitions and the sequence it should have.
#[derive(Clone)]
pub struct Densify {
    field: Path,
    field_value: Expression,
    partition_by: Vec<(Path, Expression)>,
    step: Number,
    unit: Option<Unit>,
    bounds: Bounds,
}

/// From where to where a sequence goes.
#[derive(Clone, Debug)]
enum Bounds {
    /// From one value up to, but not including, another.
    Explicit(Value<'static>, Value<'static>),
    /// From the least value of all documents to the greatest.
    Full,
    /// From the least value of each partition to the greatest.
    Partition,
}

/// A document with what it is placed by.
struct Placed {
    document: RawDocumentBuf,
    partition: Vec<Value<'static>>,
    value: Value<'static>,
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

impl Densify {
    /// Reads `{field: path, partitionByFields: [..], range: {step: n, unit: name, bounds: ..}}`.
    pub fn parse(value: ValueRef<'_>) -> Result<Self> {
        let (mut field, mut partition_by, mut range) = (None, Vec::new(), None);
        for element in document_argument("$densify", 5_733_200, value)? {
            match (element.key(), element.value()) {
                ("field", ValueRef::String(path)) => field = Some(path),
                ("partitionByFields", ValueRef::Array(fields)) => {
                    for path in fields.iter() {
                        let path = path.as_str().ok_or_else(|| wrong_type("partitionByFields", path))?;
                        partition_by.push((parse_path(path)?, Expression::field(FieldPath::parse(path)?)));
                    }
                }
                ("range", ValueRef::Document(document)) => range = Some(document),
                (name @ ("field" | "partitionByFields" | "range"), other) => {
                    return Err(wrong_type(name, other));
                }
                (other, _) => {
                    return Err(Error::location(40_415, format!("$densify has no argument '{other}'")));
                }
            }
        }
        let missing = |name: &str| Error::location(40_414, format!("$densify needs the argument '{name}'"));
        let field = field.ok_or_else(|| missing("field"))?;
        let (step, unit, bounds) = parse_range(range.ok_or_else(|| missing("range"))?)?;
        if partition_by.is_empty() && matches!(bounds, Bounds::Partition) {
            let reason = "the bounds 'partition' of $densify need 'partitionByFields'";
            return Err(Error::location(5_733_408, reason));
        }
        if partition_by.iter().any(|(path, _)| path.join(".") == field) {
            let reason = format!("$densify fills '{field}', which cannot be one of its 'partitionByFields'");
            return Err(Error::location(8_993_000, reason));
        }
        let field_value = Expression::field(FieldPath::parse(field)?);
        Ok(Self { field: parse_path(field)?, field_value, partition_by, step, unit, bounds })
    }

    /// The documents and those that were missing, partition by partition, each in its order.
    pub fn apply(
        &self,
        documents: Vec<RawDocumentBuf>,
        environment: &mut Environment,
    ) -> Result<Vec<RawDocumentBuf>> {
        let placed = self.place(documents, environment)?;
        let collation = environment.collator.clone();
        let same = |left: &Placed, right: &Placed| {
            order(&left.partition, &right.partition, collation.as_deref()).is_eq()
        };
        let dense = placed.iter().filter(|placed| !placed.value.is_nullish());
        let full = extent(dense.map(|placed| &placed.value));
        let mut added = 0;
        let mut result = Vec::with_capacity(placed.len());
        if let (Bounds::Explicit(lower, upper), true, true) =
            (&self.bounds, placed.is_empty(), self.partition_by.is_empty())
        {
            // Bounds that are given do not need a document to be filled between.
            let bounds = Some((lower.clone(), upper.clone(), false));
            self.densify(&[], bounds, &mut result, &mut added)?;
        }
        for members in placed.chunk_by(same) {
            let bounds = match &self.bounds {
                Bounds::Explicit(lower, upper) => Some((lower.clone(), upper.clone(), false)),
                Bounds::Full => full.clone().map(|(least, greatest)| (least, greatest, true)),
                Bounds::Partition => {
                    let values =
                        members.iter().map(|placed| &placed.value).filter(|value| !value.is_nullish());
                    extent(values).map(|(least, greatest)| (least, greatest, true))
                }
            };
            self.densify(members, bounds, &mut result, &mut added)?;
        }
        Ok(result)
    }

    fn place(&self, documents: Vec<RawDocumentBuf>, environment: &mut Environment) -> Result<Vec<Placed>> {
        let mut placed = Vec::with_capacity(documents.len());
        for document in documents {
            let value = self.field_value.evaluate(document.as_raw(), environment)?.into_owned();
            self.check_value(&value)?;
            let partition = self
                .partition_by
                .iter()
                .map(|(_, by)| Ok(by.evaluate(document.as_raw(), environment)?.into_owned()));
            let partition = partition.collect::<Result<Vec<_>>>()?;
            placed.push(Placed { document, partition, value });
        }
        let collation = environment.collate();
        placed.sort_by(|left, right| {
            order(&left.partition, &right.partition, collation)
                .then_with(|| compare(&left.value, &right.value, collation))
        });
        Ok(placed)
    }

    fn check_value(&self, value: &Value<'_>) -> Result<()> {
        let is_date = matches!(value, Value::DateTime(_));
        match self.unit {
            _ if value.is_nullish() => Ok(()),
            None if is_date => {
                Err(Error::location(6_053_600, "$densify needs a unit, for its field holds dates"))
            }
            Some(_) if !is_date && Number::of(value).is_some() => {
                Err(Error::location(6_053_600, "$densify needs dates in its field, for it has a unit"))
            }
            _ if is_date || Number::of(value).is_some() => Ok(()),
            _ => {
                let reason = format!("$densify takes numbers and dates, found {}", value.type_name());
                Err(Error::location(5_733_201, reason))
            }
        }
    }

    /// Merges one partition with its sequence.
    fn densify(
        &self,
        members: &[Placed],
        bounds: Option<(Value<'static>, Value<'static>, bool)>,
        result: &mut Vec<RawDocumentBuf>,
        added: &mut usize,
    ) -> Result<()> {
        let Some((lower, upper, inclusive)) = bounds else {
            result.extend(members.iter().map(|placed| placed.document.clone()));
            return Ok(());
        };
        let mut count: i64 = 0;
        let mut next = Some(lower.clone());
        let within = |value: &Value<'_>| match compare(value, &upper, None) {
            Ordering::Less => true,
            Ordering::Equal => inclusive,
            Ordering::Greater => false,
        };
        let empty = Placed { document: RawDocumentBuf::new(), partition: Vec::new(), value: Value::MaxKey };
        for placed in members.iter().chain([&empty]) {
            // Everything of the sequence before this document.
            while let Some(value) = next.as_ref().filter(|value| within(value)) {
                let order = compare(value, &placed.value, None);
                if order.is_gt() || (order.is_eq() && placed.value.is_nullish()) {
                    break;
                }
                if order.is_lt() {
                    *added += 1;
                    if *added > ADDED_MAX {
                        let reason = format!("$densify would add more than {ADDED_MAX} documents");
                        return Err(Error::location(5_897_900, reason));
                    }
                    result.push(self.generated(members, value));
                }
                count += 1;
                next = self.at(&lower, count);
                if order.is_eq() {
                    break;
                }
            }
            if !matches!(placed.value, Value::MaxKey) {
                result.push(placed.document.clone());
            }
        }
        Ok(())
    }

    /// A new document: the fields of the partition and the value.
    fn generated(&self, members: &[Placed], value: &Value<'_>) -> RawDocumentBuf {
        let mut document = RawDocument::EMPTY.to_buf();
        let keys = members.first().map(|placed| placed.partition.as_slice()).unwrap_or_default();
        for ((path, _), key) in self.partition_by.iter().zip(keys) {
            if !matches!(key, Value::Missing) {
                document = put_field(document.as_raw(), path, Some(key));
            }
        }
        put_field(document.as_raw(), &self.field, Some(value))
    }

    /// The value so many steps above the lower bound; nothing beyond what can be represented.
    fn at(&self, lower: &Value<'_>, count: i64) -> Option<Value<'static>> {
        match (lower, self.unit) {
            (Value::DateTime(start), Some(unit)) => {
                let amount = self.step.to_i64_exact()?.checked_mul(count)?;
                add(*start, unit, amount, &Zone::UTC).map(Value::DateTime)
            }
            (lower, _) => {
                let steps = scaled(self.step, count);
                Some(sum(Number::of(lower)?, steps))
            }
        }
    }
}

/// So many steps at once, so that nothing adds up to an error.
#[expect(clippy::cast_precision_loss, reason = "doubles round, as everywhere")]
fn scaled(step: Number, count: i64) -> Number {
    match step {
        Number::Double(step) => Number::Double(step * count as f64),
        Number::Decimal(step) => Number::Decimal(step * sheaf_document::Decimal128::from(count)),
        Number::Int32(step) => match i64::from(step).checked_mul(count).map(i32::try_from) {
            Some(Ok(steps)) => Number::Int32(steps),
            _ => Number::Int64(i64::from(step).saturating_mul(count)),
        },
        Number::Int64(step) => Number::Int64(step.saturating_mul(count)),
    }
}

/// The least and the greatest value.
fn extent<'v>(values: impl Iterator<Item = &'v Value<'static>>) -> Option<(Value<'static>, Value<'static>)> {
    values.fold(None, |extent, value| match extent {
        None => Some((value.clone(), value.clone())),
        Some((least, greatest)) => Some((
            if compare(value, &least, None).is_lt() { value.clone() } else { least },
            if compare(value, &greatest, None).is_gt() { value.clone() } else { greatest },
        )),
    })
}

fn order(
    left: &[Value<'_>],
    right: &[Value<'_>],
    collation: Option<&dyn sheaf_document::Collate>,
) -> Ordering {
    let orders = left.iter().zip(right).map(|(left, right)| compare(left, right, collation));
    orders.fold(Ordering::Equal, Ordering::then)
}

fn wrong_type(name: &str, value: ValueRef<'_>) -> Error {
    let reason = format!("the '{name}' of $densify cannot be of type {}", value.kind().name());
    Error::new(ErrorCode::TYPE_MISMATCH, reason)
}

fn parse_range(range: RawDocument<'_>) -> Result<(Number, Option<Unit>, Bounds)> {
    let (mut step, mut unit, mut bounds) = (None, None, None);
    for element in range {
        match (element.key(), element.value()) {
            ("step", value) => {
                let number = Number::of(&Value::from(value)).ok_or_else(|| wrong_type("step", value))?;
                if number.to_f64().is_nan() || number.to_f64() <= 0.0 {
                    return Err(Error::location(5_733_401, "the step of $densify is greater than 0"));
                }
                step = Some(number);
            }
            ("unit", ValueRef::String(name)) => {
                let known = Unit::from_name(name);
                unit =
                    Some(known.ok_or_else(|| refused(format!("'{name}' is no unit of time for $densify")))?);
            }
            ("bounds", value) => bounds = Some(value),
            (name @ "unit", other) => return Err(wrong_type(name, other)),
            (other, _) => {
                return Err(Error::location(
                    40_415,
                    format!("the range of $densify has no argument '{other}'"),
                ));
            }
        }
    }
    let missing =
        |name: &str| Error::location(40_414, format!("the range of $densify needs the argument '{name}'"));
    let step = step.ok_or_else(|| missing("step"))?;
    if unit.is_some() && step.to_i64_exact().is_none() {
        return Err(Error::location(6_586_400, "the step of $densify is whole, for it has a unit"));
    }
    let bounds = parse_bounds(bounds.ok_or_else(|| missing("bounds"))?, step, unit)?;
    Ok((step, unit, bounds))
}

fn parse_bounds(value: ValueRef<'_>, step: Number, unit: Option<Unit>) -> Result<Bounds> {
    let array = match value {
        ValueRef::String("full") => return Ok(Bounds::Full),
        ValueRef::String("partition") => return Ok(Bounds::Partition),
        ValueRef::Array(array) if array.count() == 2 => array,
        ValueRef::String(_) => {
            return Err(Error::location(
                5_946_802,
                "the bounds of $densify are 'full', 'partition' or two values",
            ));
        }
        ValueRef::Array(_) => {
            return Err(Error::location(5_733_403, "the bounds of $densify are two values"));
        }
        other => return Err(wrong_type("bounds", other)),
    };
    let bound =
        |place: usize| array.get(place).map_or(Value::Missing, |value| Value::from(value).into_owned());
    let (lower, upper) = (bound(0), bound(1));
    let refused =
        |code: i32, reason: &str| Err(Error::location(code, format!("the bounds of $densify {reason}")));
    match (&lower, &upper) {
        (Value::DateTime(_), Value::DateTime(_)) if unit.is_none() => {
            return refused(5_733_402, "are dates, which need a unit");
        }
        (Value::DateTime(_), Value::DateTime(_)) => {}
        (lower, upper) => match (Number::of(lower), Number::of(upper)) {
            (Some(_), Some(_)) if unit.is_some() => {
                return refused(5_733_409, "are numbers, which have no unit");
            }
            (Some(lower), Some(upper)) => {
                if [lower, upper].iter().any(|bound| discriminant(bound) != discriminant(&step)) {
                    return refused(5_876_900, "have the same type as its step");
                }
            }
            (Some(_), None) => return refused(5_733_406, "are either both numbers or both dates"),
            (None, _) => return refused(5_733_402, "are two numbers or two dates"),
        },
    }
    if compare(&lower, &upper, None).is_gt() {
        return refused(5_733_402, "ascend");
    }
    Ok(Bounds::Explicit(lower, upper))
}

#[cfg(test)]
mod tests {
    use sheaf_document::DocumentBuilder;

    use super::*;

    fn dense(bounds: impl Fn(&mut DocumentBuilder), values: &[(i32, i32)]) -> Vec<String> {
        let mut stage = DocumentBuilder::new();
        stage.append("field", "t");
        stage.array("partitionByFields", |fields| {
            fields.push("p");
        });
        stage.document("range", |range| {
            range.append("step", 2);
            bounds(range);
        });
        let stage = Densify::parse(ValueRef::Document(stage.build().as_raw())).unwrap();
        let document = |(p, t): &(i32, i32)| {
            let mut document = DocumentBuilder::new();
            document.append("_id", 1).append("p", *p).append("t", *t);
            document.build()
        };
        let documents = values.iter().map(document).collect();
        let result = stage.apply(documents, &mut Environment::new(0, 0)).unwrap();
        let show = |row: &RawDocumentBuf| {
            let row = row.as_raw();
            let own = if row.get("_id").is_some() { "" } else { "+" };
            let number = |name: &str| match row.get(name) {
                Some(ValueRef::Int32(number)) => number,
                other => panic!("{other:?}"),
            };
            format!("{}:{own}{}", number("p"), number("t"))
        };
        result.iter().map(show).collect()
    }

    const VALUES: [(i32, i32); 4] = [(1, 5), (1, 0), (2, 3), (2, 4)];

    #[test]
    fn each_partition_has_its_own_sequence() {
        let partition = dense(
            |range| {
                range.append("bounds", "partition");
            },
            &VALUES,
        );
        assert_eq!(partition, ["1:0", "1:+2", "1:+4", "1:5", "2:3", "2:4"]);
        let full = dense(
            |range| {
                range.append("bounds", "full");
            },
            &VALUES,
        );
        assert_eq!(full, ["1:0", "1:+2", "1:+4", "1:5", "2:+0", "2:+2", "2:3", "2:4"]);
    }

    #[test]
    fn explicit_bounds_stop_before_the_upper_one() {
        let bounds = |range: &mut DocumentBuilder| {
            range.array("bounds", |items| {
                items.push(2).push(6);
            });
        };
        assert_eq!(dense(bounds, &VALUES[..2]), ["1:0", "1:+2", "1:+4", "1:5"]);
    }
}
