//! Wildcard indexes: an entry for every value of a document with its path.
//!
//! A document is walked down to its values. Embedded documents and the elements of arrays are entered, an array within
//! an array is a value. An empty document is a value, an empty array stands as undefined. Positions in arrays are no
//! part of a path.
//!
//! Example: `{a: {b: 1}, c: [2, {d: [3, 4]}]}` has `("a.b", 1)`, `("c", 2)`, `("c.d", 3)`, `("c.d", 4)`.

use sheaf_document::{RawDocument, ValueRef};

use super::keys::{KEYS_MAX, too_many};
use crate::Result;

/// Which paths a wildcard index has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WildcardScope {
    /// Everything below this path, for `a.$**`.
    below: Option<String>,
    /// Only these and what is below them.
    included: Vec<String>,
    /// All but these and what is below them.
    excluded: Vec<String>,
    /// Whether `_id` is indexed.
    has_id: bool,
}

/// How much of what is at and below a path is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// Nothing.
    None,
    /// Something below it, but no value right at it.
    Below,
    /// Values right at it, and some below it.
    Part,
    /// All.
    Whole,
}

/// Whether `path` is `outer` or below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl WildcardScope {
    /// Reads the path in front of `$**` and the `wildcardProjection`, which was checked.
    pub(crate) fn new(path: &str, projection: Option<RawDocument<'_>>) -> Self {
        if !path.is_empty() {
            return Self { below: Some(path.to_owned()), has_id: true, ..Self::default() };
        }
        let mut scope = Self::default();
        for (path, is_included) in projection.map(flattened).unwrap_or_default() {
            match (path.as_str(), is_included) {
                ("_id", is_included) => scope.has_id = is_included,
                (_, true) => scope.included.push(path),
                (_, false) => scope.excluded.push(path),
            }
        }
        // A projection of {_id: 1} alone is one of nothing but the _id.
        if scope.has_id && scope.included.is_empty() && scope.excluded.is_empty() {
            scope.included.push("_id".to_owned());
        }
        scope
    }

    /// How much of a path is indexed.
    pub(crate) fn coverage(&self, path: &str) -> Coverage {
        if let Some(below) = &self.below {
            return inside(path, std::slice::from_ref(below));
        }
        if is_within(path, "_id") {
            return if self.has_id { Coverage::Whole } else { Coverage::None };
        }
        if !self.included.is_empty() {
            return inside(path, &self.included);
        }
        if self.excluded.iter().any(|excluded| is_within(path, excluded)) {
            Coverage::None
        } else if self.excluded.iter().any(|excluded| is_within(excluded, path)) {
            Coverage::Part
        } else {
            Coverage::Whole
        }
    }

    /// Calls `emit` with every path and value that is indexed. Returns whether there was an array.
    pub(super) fn each_value<'d>(
        &self,
        document: RawDocument<'d>,
        emit: &mut dyn FnMut(&str, ValueRef<'d>) -> Result<()>,
    ) -> Result<bool> {
        let mut walker =
            Walker { scope: self, path: String::new(), budget: KEYS_MAX, met_array: false, emit };
        walker.document(document)?;
        Ok(walker.met_array)
    }
}

fn inside(path: &str, included: &[String]) -> Coverage {
    if included.iter().any(|included| is_within(path, included)) {
        Coverage::Whole
    } else if included.iter().any(|included| is_within(included, path)) {
        Coverage::Below
    } else {
        Coverage::None
    }
}

/// The paths of a projection, those of nested documents joined by dots, and whether they are included.
pub(crate) fn flattened(projection: RawDocument<'_>) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    flatten(projection, "", &mut found);
    found
}

fn flatten(projection: RawDocument<'_>, prefix: &str, found: &mut Vec<(String, bool)>) {
    for element in projection {
        let path = format!("{prefix}{}", element.key());
        match element.value() {
            ValueRef::Document(nested) => flatten(nested, &format!("{path}."), found),
            ValueRef::Boolean(truth) => found.push((path, truth)),
            ValueRef::Int32(number) => found.push((path, number != 0)),
            ValueRef::Int64(number) => found.push((path, number != 0)),
            ValueRef::Double(number) => found.push((path, number != 0.0)),
            ValueRef::Decimal128(number) => found.push((path, !number.is_zero())),
            _ => {}
        }
    }
}

