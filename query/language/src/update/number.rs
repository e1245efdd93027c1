//! `$inc`, `$mul`, `$bit`: arithmetic that keeps types. Int grows to long where it must; a long that would overflow is
//! an error; double and decimal absorb the narrower.

use sheaf_document::{Decimal128, Value, ValueRef, compare_refs};

use super::apply::Change;
use super::operator::{Operator, own};
use super::{UpdateContext, bad_value};
use crate::{Error, ErrorCode, Result};

/// A number by its type.
#[derive(Clone, Copy)]
enum Number {
    Int(i32),
    Long(i64),
    Double(f64),
    Decimal(Decimal128),
}

impl Number {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        Some(match value {
            ValueRef::Int32(number) => Self::Int(number),
            ValueRef::Int64(number) => Self::Long(number),
            ValueRef::Double(number) => Self::Double(number),
            ValueRef::Decimal128(number) => Self::Decimal(number),
            _ => return None,
        })
    }

    fn to_decimal(self) -> Decimal128 {
        match self {
            Self::Int(number) => Decimal128::from(number),
            Self::Long(number) => Decimal128::from(number),
            Self::Double(number) => Decimal128::from_f64(number),
            Self::Decimal(number) => number,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "that is what adding a double to a long means")]
    fn to_double(self) -> f64 {
        match self {
            Self::Int(number) => f64::from(number),
            Self::Long(number) => number as f64,
            Self::Double(number) => number,
            Self::Decimal(number) => number.to_f64(),
        }
    }

    fn to_long(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(i64::from(number)),
            Self::Long(number) => Some(number),
            Self::Double(_) | Self::Decimal(_) => None,
        }
    }
}

/// An arithmetic operation of two numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `$inc`.
    Add,
    /// `$mul`.
    Multiply,
}

impl Arithmetic {
    const fn name(self) -> &'static str {
        match self {
            Self::Add => "$inc",
            Self::Multiply => "$mul",
        }
    }

    fn compute(self, left: Number, right: Number) -> Option<Value<'static>> {
        if matches!(left, Number::Decimal(_)) || matches!(right, Number::Decimal(_)) {
            let (left, right) = (left.to_decimal(), right.to_decimal());
            return Some(Value::Decimal128(match self {
                Self::Add => left + right,
                Self::Multiply => left * right,
            }));
        }
        let (Some(a), Some(b)) = (left.to_long(), right.to_long()) else {
            let (a, b) = (left.to_double(), right.to_double());
            return Some(Value::Double(if self == Self::Add { a + b } else { a * b }));
        };
        let long = if self == Self::Add { a.checked_add(b) } else { a.checked_mul(b) }?;
        let both_int = matches!((left, right), (Number::Int(_), Number::Int(_)));
        Some(match i32::try_from(long) {
            Ok(int) if both_int => Value::Int32(int),
            _ => Value::Int64(long),
        })
    }

    /// The value that takes the place of `current`.
    pub fn apply(self, current: Option<ValueRef<'_>>, operand: &Value<'static>) -> Result<Change> {
        let Some(right) = operand.as_ref().and_then(Number::of) else { return Ok(Change::Keep) };
        let Some(now) = current else {
            return Ok(Change::Set(match self {
                Self::Add => operand.clone(),
                Self::Multiply => zero_like(right),
            }));
        };
        let Some(left) = Number::of(now) else {
            let reason = format!(
                "{} needs a number, the field has a value of type {}",
                self.name(),
                now.kind().name()
            );
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
        };
        let result = self.compute(left, right).ok_or_else(|| {
            bad_value(format!(
                "{} would leave the range of 64-bit integers: {now:?} and {operand:?}",
                self.name()
            ))
        })?;
        // Adding nothing to a negative zero or to a decimal's trailing zeros leaves them as they are.
        let same = result
            .as_ref()
            .is_some_and(|result| result.kind() == now.kind() && compare_refs(result, now, None).is_eq());
        Ok(if same { Change::Keep } else { Change::Set(result) })
    }
}

