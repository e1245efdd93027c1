//! Deleting measurements: what is left of a bucket is written again, an empty one goes.

use std::sync::Arc;
use std::time::Duration;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::expression::Environment;
use sheaf_storage::Durability;

use super::Series;
use super::bucket::Bucket;
use crate::collection::document_id::id_of;
use crate::collection::matching::Target;
use crate::collection::write::DocumentTransaction;
use crate::operation::{DeleteOperation, DeleteOutcome};
use crate::planner::{Query, QueryOptions, bucket_query};
use crate::session::{Recorded, Session, retrying_once};
use crate::{Error, Result, error_code};

/// Which measurements are deleted, and what their acknowledgement means.
pub(in crate::collection) struct Removal<'a> {
    pub(in crate::collection) query: &'a Query,
    /// All that match instead of the first.
    pub(in crate::collection) multi: bool,
    pub(in crate::collection) durability: Option<Durability>,
    pub(in crate::collection) max_time: Option<Duration>,
    /// Its number within the command, in a session that records statements. Not with `multi`.
    pub(in crate::collection) statement: Option<i32>,
}

/// Measurements that were deleted.
#[derive(Default)]
pub(in crate::collection) struct Removed {
    pub(in crate::collection) count: u64,
    pub(in crate::collection) last: Option<RawDocumentBuf>,
}

impl Session {
    /// Deletes measurements from a time series.
    pub(in crate::collection) fn delete_measurements(
        &self,
        operation: &DeleteOperation<'_>,
        series: &Series,
    ) -> Result<DeleteOutcome> {
        let options = QueryOptions::new(operation.filter, operation.hint, operation.common);
        let query = Query::parse(&options, Some(&series.view))?;
        let removal = Removal {
            query: &query,
            multi: operation.multi,
            durability: operation.durability,
            max_time: operation.common.max_time,
            statement: operation.statement.filter(|_| !operation.multi),
        };
        Ok(DeleteOutcome { deleted: self.remove_measurements(&removal, series)?.count })
    }

    /// Deletes the measurements that match, part by part, or the first of them.
    pub(in crate::collection) fn remove_measurements(
        &self,
        removal: &Removal<'_>,
        series: &Series,
    ) -> Result<Removed> {
        let query = removal.query;
        if query.filter.near().is_some() || query.filter.text().is_some() {
            return Err(Error::not_supported(
                "searching by distance or by text in a delete on a time series",
            ));
        }
        if let Some(done) = self.removed_before(removal, series)? {
            return Ok(done);
        }
        let candidates = bucket_query(&series.options, query);
        let mut matches = self.all_matches(&series.buckets, &candidates, removal.max_time)?;
        let mut buckets = Arc::clone(&series.buckets);
        let context = self.write_context(removal.durability);
        let mut removed = Removed::default();
        while removal.multi || removed.count == 0 {
            let part = matches.next_part()?;
            if part.is_empty() {
                break;
            }
            let statement = self.statement(removal.statement)?;
            let more = retrying_once(context, &mut buckets, statement, |transaction, buckets| {
                let mut removed = Removed::default();
                let mut environment = self.query_environment(query);
                let series = Series { buckets: Arc::clone(buckets), ..series.clone() };
                for row in &part {
                    if !removal.multi && removed.count > 0 {
                        break;
                    }
                    let Some(target) = Target::current(transaction, buckets, row)? else { continue };
                    remove_from(transaction, &series, &target, removal, &mut environment, &mut removed)?;
                }
                Ok(removed)
            })?;
            removed = Removed { count: removed.count + more.count, last: more.last.or(removed.last) };
        }
        Ok(removed)
    }
}

impl Session {
    /// What the statement removed when it was done before; none if it was not.
    fn removed_before(&self, removal: &Removal<'_>, series: &Series) -> Result<Option<Removed>> {
        let Some(id) = removal.statement else { return Ok(None) };
        let statement = self.statement(Some(id))?;
        if !statement.as_ref().is_some_and(|statement| statement.is_done(id)) {
            return Ok(None);
        }
        let context = self.write_context(removal.durability);
        let mut buckets = Arc::clone(&series.buckets);
        retrying_once(context, &mut buckets, statement, |_, _| Ok(Removed::default())).map(Some)
    }
}

impl Recorded for Removed {
    const KIND: &'static str = "remove";

    fn write(&self, record: &mut DocumentBuilder) {
        record.append("count", i64::try_from(self.count).unwrap_or(i64::MAX));
        if let Some(last) = &self.last {
            record.append("last", last.as_raw());
        }
    }

    fn read(record: RawDocument<'_>) -> Self {
        let count = match record.get("count") {
            Some(ValueRef::Int64(count)) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        };
        Self { count, last: record.get("last").and_then(ValueRef::as_document).map(RawDocument::to_buf) }
    }
}

/// Deletes the matching measurements of a bucket, or the first of them.
fn remove_from(
    transaction: &mut DocumentTransaction,
    series: &Series,
    target: &Target,
    removal: &Removal<'_>,
    environment: &mut Environment,
    removed: &mut Removed,
) -> Result<()> {
    let before = target.document()?;
    let mut doomed = Vec::new();
    let mut count = 0;
    series.options.unpack().each(before, |measurement| {
        let wanted = removal.multi || count == 0;
        let goes = wanted && removal.query.filter.matches(measurement.as_raw(), environment)?;
        count += u64::from(goes);
        doomed.push(goes);
        if goes {
            removed.last = Some(measurement);
        }
        Ok::<(), Error>(())
    })?;
    if count == 0 {
        return Ok(());
    }
    removed.count += count;
    let mut bucket = Bucket::decode(&series.options, before);
    if bucket.measurements.len() != doomed.len() {
        return Err(Error::new(
            error_code::DATA_CORRUPTION_DETECTED,
            format!("a bucket of {} has measurements without a time", series.view.namespace),
        ));
    }
    let mut goes = doomed.into_iter();
    bucket.measurements.retain(|_| !goes.next().unwrap_or(false));
    let Some(first) = bucket.measurements.first() else {
        return transaction.remove(&series.buckets, &target.document_key, before);
    };
    let begin = begin_of(series, before).unwrap_or_else(|| series.options.bucket_begin(first.time));
    let after = bucket.encode(&series.options, id_of(before)?, begin);
    transaction.replace(&series.buckets, &target.document_key, before, after)
}

/// The begin that a bucket says it has.
fn begin_of(series: &Series, bucket: RawDocument<'_>) -> Option<i64> {
    let min = bucket.get("control")?.as_document()?.get("min")?.as_document()?;
    match min.get(&series.options.time_field) {
        Some(ValueRef::DateTime(begin)) => Some(begin),
        _ => None,
    }
}