struct Walker<'s, 'd> {
    scope: &'s WildcardScope,
    path: String,
    budget: usize,
    met_array: bool,
    emit: &'s mut dyn FnMut(&str, ValueRef<'d>) -> Result<()>,
}

impl<'d> Walker<'_, 'd> {
    fn document(&mut self, document: RawDocument<'d>) -> Result<()> {
        let len = self.path.len();
        for element in document {
            if len > 0 {
                self.path.push('.');
            }
            self.path.push_str(element.key());
            let coverage = self.scope.coverage(&self.path);
            if coverage != Coverage::None {
                self.value(element.value(), coverage != Coverage::Below, true)?;
            }
            self.path.truncate(len);
        }
        Ok(())
    }

    /// `is_wanted`: values right here are indexed; `enters`: an array is gone into.
    fn value(&mut self, value: ValueRef<'d>, is_wanted: bool, enters: bool) -> Result<()> {
        match value {
            ValueRef::Document(nested) if !nested.is_empty() => self.document(nested),
            ValueRef::Array(array) if enters => {
                self.met_array = true;
                if array.is_empty() {
                    return self.found(ValueRef::Undefined, is_wanted);
                }
                array.iter().try_for_each(|item| self.value(item, is_wanted, false))
            }
            other => self.found(other, is_wanted),
        }
    }

    fn found(&mut self, value: ValueRef<'d>, is_wanted: bool) -> Result<()> {
        if !is_wanted {
            return Ok(());
        }
        self.budget = self.budget.checked_sub(1).ok_or_else(too_many)?;
        (self.emit)(&self.path, value)
    }
}

#[cfg(test)]
mod tests {
    use sheaf_document::DocumentBuilder;

    use super::*;

    fn projection(fields: &[(&str, i32)]) -> WildcardScope {
        let mut builder = DocumentBuilder::new();
        for (path, value) in fields {
            builder.append(path, *value);
        }
        WildcardScope::new("", Some(builder.build().as_raw()))
    }

    #[test]
    fn a_scope_says_what_of_a_path_it_has() {
        let all = WildcardScope::new("", None);
        assert_eq!([all.coverage("a"), all.coverage("_id")], [Coverage::Whole, Coverage::None]);
        let below = WildcardScope::new("a.b", None);
        let of = |path: &str| below.coverage(path);
        assert_eq!(
            [of("a"), of("a.b"), of("a.b.c"), of("a.bc")],
            [Coverage::Below, Coverage::Whole, Coverage::Whole, Coverage::None]
        );
        let included = projection(&[("a.b", 1), ("_id", 1)]);
        let of = |path: &str| included.coverage(path);
        assert_eq!(
            [of("a"), of("a.b"), of("c"), of("_id")],
            [Coverage::Below, Coverage::Whole, Coverage::None, Coverage::Whole]
        );
        let excluded = projection(&[("a.b", 0)]);
        let of = |path: &str| excluded.coverage(path);
        assert_eq!(
            [of("a"), of("a.b"), of("a.c"), of("_id")],
            [Coverage::Part, Coverage::None, Coverage::Whole, Coverage::None]
        );
        assert_eq!(projection(&[("_id", 1)]).coverage("a"), Coverage::None);
    }

    #[test]
    fn every_value_has_its_path() {
        let mut document = DocumentBuilder::new();
        document.append("_id", 1).document("a", |a| {
            a.append("b", 1).document("e", |_| {});
        });
        document.array("c", |c| {
            c.push(2);
            c.document(|d| {
                d.array("d", |d| {
                    d.push(3);
                    d.array(|inner| {
                        inner.push(4);
                    });
                });
            });
        });
        document.array("n", |_| {});
        let document = document.build();
        let mut found = Vec::new();
        let met_array = WildcardScope::new("", None)
            .each_value(document.as_raw(), &mut |path, value| {
                found.push(format!("{path} {}", crate::value_text::of(value)));
                Ok(())
            })
            .expect("walks");
        assert!(met_array);
        assert_eq!(found, ["a.b 1", "a.e {}", "c 2", "c.d 3", "c.d [4]", "n undefined"]);
    }
}
