//! The record of a capped collection: the positions in use, the count and the bytes.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use super::collection_options::CollectionOptions;
use super::record::damaged;
use crate::Result;

/// Which positions are in use, and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CappedState {
    /// No document is in front of this position.
    pub(crate) first: u64,
    /// The position of the next document.
    pub(crate) next: u64,
    /// How many documents there are.
    pub(crate) documents: u64,
    /// The sum of their sizes.
    pub(crate) bytes: u64,
}

impl Default for CappedState {
    /// An empty collection.
    fn default() -> Self {
        Self { first: 1, next: 1, documents: 0, bytes: 0 }
    }
}

impl CappedState {
    /// Counts a document at the end.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.next = self.next.saturating_add(1);
        self.documents = self.documents.saturating_add(1);
        self.bytes = self.bytes.saturating_add(to_u64(bytes));
    }

    /// Counts a document that is gone.
    pub(crate) fn remove(&mut self, bytes: usize) {
        self.documents = self.documents.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(to_u64(bytes));
    }

    /// Counts a document that has another size.
    pub(crate) fn resize(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes.saturating_sub(to_u64(before)).saturating_add(to_u64(after));
    }

    /// Whether there is more than the options allow.
    pub(crate) fn is_over(&self, options: &CollectionOptions) -> bool {
        let over = |limit: Option<i64>, found: u64| {
            limit.and_then(|limit| u64::try_from(limit).ok()).is_some_and(|limit| found > limit)
        };
        over(options.size_bytes, self.bytes) || over(options.documents_max, self.documents)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut out = DocumentBuilder::new();
        out.append("first", number(self.first))
            .append("next", number(self.next))
            .append("documents", number(self.documents))
            .append("bytes", number(self.bytes));
        out.build().into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let document = RawDocument::validate(bytes).map_err(damaged)?;
        let number = |name: &str| match document.get(name) {
            Some(ValueRef::Int64(number)) => u64::try_from(number)
                .map_err(|_| damaged(format_args!("\"{name}\" of a capped collection is negative"))),
            _ => Err(damaged(format_args!("\"{name}\" of a capped collection is missing"))),
        };
        Ok(Self {
            first: number("first")?,
            next: number("next")?,
            documents: number("documents")?,
            bytes: number("bytes")?,
        })
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_survives_and_damage_is_an_error() {
        let state = CappedState { first: 3, next: 9, documents: 5, bytes: 1_000 };
        let bytes = state.encode();
        assert_eq!(CappedState::decode(&bytes).expect("valid"), state);
        for len in 0..bytes.len() {
            assert!(CappedState::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
        let mut out = DocumentBuilder::new();
        out.append("first", -1i64).append("next", 1i64).append("documents", 0i64).append("bytes", 0i64);
        assert!(CappedState::decode(out.build().as_bytes()).is_err());
    }

    #[test]
    fn limits_are_inclusive() {
        let options = CollectionOptions {
            capped: true,
            size_bytes: Some(256),
            documents_max: Some(2),
            ..CollectionOptions::default()
        };
        let mut state = CappedState::default();
        state.add(100);
        state.add(156);
        assert!(!state.is_over(&options));
        state.resize(100, 101);
        assert!(state.is_over(&options));
        state.resize(101, 10);
        state.add(10);
        assert!(state.is_over(&options), "three documents are more than two");
    }
}
