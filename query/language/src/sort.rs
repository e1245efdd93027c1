//! Sorting: the specification, the key of a document, and the order of keys.
//!
//! Where a path leads through an array, the document has several candidate keys and the one that comes first in the
//! order of the sort is its key: ascending sorts look at the smallest element, descending ones at the largest. In
//! a compound key the paths that go through the same array are taken from the same element; paths through two
//! different arrays have no common key and are refused.

use std::cmp::Ordering;

use sheaf_document::decimal::Rounding;
use sheaf_document::{Collate, RawArray, RawDocument, Value, ValueRef, compare};

use crate::expression::{self, Environment, Expression, Scope};
use crate::filter::modulo::truncated;
use crate::filter::path::{Component, FieldPath};
use crate::{Error, ErrorCode, Result};

/// Most parts that a sort may have.
pub const SORT_PARTS_MAX: usize = 32;

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    /// Turns an ascending order into this one.
    pub const fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }

    /// The other one.
    pub const fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// What is sorted by.
#[derive(Clone)]
pub enum SortBy {
    /// The value at a path.
    Path(FieldPath),
    /// A `$meta` expression; sorts descending.
    Meta(Expression),
}

/// One part of a sort.
#[derive(Clone)]
pub struct SortPart {
    /// What.
    pub by: SortBy,
    /// Which way.
    pub direction: Direction,
}

impl SortPart {
    /// The path that is sorted by, if it is one.
    pub fn path(&self) -> Option<&str> {
        match &self.by {
            SortBy::Path(path) => Some(path.as_str()),
            SortBy::Meta(_) => None,
        }
    }
}

/// A compiled sort.
#[derive(Clone)]
pub struct SortSpec {
    parts: Vec<SortPart>,
}

/// The key of a document in a sort: a value per part.
pub type SortKey = Vec<Value<'static>>;

impl SortSpec {
    /// Reads `{a: 1, b: -1, c: {$meta: "textScore"}}`. `$natural` is the caller's to take out before.
    pub fn parse(document: RawDocument<'_>, scope: &mut Scope) -> Result<Self> {
        let parts = document
            .iter()
            .map(|element| part(element.key(), element.value(), scope))
            .collect::<Result<Vec<_>>>()?;
        let paths: Vec<&str> = parts.iter().filter_map(SortPart::path).collect();
        if paths.len() > SORT_PARTS_MAX {
            let message = format!("a sort has at most {SORT_PARTS_MAX} fields, found {}", paths.len());
            return Err(Error::location(13103, message));
        }
        let twice = paths
            .iter()
            .enumerate()
            .find(|(index, path)| paths.iter().take(*index).any(|known| known == *path));
        if let Some((_, path)) = twice {
            return Err(Error::location(7_472_500, format!("the sort names the field '{path}' twice")));
        }
        Ok(Self { parts })
    }

    /// The parts, first to last.
    pub fn parts(&self) -> &[SortPart] {
        &self.parts
    }

    /// Whether there is nothing to sort by.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The key of a document.
    pub fn key(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<SortKey> {
        let mut fields = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            fields.push(match &part.by {
                SortBy::Path(path) => Field::follow(document, path.components()),
                SortBy::Meta(expression) => {
                    let value = expression.evaluate(document, environment)?;
                    Field::Computed(value.into_owned())
                }
            });
        }
        let mut best = None;
        self.expand(&fields, environment.collate(), &mut best)?;
        Ok(best.unwrap_or_default())
    }

