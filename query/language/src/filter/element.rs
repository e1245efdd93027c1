//! `$type`, and the reading of `$exists` and `$size`.

use sheaf_document::{BsonType, ValueRef};

use super::modulo::integral;
use crate::{Error, ErrorCode, Result};

/// The types that a `$type` accepts: a bit per type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeSet(u32);

impl TypeSet {
    /// No type.
    pub const EMPTY: Self = Self(0);

    /// These types and `kind`.
    pub fn with(self, kind: BsonType) -> Self {
        Self(self.0 | 1 << position(kind))
    }

    /// These types and the numeric ones.
    pub fn with_numbers(self) -> Self {
        self.with(BsonType::Double).with(BsonType::Int32).with(BsonType::Int64).with(BsonType::Decimal128)
    }

    /// Whether `kind` is one of them.
    pub fn contains(self, kind: BsonType) -> bool {
        self.0 >> position(kind) & 1 == 1
    }

    /// The types, in the order of their tags.
    pub fn iter(self) -> impl Iterator<Item = BsonType> {
        BsonType::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// Reads one name or number, or an array of them.
    pub(crate) fn parse(path: &str, operand: ValueRef<'_>) -> Result<Self> {
        let ValueRef::Array(list) = operand else {
            return Self::EMPTY.with_alias(path, operand);
        };
        if list.is_empty() {
            let message = format!("$type at '{path}' must name at least one type");
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, message));
        }
        list.iter().try_fold(Self::EMPTY, |types, alias| types.with_alias(path, alias))
    }

    fn with_alias(self, path: &str, alias: ValueRef<'_>) -> Result<Self> {
        match alias {
            ValueRef::String("number") => Ok(self.with_numbers()),
            ValueRef::String(name) => {
                BsonType::from_name(name).map(|kind| self.with(kind)).ok_or_else(|| {
                    Error::new(
                        ErrorCode::BAD_VALUE,
                        format!("$type at '{path}': there is no type named '{name}'"),
                    )
                })
            }
            number if number.kind().is_number() => {
                let known = integral(number).and_then(|number| {
                    BsonType::ALL.into_iter().find(|kind| i64::from(kind.number()) == number)
                });
                known.map(|kind| self.with(kind)).ok_or_else(|| {
                    let message = format!("$type at '{path}': there is no type with this number");
                    Error::new(ErrorCode::BAD_VALUE, message)
                })
            }
            other => {
                let kind = other.kind().name();
                let message = format!("$type at '{path}' needs names or numbers of types, found {kind}");
                Err(Error::new(ErrorCode::TYPE_MISMATCH, message))
            }
        }
    }
}

fn position(kind: BsonType) -> u32 {
    match kind {
        BsonType::MinKey => 31,
        BsonType::MaxKey => 30,
        other => u32::from(other.tag()),
    }
}

/// Whether the operand of `$exists` says yes: false, null, undefined and zero do not.
pub(super) fn is_affirmative(operand: ValueRef<'_>) -> bool {
    match operand {
        ValueRef::Boolean(truth) => truth,
        ValueRef::Null | ValueRef::Undefined => false,
        ValueRef::Int32(number) => number != 0,
        ValueRef::Int64(number) => number != 0,
        ValueRef::Double(number) => number != 0.0,
        ValueRef::Decimal128(number) => !number.is_zero(),
        _ => true,
    }
}

/// Reads the operand of `$size`.
pub(super) fn parse_size(path: &str, operand: ValueRef<'_>) -> Result<Option<usize>> {
    let count = integral(operand).filter(|count| *count >= 0).ok_or_else(|| {
        let kind = operand.kind().name();
        let message = format!("$size at '{path}' needs a whole number that is not negative, found {kind}");
        Error::new(ErrorCode::BAD_VALUE, message)
    })?;
    Ok(usize::try_from(count).ok())
}
