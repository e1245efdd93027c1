//! `$sortArray`: by the values themselves, or by fields of documents.

use std::cmp::Ordering;

use sheaf_document::{Collate, RawDocument, Value, ValueRef, compare};

use super::number::integral_i32;
use super::operator::Operator;
use super::parse::required;
use super::{Expression, FieldPath, Frame, Node, Scope};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::special("$sortArray", parse)];

/// `$sortArray` with its arguments.
#[derive(Clone)]
pub(crate) struct SortArray {
    pub(super) input: Expression,
    order: ArrayOrder,
}

/// By what values are ordered.
#[derive(Clone, Debug)]
pub(crate) enum ArrayOrder {
    /// By the values themselves.
    Whole {
        /// From the greatest to the least.
        descending: bool,
    },
    /// By fields, the first that differs decides.
    Fields(Box<[(FieldPath, bool)]>),
}

fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let message = format!("$sortArray takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(2_942_500, message));
    };
    let (mut input, mut sort_by) = (None, None);
    for element in document {
        match element.key() {
            "input" => input = Some(element.value()),
            "sortBy" => sort_by = Some(element.value()),
            other => {
                return Err(Error::location(2_942_501, format!("$sortArray has no argument '{other}'")));
            }
        }
    }
    let input = required(input, 2_942_502, "$sortArray", "input")?;
    let sort_by = required(sort_by, 2_942_503, "$sortArray", "sortBy")?;
    let order = ArrayOrder::parse(sort_by)?;
    let input = Expression::parse(input, scope)?;
    Ok(Node::SortArray(Box::new(SortArray { input, order })))
}

impl ArrayOrder {
    fn parse(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Document(pattern) => Self::parse_fields(pattern),
            ValueRef::Int32(_) | ValueRef::Int64(_) | ValueRef::Double(_) | ValueRef::Decimal128(_) => {
                match integral_i32(&Value::from(value)) {
                    Some(1) => Ok(Self::Whole { descending: false }),
                    Some(-1) => Ok(Self::Whole { descending: true }),
                    _ => Err(Error::location(2_942_506, "the order of $sortArray is 1 or -1")),
                }
            }
            other => {
                let message =
                    format!("$sortArray takes 1, -1 or a document of fields, found {}", other.kind().name());
                Err(Error::location(2_942_507, message))
            }
        }
    }

    fn parse_fields(pattern: RawDocument<'_>) -> Result<Self> {
        let mut fields = Vec::new();
        for element in pattern {
            let descending = match integral_i32(&Value::from(element.value())) {
                Some(1) => false,
                Some(-1) => true,
                _ => {
                    let message =
                        format!("the order of the field '{}' in $sortArray is 1 or -1", element.key());
                    return Err(Error::location(2_942_505, message));
                }
            };
            fields.push((FieldPath::parse(element.key())?, descending));
        }
        if fields.is_empty() {
            return Err(Error::location(2_942_505, "$sortArray takes at least one field"));
        }
        Ok(Self::Fields(fields.into_boxed_slice()))
    }

    /// Sorts; equal values keep their order.
    pub(crate) fn sort(&self, items: &mut [Value<'_>], collation: Option<&dyn Collate>) {
        match self {
            Self::Whole { descending } => {
                items.sort_by(|left, right| directed(compare(left, right, collation), *descending))
            }
            Self::Fields(fields) => items.sort_by(|left, right| {
                let orders = fields.iter().map(|(path, descending)| {
                    let (left, right) = (sort_value(path, left), sort_value(path, right));
                    directed(compare(&left, &right, collation), *descending)
                });
                orders.fold(Ordering::Equal, Ordering::then)
            }),
        }
    }
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

/// What an element is sorted by; nothing to be found sorts as null.
fn sort_value<'a>(path: &FieldPath, value: &Value<'a>) -> Value<'a> {
    super::array::present(path.walk_value(value))
}

impl SortArray {
    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        match self.input.run(frame)? {
            Value::Array(array) => {
                let mut items = array.into_items();
                self.order.sort(&mut items, frame.environment.collate());
                Ok(Value::array(items))
            }
            value if value.is_nullish() => Ok(Value::Null),
            other => Err(super::array::not_array("$sortArray", 2_942_504, &other)),
        }
    }
}
