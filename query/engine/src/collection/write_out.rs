//! `$out`: documents that replace a collection.
//!
//! They are written into a collection of a temporary name, which gets the options and indexes of the one it will
//! replace; a rename puts it in place. So readers see the old documents or the new ones, and a pipeline that fails
//! leaves what was there.

use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::aggregate::Out;

use crate::catalog::{Collection, CollectionOptions, TimeSeries, buckets_of};
use crate::cursor::Execution;
use crate::operation::{AggregateOperation, InsertOperation};
use crate::session::Session;
use crate::{Error, NAMESPACE_BYTES_MAX, Namespace, Result, error_code};

/// `$out` is to make a time series of something else.
const NOT_A_TIME_SERIES: i32 = 7_268_700;
/// `$out` is to replace a time series by another kind of one.
const OTHER_TIME_SERIES: i32 = 7_406_103;

/// Documents that are inserted together.
const PART_DOCUMENTS: usize = 1_000;

impl Session {
    /// Runs a pipeline into a collection.
    pub(crate) fn run_out(
        &self,
        operation: &AggregateOperation<'_>,
        namespace: &Namespace,
        out: &Out,
        mut execution: Execution,
    ) -> Result<()> {
        let wanted = out.time_series.as_ref().map(|series| TimeSeries::parse(series.as_raw())).transpose()?;
        let database = out.target.database.as_deref().unwrap_or(namespace.database());
        let target = target(database, &out.target.collection)?;
        let catalog = self.database().catalog();
        let existing = catalog.find(&target);
        check_existing(existing.as_ref(), wanted.as_ref())?;
        let name = format!("tmp.agg_out.{:016x}", self.database().random());
        let temporary = Namespace::new(database, &name)?;
        let mut options =
            existing.as_ref().map_or_else(CollectionOptions::default, |found| found.options.clone());
        if let Some(series) = wanted {
            options.time_series = Some(series.to_document());
        }
        catalog.create(&temporary, options, self.database().new_uuid())?;
        let written = self
            .write_all(operation, &temporary, &mut execution)
            .and_then(|()| self.copy_indexes(&temporary, existing.as_ref()))
            .and_then(|()| catalog.rename(&temporary, &target, true));
        if written.is_err() {
            catalog.drop_collection(&temporary)?;
        }
        written
    }

    fn write_all(
        &self,
        operation: &AggregateOperation<'_>,
        temporary: &Namespace,
        execution: &mut Execution,
    ) -> Result<()> {
        let mut part: Vec<RawDocumentBuf> = Vec::new();
        loop {
            let row = execution.next_row()?;
            let is_end = row.is_none();
            if let Some(row) = row {
                part.push(row.into_document()?);
            }
            if part.len() >= PART_DOCUMENTS || is_end && !part.is_empty() {
                let documents = part.iter().map(RawDocumentBuf::as_raw).collect();
                let mut insert = InsertOperation::new(temporary.clone(), documents);
                insert.bypass_document_validation = operation.bypass_document_validation;
                insert.durability = operation.durability;
                let outcome = self.insert(&insert)?;
                if let Some(refused) = outcome.errors.into_iter().next() {
                    return Err(refused.error);
                }
                part.clear();
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// The buckets of the temporary series get the indexes that those of the existing one have.
    fn copy_bucket_indexes(&self, temporary: &Namespace, existing: &Collection) -> Result<()> {
        let catalog = self.database().catalog();
        let (from, to) =
            (catalog.get(&buckets_of(&existing.namespace)?)?, catalog.get(&buckets_of(temporary)?)?);
        let specifications: Vec<_> = from
            .secondary_indexes()
            .map(|index| index.specification.clone())
            .filter(|one| to.index_named(&one.name).is_none())
            .collect();
        catalog.create_indexes(&to, &specifications).map(drop)
    }

    fn copy_indexes(&self, temporary: &Namespace, existing: Option<&Arc<Collection>>) -> Result<()> {
        let Some(existing) = existing else { return Ok(()) };
        if existing.options.is_time_series() {
            return self.copy_bucket_indexes(temporary, existing);
        }
        let specifications: Vec<_> =
            existing.secondary_indexes().map(|index| index.specification.clone()).collect();
        let catalog = self.database().catalog();
        catalog.create_indexes(&catalog.get(temporary)?, &specifications).map(drop)
    }
}

/// The collection that is written: none of the system's own, and none with a name that is too long.
fn target(database: &str, collection: &str) -> Result<Namespace> {
    let bytes = database.len() + 1 + collection.len();
    if bytes > NAMESPACE_BYTES_MAX {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            format!("$out cannot make a collection whose namespace has {bytes} bytes"),
        ));
    }
    let target = Namespace::new(database, collection)?;
    if target.is_system() {
        return Err(Error::location(
            17_385,
            format!("$out cannot write to the system's collection {target}"),
        ));
    }
    if matches!(database, "admin" | "config" | "local") {
        return Err(Error::location(31_321, format!("$out cannot write to the database of {target}")));
    }
    Ok(target)
}

fn check_existing(existing: Option<&Arc<Collection>>, wanted: Option<&TimeSeries>) -> Result<()> {
    let Some(existing) = existing else { return Ok(()) };
    let is_series = existing.options.is_time_series();
    if wanted.is_some() && !is_series {
        return Err(Error::location(
            NOT_A_TIME_SERIES,
            format!("{} is no time series, as $out is told to make it", existing.namespace),
        ));
    }
    if let Some(wanted) = wanted
        && existing.time_series()?.as_ref() != Some(wanted)
    {
        return Err(Error::location(
            OTHER_TIME_SERIES,
            format!("the time series {} has other options than $out is given", existing.namespace),
        ));
    }
    if existing.options.view_on.is_some() && !is_series {
        return Err(Error::new(
            error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("{} is a view and cannot be replaced by $out", existing.namespace),
        ));
    }
    if existing.options.capped {
        return Err(Error::location(
            17_152,
            format!("{} is capped and cannot be replaced by $out", existing.namespace),
        ));
    }
    Ok(())
}
