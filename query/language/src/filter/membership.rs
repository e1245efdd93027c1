//! `$in`: equality with any of a list, or a match of any of its regular expressions. The list is kept sorted, so that
//! a long one costs a binary search per value.

use sheaf_document::{Collate, Value, ValueRef, compare_refs};

use super::regular::RegexTest;

/// The list of an `$in`.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    values: Vec<Value<'static>>,
    regexes: Vec<RegexTest>,
    has_null: bool,
}

impl Membership {
    /// Sorts the values by the order of the query.
    pub(super) fn new(
        mut values: Vec<Value<'static>>,
        regexes: Vec<RegexTest>,
        collator: Option<&dyn Collate>,
    ) -> Self {
        let order = |left: &Value<'static>, right: &Value<'static>| match (left.as_ref(), right.as_ref()) {
            (Some(left), Some(right)) => compare_refs(left, right, collator),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        values.sort_by(order);
        values.dedup_by(|left, right| order(left, right).is_eq());
        let has_null = values.iter().any(|value| matches!(value, Value::Null));
        Self { values, regexes, has_null }
    }

    /// The values, sorted, without duplicates.
    pub fn values(&self) -> &[Value<'static>] {
        &self.values
    }

    /// The regular expressions.
    pub fn regexes(&self) -> &[RegexTest] {
        &self.regexes
    }

    /// Whether null, and so a missing field, is in the list.
    pub const fn has_null(&self) -> bool {
        self.has_null
    }

    /// Whether there is nothing in the list.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.regexes.is_empty()
    }

    /// Whether `value` (`None`: missing) is in the list.
    pub fn matches(
        &self,
        value: Option<ValueRef<'_>>,
        collator: Option<&dyn Collate>,
    ) -> crate::Result<bool> {
        let Some(value) = value else { return Ok(self.has_null) };
        let found = self.values.binary_search_by(|candidate| match candidate.as_ref() {
            Some(candidate) => compare_refs(candidate, value, collator),
            None => std::cmp::Ordering::Less,
        });
        if found.is_ok() {
            return Ok(true);
        }
        for regex in &self.regexes {
            if regex.matches(Some(value))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
