//! `$top`, `$bottom`, `$topN`, `$bottomN`, `$minN`, `$maxN`: the few of many that come first in an order.

use std::cmp::Ordering;

use sheaf_document::{Collate, Value, compare};

use crate::expression::heap_bytes;

/// The first `limit` of what was added, by key, ties by arrival.
#[derive(Clone, Debug)]
pub struct Ranked<K> {
    limit: usize,
    latest_first: bool,
    items: Vec<(K, Value<'static>)>,
    bytes: usize,
    key_bytes: fn(&K) -> usize,
}

impl<K> Ranked<K> {
    /// Keeps at most `limit`. Equals stay in the order of their arrival, or in the reverse of it. `key_bytes` is what
    /// a key holds beyond itself.
    pub const fn new(limit: usize, latest_first: bool, key_bytes: fn(&K) -> usize) -> Self {
        Self { limit, latest_first, items: Vec::new(), bytes: 0, key_bytes }
    }

    fn item_bytes(&self, item: &(K, Value<'static>)) -> usize {
        size_of::<(K, Value<'static>)>() + (self.key_bytes)(&item.0) + heap_bytes(&item.1)
    }

    /// Adds an item; `order` compares keys.
    pub fn add(&mut self, key: K, value: Value<'static>, order: &dyn Fn(&K, &K) -> Ordering) {
        let place = self.items.partition_point(|(other, _)| match order(other, &key) {
            Ordering::Less => true,
            Ordering::Equal => !self.latest_first,
            Ordering::Greater => false,
        });
        if place >= self.limit {
            return;
        }
        let item = (key, value);
        self.bytes += self.item_bytes(&item);
        self.items.insert(place, item);
        if self.items.len() > self.limit
            && let Some(dropped) = self.items.pop()
        {
            self.bytes = self.bytes.saturating_sub(self.item_bytes(&dropped));
        }
    }

    /// Puts an item behind the others, where it was known to stand.
    pub(super) fn push_last(&mut self, key: K, value: Value<'static>) {
        let item = (key, value);
        self.bytes += self.item_bytes(&item);
        self.items.push(item);
    }

    /// What is kept, first to last.
    pub(super) fn items(&self) -> &[(K, Value<'static>)] {
        &self.items
    }

    /// Bytes held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The values, first to last.
    pub fn into_values(self) -> Vec<Value<'static>> {
        self.items.into_iter().map(|(_, value)| value).collect()
    }
}

/// Orders values for `$minN` (ascending) and `$maxN`.
pub fn by_value(
    ascending: bool,
    collation: Option<&dyn Collate>,
) -> impl Fn(&Value<'static>, &Value<'static>) -> Ordering {
    move |left, right| {
        let order = compare(left, right, collation);
        if ascending { order } else { order.reverse() }
    }
}