fn zero_like(number: Number) -> Value<'static> {
    match number {
        Number::Int(_) => Value::Int32(0),
        Number::Long(_) => Value::Int64(0),
        Number::Double(_) => Value::Double(0.0),
        Number::Decimal(_) => Value::Decimal128(Decimal128::from(0)),
    }
}

fn number_operand(name: &str, path: &str, operand: ValueRef<'_>) -> Result<Value<'static>> {
    if Number::of(operand).is_some() {
        return Ok(own(operand));
    }
    let reason = format!("{name} of '{path}' needs a number, not a value of type {}", operand.kind().name());
    Err(Error::new(ErrorCode::TYPE_MISMATCH, reason))
}

/// Reads the operand of `$inc`.
pub fn parse_increment(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    number_operand("$inc", path, operand).map(Operator::Increment)
}

/// Reads the operand of `$mul`.
pub fn parse_multiply(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    number_operand("$mul", path, operand).map(Operator::Multiply)
}

/// A bitwise operation.
#[derive(Clone, Copy, Debug)]
pub enum BitOperation {
    /// Bits set in both.
    And,
    /// Bits set in one or both.
    Or,
    /// Bits set in one.
    Xor,
}

/// An integer of either width.
#[derive(Clone, Copy, Debug)]
pub enum Integer {
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
}

impl Integer {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Int32(number) => Some(Self::Int(number)),
            ValueRef::Int64(number) => Some(Self::Long(number)),
            _ => None,
        }
    }

    fn to_long(self) -> i64 {
        match self {
            Self::Int(number) => i64::from(number),
            Self::Long(number) => number,
        }
    }

    fn combine(self, operation: BitOperation, other: Self) -> Self {
        let long = match operation {
            BitOperation::And => self.to_long() & other.to_long(),
            BitOperation::Or => self.to_long() | other.to_long(),
            BitOperation::Xor => self.to_long() ^ other.to_long(),
        };
        match (self, other, i32::try_from(long)) {
            (Self::Int(_), Self::Int(_), Ok(int)) => Self::Int(int),
            _ => Self::Long(long),
        }
    }
}

/// Reads `{and: 1, or: 2, xor: 3}`; applied in the order in which they are written.
pub fn parse_bit(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    let ValueRef::Document(document) = operand else {
        let kind = operand.kind().name();
        return Err(bad_value(format!(
            "$bit of '{path}' needs a document like {{and: 5}}, not a value of type {kind}"
        )));
    };
    let mut operations = Vec::new();
    for element in document {
        let operation = match element.key() {
            "and" => BitOperation::And,
            "or" => BitOperation::Or,
            "xor" => BitOperation::Xor,
            other => {
                return Err(bad_value(format!(
                    "$bit of '{path}' knows 'and', 'or' and 'xor', not '{other}'"
                )));
            }
        };
        let number = Integer::of(element.value()).ok_or_else(|| {
            let kind = element.kind().name();
            bad_value(format!("$bit of '{path}' needs an integer, not a value of type {kind}"))
        })?;
        operations.push((operation, number));
    }
    if operations.is_empty() {
        return Err(bad_value(format!("$bit of '{path}' needs at least one of 'and', 'or' and 'xor'")));
    }
    Ok(Operator::Bit(operations))
}

/// The value that takes the place of `current`; a missing one counts as 0.
pub fn bit(current: Option<ValueRef<'_>>, operations: &[(BitOperation, Integer)]) -> Result<Change> {
    let start = match current {
        None => Integer::Int(0),
        Some(now) => Integer::of(now).ok_or_else(|| {
            bad_value(format!("$bit needs an integer, the field has a value of type {}", now.kind().name()))
        })?,
    };
    let result =
        operations.iter().fold(start, |number, (operation, other)| number.combine(*operation, *other));
    let result = match result {
        Integer::Int(number) => Value::Int32(number),
        Integer::Long(number) => Value::Int64(number),
    };
    Ok(Change::to(current, result))
}