    /// The order of two keys of this sort.
    pub fn compare(
        &self,
        left: &[Value<'_>],
        right: &[Value<'_>],
        collator: Option<&dyn Collate>,
    ) -> Ordering {
        for ((part, left), right) in self.parts.iter().zip(left).zip(right) {
            let ordering = part.direction.apply(compare(left, right, collator));
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Tries every key that the arrays of the document allow and keeps the first in order.
    fn expand(
        &self,
        fields: &[Field<'_, '_>],
        collator: Option<&dyn Collate>,
        best: &mut Option<SortKey>,
    ) -> Result<()> {
        let Some(array) = shared_array(fields)? else {
            let key: SortKey = fields.iter().map(Field::value).collect();
            let is_better = best.as_ref().is_none_or(|best| self.compare(&key, best, collator).is_lt());
            if is_better {
                *best = Some(key);
            }
            return Ok(());
        };
        if array.is_empty() {
            let fields: Vec<_> = fields.iter().map(Field::at_empty).collect();
            return self.expand(&fields, collator, best);
        }
        for element in array.iter() {
            let fields: Vec<_> = fields.iter().map(|field| field.at(element)).collect();
            self.expand(&fields, collator, best)?;
        }
        Ok(())
    }
}

fn part(name: &str, value: ValueRef<'_>, scope: &mut Scope) -> Result<SortPart> {
    expression::FieldPath::parse(name)?;
    if let ValueRef::Document(document) = value {
        if document.first().is_none_or(|first| first.key() != "$meta") || document.iter().nth(1).is_some() {
            let message = format!("the sort by '{name}' must be 1, -1 or a $meta expression");
            return Err(Error::location(17312, message));
        }
        let expression = Expression::parse(value, scope)?;
        return Ok(SortPart { by: SortBy::Meta(expression), direction: Direction::Descending });
    }
    if !value.kind().is_number() {
        let message =
            format!("the sort by '{name}' must be 1, -1 or a $meta expression, not {}", value.kind().name());
        return Err(Error::location(15974, message));
    }
    // As MongoDB reads a long: doubles are cut, decimals rounded.
    let whole = match value {
        ValueRef::Decimal128(number) => number.to_i64(Rounding::HalfEven),
        other => truncated(other),
    };
    let direction = match whole {
        Some(1) => Direction::Ascending,
        Some(-1) => Direction::Descending,
        _ => return Err(Error::location(15975, format!("the sort by '{name}' must be 1 or -1"))),
    };
    Ok(SortPart { by: SortBy::Path(FieldPath::parse(name)), direction })
}

/// What one part has found so far.
#[derive(Clone)]
enum Field<'a, 'p> {
    /// Its value.
    Found(ValueRef<'a>),
    /// Its value, computed.
    Computed(Value<'static>),
    /// An array, with the rest of the path.
    Array(RawArray<'a>, &'p [Component]),
}

impl<'a, 'p> Field<'a, 'p> {
    /// Follows a path up to its end or to the first array.
    fn follow(document: RawDocument<'a>, path: &'p [Component]) -> Self {
        let (mut current, mut path) = (document, path);
        while let Some((component, rest)) = path.split_first() {
            match current.get(component.name()) {
                Some(ValueRef::Array(array)) => return Self::through(array, rest),
                Some(ValueRef::Document(nested)) if !rest.is_empty() => current = nested,
                Some(value) if rest.is_empty() => return Self::Found(value),
                _ => break,
            }
            path = rest;
        }
        Self::Found(ValueRef::Null)
    }

    /// A number after an array picks one element, unless documents in the array have a field of that name.
    fn through(array: RawArray<'a>, path: &'p [Component]) -> Self {
        let Some((component, rest)) = path.split_first() else { return Self::Array(array, path) };
        let Some(index) = component.index() else { return Self::Array(array, path) };
        let names_field = array
            .iter()
            .any(|item| item.as_document().is_some_and(|item| item.get_element(component.name()).is_some()));
        if names_field {
            return Self::Array(array, path);
        }
        match array.get(index) {
            Some(ValueRef::Array(nested)) => Self::through(nested, rest),
            Some(ValueRef::Document(nested)) if !rest.is_empty() => Self::follow(nested, rest),
            Some(value) if rest.is_empty() => Self::Found(value),
            _ => Self::Found(ValueRef::Null),
        }
    }

    fn at(&self, element: ValueRef<'a>) -> Self {
        match self {
            Self::Array(_, []) => Self::Found(element),
            Self::Array(_, path) => match element {
                ValueRef::Document(document) => Self::follow(document, path),
                _ => Self::Found(ValueRef::Null),
            },
            other => other.clone(),
        }
    }

    fn at_empty(&self) -> Self {
        match self {
            Self::Array(_, []) => Self::Found(ValueRef::Undefined),
            Self::Array(..) => Self::Found(ValueRef::Null),
            other => other.clone(),
        }
    }

    fn value(&self) -> Value<'static> {
        match self {
            Self::Found(value) => Value::from(*value).into_owned(),
            Self::Computed(value) => value.clone(),
            Self::Array(array, _) => Value::from(ValueRef::Array(*array)).into_owned(),
        }
    }
}

/// The array that has to be entered next, which must be the same for all parts that wait at one.
fn shared_array<'a>(fields: &[Field<'a, '_>]) -> Result<Option<RawArray<'a>>> {
    let mut shared: Option<RawArray<'a>> = None;
    for field in fields {
        let Field::Array(array, _) = field else { continue };
        match shared {
            None => shared = Some(*array),
            Some(known) if std::ptr::eq(known.as_bytes(), array.as_bytes()) => {}
            Some(_) => {
                let message = "cannot sort by two paths that lead through different arrays";
                return Err(Error::new(ErrorCode::BAD_VALUE, message));
            }
        }
    }
    Ok(shared)
}

impl std::fmt::Debug for SortSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.parts.iter().map(|part| match &part.by {
                SortBy::Path(path) => (path.as_str(), part.direction),
                SortBy::Meta(_) => ("$meta", part.direction),
            }))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use sheaf_document::{DocumentBuilder, RawDocumentBuf};

    use super::*;

    fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
        let mut builder = DocumentBuilder::new();
        write(&mut builder);
        builder.build()
    }

    fn key(sort: &[(&str, i32)], subject: &RawDocumentBuf) -> Result<String> {
        let spec = document(|d| {
            for (path, direction) in sort {
                d.append(path, *direction);
            }
        });
        let spec = SortSpec::parse(spec.as_raw(), &mut Scope::new())?;
        let key = spec.key(subject.as_raw(), &mut Environment::new(0, 0))?;
        Ok(format!("{key:?}"))
    }

    fn numbers(items: &[i32]) -> Value<'static> {
        Value::array(items.iter().map(|item| Value::Int32(*item)).collect())
    }

    #[test]
    fn arrays_sort_by_their_smallest_or_largest_element() {
        let subject = document(|d| {
            d.append("a", numbers(&[5, 1, 9]));
        });
        assert_eq!(key(&[("a", 1)], &subject).unwrap(), "[Int32(1)]");
        assert_eq!(key(&[("a", -1)], &subject).unwrap(), "[Int32(9)]");
        assert_eq!(key(&[("a.1", 1)], &subject).unwrap(), "[Int32(1)]");
        assert_eq!(key(&[("b", 1)], &subject).unwrap(), "[Null]");
        assert_eq!(
            key(
                &[("e", 1)],
                &document(|d| {
                    d.append("e", numbers(&[]));
                })
            )
            .unwrap(),
            "[Undefined]"
        );
    }

    #[test]
    fn paths_through_one_array_stay_together_and_through_two_are_refused() {
        let pair = |b: i32, c: i32| {
            Value::from(document(|d| {
                d.append("b", b).append("c", c);
            }))
        };
        let subject = document(|d| {
            d.append("a", vec![pair(1, 9), pair(1, 3), pair(0, 7)]).append("z", numbers(&[1]));
        });
        assert_eq!(key(&[("a.b", 1), ("a.c", 1)], &subject).unwrap(), "[Int32(0), Int32(7)]");
        assert_eq!(key(&[("a.b", -1), ("a.c", 1)], &subject).unwrap(), "[Int32(1), Int32(3)]");
        assert_eq!(key(&[("a.b", 1), ("z", 1)], &subject).unwrap_err().code, ErrorCode::BAD_VALUE);
    }

    #[test]
    fn directions_are_checked() {
        let subject = document(|_| {});
        assert_eq!(key(&[("a", 0)], &subject).unwrap_err().code, ErrorCode(15975));
        assert_eq!(key(&[("", 1)], &subject).unwrap_err().code, ErrorCode(40352));
    }
}
