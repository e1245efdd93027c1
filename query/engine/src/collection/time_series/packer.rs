//! Puts measurements into buckets within one transaction.
//!
//! For each measurement, in this order:
//!
//! 1. a bucket this transaction has in hand already;
//! 2. a bucket that is remembered as open;
//! 3. if nothing is remembered of its meta value (the process is new): one of the newest buckets around its time;
//! 4. a new bucket, which begins at its time, rounded down.
//!
//! A bucket fits if it has the same meta value, spans the time, and has room.

use std::collections::HashMap;

use sheaf_document::{ObjectId, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_storage::IterOptions;

use super::bucket::{Bucket, Measurement};
use super::open_buckets::OpenBucket;
use crate::catalog::{Collection, TimeSeries};
use crate::collection::document_id::check_size;
use crate::collection::write::DocumentTransaction;
use crate::{Result, key_layout};

/// Most measurements of a bucket, as in MongoDB.
const MEASUREMENTS_MAX: usize = 1_000;

/// Most bytes of measurements in a bucket, as in MongoDB; a single one may be larger.
const BUCKET_BYTES_MAX: usize = 125 << 10;

/// Buckets looked at to find one again.
const REOPENED_MAX: usize = 64;

/// A bucket in hand.
struct InHand {
    begin_millis: i64,
    document_key: Vec<u8>,
    id: ObjectId,
    /// As it is stored; none if it is new.
    before: Option<RawDocumentBuf>,
    bucket: Bucket,
    is_changed: bool,
}

impl InHand {
    fn has_room(&self, measurement: &Measurement) -> bool {
        let bucket = &self.bucket;
        bucket.measurements.is_empty()
            || bucket.measurements.len() < MEASUREMENTS_MAX
                && bucket.bytes.saturating_add(measurement.bytes()) <= BUCKET_BYTES_MAX
    }
}

/// The buckets of one transaction.
pub(super) struct Packer<'a> {
    series: &'a TimeSeries,
    collection: &'a Collection,
    /// By the bytes of `{meta: value}`.
    in_hand: HashMap<Vec<u8>, Vec<InHand>>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(series: &'a TimeSeries, collection: &'a Collection) -> Self {
        Self { series, collection, in_hand: HashMap::new() }
    }

    /// Puts a measurement into a bucket. `random` makes the rest of a new bucket's identity.
    pub(super) fn add(
        &mut self,
        transaction: &DocumentTransaction,
        measurement: Measurement,
        random: impl FnOnce() -> u64,
    ) -> Result<()> {
        let meta = measurement.meta.as_bytes().to_vec();
        let is_first = !self.in_hand.contains_key(&meta);
        if is_first {
            let found = self.find(transaction, &measurement)?;
            self.in_hand.insert(meta.clone(), found);
        }
        let series = self.series;
        let buckets = self.in_hand.entry(meta).or_default();
        let fitting = buckets.iter_mut().find(|bucket| {
            series.spans(bucket.begin_millis, measurement.time) && bucket.has_room(&measurement)
        });
        let bucket = match fitting {
            Some(bucket) => bucket,
            None => {
                let begin_millis = series.bucket_begin(measurement.time);
                let id = bucket_id(begin_millis, random());
                let document_key =
                    key_layout::document_key(ValueRef::ObjectId(id), self.collection.collate())?;
                let (before, bucket) = (None, Bucket::default());
                buckets.push(InHand { begin_millis, document_key, id, before, bucket, is_changed: false });
                match buckets.last_mut() {
                    Some(new) => new,
                    None => return Err(crate::Error::internal("a new bucket is not in hand")),
                }
            }
        };
        bucket.bucket.push(measurement);
        bucket.is_changed = true;
        Ok(())
    }

    /// Stored buckets that may take measurements of this one's meta value.
    fn find(&self, transaction: &DocumentTransaction, measurement: &Measurement) -> Result<Vec<InHand>> {
        let meta = measurement.meta.as_bytes();
        let mut found = Vec::new();
        let Some(open) = self.collection.open_buckets.of(meta) else {
            return self.reopen(transaction, measurement);
        };
        for OpenBucket { document_key, .. } in open {
            if let Some(bytes) = transaction.read(self.collection, &document_key)? {
                found.extend(self.take(meta, document_key, &bytes));
            }
        }
        Ok(found)
    }

    /// Looks for a bucket among the newest around the measurement's time.
    fn reopen(&self, transaction: &DocumentTransaction, measurement: &Measurement) -> Result<Vec<InHand>> {
        let span = self.series.span_seconds;
        let second = measurement.time.div_euclid(1_000);
        let at = |second: i64| u32::try_from(second).ok();
        let (Some(first), Some(behind)) =
            (at(second.saturating_sub(span).max(0)), at(second.saturating_add(1)))
        else {
            // Outside the years that object ids can tell, buckets are not in the order of time.
            return Ok(Vec::new());
        };
        let key = |second: u32| -> Result<Vec<u8>> {
            let id = ValueRef::ObjectId(object_id(second, 0));
            let document_key = key_layout::document_key(id, self.collection.collate())?;
            Ok(key_layout::document(self.collection.id, &document_key))
        };
        let options =
            IterOptions { lower: Some(key(first)?), upper: Some(key(behind)?), ..IterOptions::default() };
        let mut buckets = transaction.transaction.iter(options)?;
        let mut valid = buckets.seek_to_last()?;
        for _ in 0..REOPENED_MAX {
            if !valid {
                break;
            }
            let document_key = buckets.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default().to_vec();
            let taken = self.take(measurement.meta.as_bytes(), document_key, buckets.value());
            if let Some(bucket) = taken.filter(|bucket| {
                self.series.spans(bucket.begin_millis, measurement.time) && bucket.has_room(measurement)
            }) {
                return Ok(vec![bucket]);
            }
            valid = buckets.prev()?;
        }
        Ok(Vec::new())
    }

    /// A stored bucket, if it is of this meta value.
    fn take(&self, meta: &[u8], document_key: Vec<u8>, bytes: &[u8]) -> Option<InHand> {
        let document = RawDocument::from_bytes(bytes).ok()?;
        let Some(ValueRef::ObjectId(id)) = document.get("_id") else { return None };
        let min = document.get("control")?.as_document()?.get("min")?.as_document()?;
        let Some(ValueRef::DateTime(begin_millis)) = min.get(&self.series.time_field) else { return None };
        let bucket = Bucket::decode(self.series, document);
        let own = bucket.measurements.first()?.meta.as_bytes();
        (own == meta).then(|| InHand {
            begin_millis,
            document_key,
            id,
            before: Some(document.to_buf()),
            bucket,
            is_changed: false,
        })
    }

    /// Writes the buckets that changed. Returns those that may take more, with their meta values.
    pub(super) fn write(self, transaction: &mut DocumentTransaction) -> Result<Vec<(Vec<u8>, OpenBucket)>> {
        let mut open = Vec::new();
        for (meta, buckets) in self.in_hand {
            for mut in_hand in buckets.into_iter().filter(|bucket| bucket.is_changed) {
                let id = ValueRef::ObjectId(in_hand.id);
                let after = in_hand.bucket.encode(self.series, id, in_hand.begin_millis);
                check_size(after.as_raw())?;
                match &in_hand.before {
                    Some(before) => {
                        transaction.replace(self.collection, &in_hand.document_key, before.as_raw(), after)?
                    }
                    None => transaction.insert(self.collection, after)?,
                }
                let InHand { begin_millis, document_key, .. } = in_hand;
                open.push((meta.clone(), OpenBucket { begin_millis, document_key }));
            }
        }
        Ok(open)
    }
}

/// The identity of a bucket: its begin in seconds, so that buckets are kept in the order of time, then chance.
fn bucket_id(begin_millis: i64, random: u64) -> ObjectId {
    // The low 32 bits of the second: times before 1970 and after 2106 are out of order, not out of reach.
    let [.., a, b, c, d] = begin_millis.div_euclid(1_000).to_be_bytes();
    object_id(u32::from_be_bytes([a, b, c, d]), random)
}

fn object_id(seconds: u32, rest: u64) -> ObjectId {
    let [s0, s1, s2, s3] = seconds.to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rest.to_be_bytes();
    ObjectId([s0, s1, s2, s3, r0, r1, r2, r3, r4, r5, r6, r7])
}
