//! The update operators: their names, and the typed form they are parsed to.

use sheaf_document::{Value, ValueRef};

use super::array::{AddToSet, Pull, Push};
use super::{array, number, scalar};
use crate::Result;

/// What is done to one value.
#[derive(Clone, Debug)]
pub enum Operator {
    /// `$addToSet`.
    AddToSet(AddToSet),
    /// `$bit`.
    Bit(Vec<(number::BitOperation, number::Integer)>),
    /// `$currentDate`.
    CurrentDate {
        /// A timestamp instead of a date.
        timestamp: bool,
    },
    /// `$inc`.
    Increment(Value<'static>),
    /// `$max`.
    Max(Value<'static>),
    /// `$min`.
    Min(Value<'static>),
    /// `$mul`.
    Multiply(Value<'static>),
    /// `$pop`.
    Pop {
        /// The first element instead of the last.
        first: bool,
    },
    /// `$pull`.
    Pull(Pull),
    /// `$pullAll`.
    PullAll(Vec<Value<'static>>),
    /// `$push`.
    Push(Push),
    /// The destination of a `$rename`: takes the value of the source, if there is one.
    RenameFrom {
        /// The path whose value moves here.
        source: Box<str>,
    },
    /// The source of a `$rename`: goes away.
    RenameTo,
    /// `$set`.
    Set(Value<'static>),
    /// `$setOnInsert`.
    SetOnInsert(Value<'static>),
    /// `$unset`.
    Unset,
}

impl Operator {
    /// Whether it makes a value where there is none.
    pub fn creates(&self, is_insert: bool) -> bool {
        match self {
            Self::AddToSet(_)
            | Self::Bit(_)
            | Self::CurrentDate { .. }
            | Self::Increment(_)
            | Self::Max(_)
            | Self::Min(_)
            | Self::Multiply(_)
            | Self::Push(_)
            | Self::RenameFrom { .. }
            | Self::Set(_) => true,
            Self::Pop { .. } | Self::Pull(_) | Self::PullAll(_) | Self::RenameTo | Self::Unset => false,
            Self::SetOnInsert(_) => is_insert,
        }
    }
}

/// Reads one operand.
type Parser = fn(&super::UpdateContext<'_>, &str, ValueRef<'_>) -> Result<Operator>;

/// The operators by name, `$rename` aside, which makes two.
const OPERATORS: &[(&str, Parser)] = &[
    ("$addToSet", array::parse_add_to_set),
    ("$bit", number::parse_bit),
    ("$currentDate", scalar::parse_current_date),
    ("$inc", number::parse_increment),
    ("$max", |_, _, value| Ok(Operator::Max(own(value)))),
    ("$min", |_, _, value| Ok(Operator::Min(own(value)))),
    ("$mul", number::parse_multiply),
    ("$pop", array::parse_pop),
    ("$pull", array::parse_pull),
    ("$pullAll", array::parse_pull_all),
    ("$push", array::parse_push),
    ("$set", |_, _, value| Ok(Operator::Set(own(value)))),
    ("$setOnInsert", |_, _, value| Ok(Operator::SetOnInsert(own(value)))),
    ("$unset", |_, _, _| Ok(Operator::Unset)),
];

/// The parser of the operator with this name.
pub fn parser(name: &str) -> Option<Parser> {
    OPERATORS.iter().find(|(known, _)| *known == name).map(|(_, parser)| *parser)
}

/// An owned copy.
pub fn own(value: ValueRef<'_>) -> Value<'static> {
    Value::from(value).into_owned()
}
