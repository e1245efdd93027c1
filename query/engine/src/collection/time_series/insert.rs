//! Inserting measurements.

use std::sync::Arc;

use sheaf_document::RawDocument;

use super::Series;
use super::bucket::Measurement;
use super::packer::Packer;
use crate::collection::write::retrying;
use crate::operation::{InsertOperation, InsertOutcome, WriteError};
use crate::session::{Session, Statement};
use crate::{Error, Result, error_code};

/// Measurements that are committed together.
const PART_MEASUREMENTS: usize = 10_000;

/// Bytes of measurements that are committed together.
const PART_BYTES: usize = 4 << 20;

/// Measurements that go into one transaction.
#[derive(Default)]
struct Part {
    measurements: Vec<Measurement>,
    bytes: usize,
    /// Their numbers within the command, if the session records statements.
    statements: Vec<i32>,
}

impl Session {
    /// Inserts measurements into a time series.
    pub(in crate::collection) fn insert_measurements(
        &self,
        operation: &InsertOperation<'_>,
        series: &Series,
    ) -> Result<InsertOutcome> {
        let mut statement = self.statement(operation.statements.first().copied())?;
        let mut outcome = InsertOutcome::default();
        let mut part = Part::default();
        for (index, document) in operation.documents.iter().enumerate() {
            let id = operation.statements.get(index).copied().filter(|_| statement.is_some());
            if let (Some(statement), Some(id)) = (&statement, id)
                && statement.is_done(id)
            {
                outcome.inserted += 1;
                continue;
            }
            match self.measurement(series, *document) {
                Ok(measurement) => {
                    part.bytes += measurement.bytes();
                    part.measurements.push(measurement);
                    part.statements.extend(id);
                }
                Err(error) => {
                    outcome.errors.push(WriteError { index, error });
                    if operation.ordered {
                        break;
                    }
                }
            }
            if part.measurements.len() >= PART_MEASUREMENTS || part.bytes >= PART_BYTES {
                outcome.inserted +=
                    self.pack(operation, series, &std::mem::take(&mut part), &mut statement)?;
            }
        }
        outcome.inserted += self.pack(operation, series, &part, &mut statement)?;
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
        part: &Part,
        statement: &mut Option<Statement<'_>>,
    ) -> Result<u64> {
        if part.measurements.is_empty() {
            return Ok(0);
        }
        let mut buckets = Arc::clone(&series.buckets);
        let context = self.write_context(operation.durability);
        let (open, records) = retrying(context, &mut buckets, |transaction, buckets| {
            let mut packer = Packer::new(&series.options, buckets);
            for measurement in &part.measurements {
                packer.add(transaction, measurement.clone(), || self.database().random())?;
            }
            let open = packer.write(transaction)?;
            let records = match &statement {
                Some(statement) => statement.put_inserted(transaction, &part.statements)?,
                None => Vec::new(),
            };
            Ok((open, records))
        })?;
        if let Some(statement) = statement {
            statement.keep(records);
        }
        for (meta, bucket) in open {
            buckets.open_buckets.put(&meta, bucket);
        }
        Ok(u64::try_from(part.measurements.len()).unwrap_or(u64::MAX))
    }
}
