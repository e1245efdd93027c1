//! `$addToSet` and `$setUnion`: values, each once. Found again by hash, so that a large set costs no more per value
//! than a small one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use sheaf_document::{Collate, Value, equal, hash_value};

use crate::expression::heap_bytes;

/// Bytes that finding a value again takes, about.
const PLACE_BYTES: usize = 32;

/// Values in the order they came, each once.
#[derive(Clone, Default)]
pub(crate) struct DistinctValues {
    values: Vec<Value<'static>>,
    /// Places in `values` by hash.
    places: HashMap<u64, Vec<usize>>,
    bytes: usize,
}

impl DistinctValues {
    /// Adds a value unless an equal one is there.
    pub(crate) fn add(&mut self, value: Value<'_>, collation: Option<&dyn Collate>) {
        // Seeded the same in every run: what a query returns does not depend on chance.
        let mut hasher = DefaultHasher::new();
        hash_value(&value, collation, &mut hasher);
        let places = self.places.entry(hasher.finish()).or_default();
        let known = places
            .iter()
            .any(|place| self.values.get(*place).is_some_and(|other| equal(other, &value, collation)));
        if known {
            return;
        }
        places.push(self.values.len());
        self.bytes += heap_bytes(&value) + size_of::<Value<'static>>() + PLACE_BYTES;
        self.values.push(value.into_owned());
    }

    /// Bytes held.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The values, looked at.
    pub(crate) fn values(&self) -> &[Value<'static>] {
        &self.values
    }

    /// The values.
    pub(crate) fn into_values(self) -> Vec<Value<'static>> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_one_value_and_large_sets_stay_fast() {
        let mut set = DistinctValues::default();
        for number in 0..50_000 {
            set.add(Value::Int32(number), None);
            set.add(Value::Double(f64::from(number)), None);
        }
        assert!(set.bytes() > 50_000 * PLACE_BYTES);
        let values = set.into_values();
        assert_eq!(values.len(), 50_000);
        assert!(values.iter().all(|value| matches!(value, Value::Int32(_))));
    }
}
