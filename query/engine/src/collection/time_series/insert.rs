//! Inserting measurements.

use std::sync::Arc;

use sheaf_document::RawDocument;

use super::Series;
use super::bucket::Measurement;
use super::packer::Packer;
use crate::collection::write::retrying;
use crate::operation::{InsertOperation, InsertOutcome, WriteError};
use crate::session::Session;
use crate::{Error, Result, error_code};

/// Measurements that are committed together.
const PART_MEASUREMENTS: usize = 10_000;

/// Bytes of measurements that are committed together.
const PART_BYTES: usize = 4 << 20;

impl Session {
    /// Inserts measurements into a time series.
    pub(in crate::collection) fn insert_measurements(
        &self,
        operation: &InsertOperation<'_>,
        series: &Series,
    ) -> Result<InsertOutcome> {
        let mut outcome = InsertOutcome::default();
        let mut part = Vec::new();
        let mut bytes = 0;
        for (index, document) in operation.documents.iter().enumerate() {
            match self.measurement(series, *document) {
                Ok(measurement) => {
                    bytes += measurement.bytes();
                    part.push(measurement);
                }
                Err(error) => {
                    outcome.errors.push(WriteError { index, error });
                    if operation.ordered {
                        break;
                    }
                }
            }
            if part.len() >= PART_MEASUREMENTS || bytes >= PART_BYTES {
                outcome.inserted += self.pack(operation, series, &part)?;
                part.clear();
                bytes = 0;
            }
        }
        outcome.inserted += self.pack(operation, series, &part)?;
        Ok(outcome)
    }

    fn measurement(&self, series: &Series, document: RawDocument<'_>) -> Result<Measurement> {
        let document = self.prepare(document)?;
        Measurement::new(&series.options, document.as_raw()).ok_or_else(|| {
            Error::new(
                error_code::BAD_VALUE,
                format!(
                    "a measurement of {} needs a date in the field \"{}\"",
                    series.view.namespace, series.options.time_field
                ),
            )
        })
    }

    /// Puts measurements into buckets, in one transaction. Returns how many.
    fn pack(
        &self,
        operation: &InsertOperation<'_>,
        series: &Series,
        measurements: &[Measurement],
    ) -> Result<u64> {
        if measurements.is_empty() {
            return Ok(0);
        }
        let mut buckets = Arc::clone(&series.buckets);
        let context = self.write_context(operation.durability);
        let open = retrying(context, &mut buckets, |transaction, buckets| {
            let mut packer = Packer::new(&series.options, buckets);
            for measurement in measurements {
                packer.add(transaction, measurement.clone(), || self.database().random())?;
            }
            packer.write(transaction)
        })?;
        for (meta, bucket) in open {
            buckets.open_buckets.put(&meta, bucket);
        }
        Ok(u64::try_from(measurements.len()).unwrap_or(u64::MAX))
    }
}
