//! IXSCAN: the entries of an index within bounds, each document once.

use std::collections::HashSet;

use sheaf_storage::{Iter, IterOptions};

use super::{Examined, ExecutionContext, Row, RowEntry};
use crate::Result;
use crate::index::entry;
use crate::key_layout::{self, KeyRange};
use crate::plan::{IndexScanPlan, ScanDirection};

/// Entries looked at between two looks at the clock.
const CHECK_EVERY: u64 = 256;

pub(super) struct IndexScan {
    is_unique: bool,
    /// Whether rows bring their entries along.
    with_entries: bool,
    /// Whether this is the index on `_id`, whose entries are the documents themselves.
    is_primary: bool,
    direction: ScanDirection,
    /// The ranges left, the next one last.
    ranges: Vec<KeyRange>,
    iter: Option<Iter>,
    /// Where an earlier scan stood, as long as this one has not begun.
    behind: Option<Vec<u8>>,
    /// Documents returned, where one may have several entries within the bounds.
    seen: Option<HashSet<Vec<u8>>>,
    pub(super) examined: Examined,
}

impl IndexScan {
    pub(super) fn new(plan: &IndexScanPlan) -> Self {
        let mut ranges = plan.ranges.clone();
        if plan.direction == ScanDirection::Forward {
            ranges.reverse();
        }
        Self {
            is_unique: plan.index.specification.unique,
            with_entries: plan.with_entries,
            is_primary: plan.index.is_primary(),
            direction: plan.direction,
            ranges,
            iter: None,
            behind: None,
            seen: plan.is_multikey.then(HashSet::new),
            examined: Examined::default(),
        }
    }

    /// The key of the last entry, of an earlier scan if this one has not begun; none if the scan must know the documents of
    /// all entries before it.
    pub(super) fn place(&self) -> Option<&[u8]> {
        if self.seen.is_some() {
            return None;
        }
        match &self.iter {
            Some(iter) => iter.valid().then(|| iter.key()),
            None => self.behind.as_deref(),
        }
    }

    /// Begins behind a key where an earlier scan stood, for which all ranges before it were done.
    pub(super) fn go_to(&mut self, key: &[u8]) {
        self.behind = Some(key.to_vec());
        let left = std::mem::take(&mut self.ranges);
        let behind = left.into_iter().map(|range| self.direction.behind(range, key));
        self.ranges = behind.filter(|range| range.lower < range.upper).collect();
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let end = rows.len() + wanted;
        while rows.len() < end {
            if !context.takes_entry() || !self.advance(context)? {
                return Ok(());
            }
            self.examined.keys += 1;
            if self.examined.keys.is_multiple_of(CHECK_EVERY) {
                context.check_time()?;
            }
            let Some(iter) = &self.iter else { return Ok(()) };
            if self.is_primary {
                let document_key = iter.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default().to_vec();
                rows.push(Row::stored(iter.value_slice(), document_key));
                continue;
            }
            let parts = entry::split(iter.key(), iter.value(), self.is_unique)?;
            if let Some(seen) = &mut self.seen
                && !seen.insert(parts.document_key.to_vec())
            {
                continue;
            }
            let mut row = Row::entry(parts.document_key.to_vec());
            if self.with_entries {
                row.entry =
                    Some(Box::new(RowEntry { key: iter.key().to_vec(), value: iter.value().to_vec() }));
            }
            rows.push(row);
        }
        Ok(())
    }

    /// Goes to the next entry; `false` at the end of the last range.
    fn advance(&mut self, context: &ExecutionContext) -> Result<bool> {
        if let Some(iter) = &mut self.iter {
            let valid = match self.direction {
                ScanDirection::Forward => iter.next()?,
                ScanDirection::Backward => iter.prev()?,
            };
            if valid {
                return Ok(true);
            }
        }
        self.behind = None;
        while let Some(range) = self.ranges.pop() {
            let options =
                IterOptions { lower: Some(range.lower), upper: Some(range.upper), ..IterOptions::default() };
            let mut iter = context.snapshot.iter(options)?;
            let valid = match self.direction {
                ScanDirection::Forward => iter.seek_to_first()?,
                ScanDirection::Backward => iter.seek_to_last()?,
            };
            self.iter = Some(iter);
            if valid {
                return Ok(true);
            }
        }
        self.iter = None;
        Ok(false)
    }
}
