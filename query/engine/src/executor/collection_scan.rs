//! COLLSCAN: every document of a collection in the order of `_id`, or a range of it; of a capped collection in the order
//! they came.
//!
//! A scan can be *tailable*: it remembers where it stands, and goes on from there on a newer snapshot.

use std::sync::Arc;

use sheaf_language::filter::Filter;
use sheaf_storage::{Iter, IterOptions};

use super::{Examined, ExecutionContext, Row};
use crate::catalog::Collection;
use crate::collection::capped_documents;
use crate::key_layout::{self, KeyRange};
use crate::plan::ScanDirection;
use crate::{Error, Result, error_code};

/// Documents looked at between two looks at the clock.
const CHECK_EVERY: u64 = 256;

pub(crate) struct CollectionScan {
    /// What is left to scan; none: all of the collection.
    range: Option<KeyRange>,
    collection: Arc<Collection>,
    direction: ScanDirection,
    filter: Option<Arc<Filter>>,
    iter: Option<Iter>,
    /// Where an earlier scan stood, whose rest this one is.
    behind: Option<Vec<u8>>,
    /// The key of the last document, where the scan is tailable; empty in front of the first.
    tail: Option<Vec<u8>>,
    pub(super) examined: Examined,
}

impl CollectionScan {
    pub(super) fn new(
        collection: &Arc<Collection>,
        direction: ScanDirection,
        range: Option<KeyRange>,
        filter: Option<Arc<Filter>>,
    ) -> Self {
        let collection = Arc::clone(collection);
        let (iter, behind, tail, examined) = (None, None, None, Examined::default());
        Self { range, collection, direction, filter, iter, behind, tail, examined }
    }

    /// The key of the last document, of an earlier scan if this one has not begun.
    pub(super) fn place(&self) -> Option<&[u8]> {
        match &self.iter {
            Some(iter) => iter.valid().then(|| iter.key()),
            None => self.behind.as_deref(),
        }
    }

    /// Begins behind a key where an earlier scan stood.
    pub(super) fn go_to(&mut self, key: &[u8]) {
        self.behind = Some(key.to_vec());
    }

    /// Makes the scan remember where it stands.
    pub(crate) fn make_tailable(&mut self) {
        self.tail = Some(Vec::new());
    }

    /// Whether a tailable scan has met a document.
    pub(crate) fn has_started(&self) -> bool {
        self.tail.as_ref().is_some_and(|key| !key.is_empty())
    }

    /// Goes on behind the last document, on the snapshot that the context has now. The document must be there still:
    /// else it cannot be said what was dropped with it.
    pub(crate) fn go_on(&mut self, context: &ExecutionContext) -> Result<()> {
        self.iter = None;
        let Some(key) = self.tail.as_ref().filter(|key| !key.is_empty()) else { return Ok(()) };
        if context.snapshot.get(key)?.is_none() {
            return Err(Error::new(
                error_code::CAPPED_POSITION_LOST,
                format!(
                    "the document of {} where the cursor stood was dropped; what follows it may be gone too",
                    self.collection.namespace
                ),
            ));
        }
        let all = key_layout::documents(self.collection.id);
        self.range = Some(match self.direction {
            ScanDirection::Forward => KeyRange { lower: [key.as_slice(), &[0]].concat(), upper: all.upper },
            ScanDirection::Backward => KeyRange { lower: all.lower, upper: key.clone() },
        });
        Ok(())
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let end = rows.len() + wanted;
        while rows.len() < end {
            let iter = match &mut self.iter {
                Some(iter) => {
                    match self.direction {
                        ScanDirection::Forward => iter.next()?,
                        ScanDirection::Backward => iter.prev()?,
                    };
                    iter
                }
                empty => {
                    let mut range = first_range(context, &self.collection, self.range.clone())?;
                    if let Some(key) = &self.behind {
                        range = self.direction.behind(range, key);
                    }
                    empty.insert(start(context, range, self.direction)?)
                }
            };
            if !iter.valid() {
                return Ok(());
            }
            self.examined.documents += 1;
            if let Some(key) = &mut self.tail {
                key.clear();
                key.extend_from_slice(iter.key());
            }
            if self.examined.documents.is_multiple_of(CHECK_EVERY) {
                context.check_time()?;
            }
            if let Some(filter) = &self.filter {
                let document = sheaf_document::RawDocument::from_bytes(iter.value()).map_err(|error| {
                    Error::new(
                        error_code::DATA_CORRUPTION_DETECTED,
                        format!("a stored document is damaged: {error}"),
                    )
                })?;
                if !filter.matches(document, &mut context.environment)? {
                    continue;
                }
            }
            let document_key = iter.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default().to_vec();
            rows.push(Row::stored(iter.value_slice(), document_key));
        }
        Ok(())
    }
}

fn first_range(
    context: &ExecutionContext,
    collection: &Collection,
    range: Option<KeyRange>,
) -> Result<KeyRange> {
    match range {
        Some(range) => Ok(range),
        None if collection.options.capped => capped_documents(&context.snapshot, collection),
        None => Ok(key_layout::documents(collection.id)),
    }
}

fn start(context: &ExecutionContext, range: KeyRange, direction: ScanDirection) -> Result<Iter> {
    let options =
        IterOptions { lower: Some(range.lower), upper: Some(range.upper), ..IterOptions::default() };
    let mut iter = context.snapshot.iter(options)?;
    match direction {
        ScanDirection::Forward => iter.seek_to_first()?,
        ScanDirection::Backward => iter.seek_to_last()?,
    };
    Ok(iter)
}
