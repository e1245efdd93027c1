//! COLLSCAN: every document of a collection in the order of `_id`, or a range of it.

use std::sync::Arc;

use sheaf_language::filter::Filter;
use sheaf_storage::{Iter, IterOptions, ValueSlice};

use super::{Examined, ExecutionContext, Row};
use crate::catalog::Collection;
use crate::key_layout::{self, KeyRange};
use crate::plan::ScanDirection;
use crate::{Error, Result, error_code};

/// Documents looked at between two looks at the clock.
const CHECK_EVERY: u64 = 256;

pub(super) struct CollectionScan {
    range: KeyRange,
    direction: ScanDirection,
    filter: Option<Arc<Filter>>,
    iter: Option<Iter>,
    pub(super) examined: Examined,
}

impl CollectionScan {
    pub(super) fn new(
        collection: &Collection,
        direction: ScanDirection,
        range: Option<KeyRange>,
        filter: Option<Arc<Filter>>,
    ) -> Self {
        let range = range.unwrap_or_else(|| key_layout::documents(collection.id));
        Self { range, direction, filter, iter: None, examined: Examined::default() }
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
                empty => empty.insert(start(context, &self.range, self.direction)?),
            };
            if !iter.valid() {
                return Ok(());
            }
            self.examined.documents += 1;
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
            rows.push(Row::stored(ValueSlice::copied(iter.value()), document_key));
        }
        Ok(())
    }
}

fn start(context: &ExecutionContext, range: &KeyRange, direction: ScanDirection) -> Result<Iter> {
    let options = IterOptions {
        lower: Some(range.lower.clone()),
        upper: Some(range.upper.clone()),
        ..IterOptions::default()
    };
    let mut iter = context.snapshot.iter(options)?;
    match direction {
        ScanDirection::Forward => iter.seek_to_first()?,
        ScanDirection::Backward => iter.seek_to_last()?,
    };
    Ok(iter)
}
