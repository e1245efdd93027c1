//! Writing measurements: into buckets, out of buckets, and what they share.
//!
//! A bucket is rewritten as a whole, sorted by time, whenever measurements come or go. Which buckets still take
//! measurements is remembered beside the collection ([`OpenBuckets`]); what is remembered is looked at again in the
//! transaction that uses it, so that it may be wrong. Writers of one collection's buckets take turns, as those of a
//! capped collection do: nearly all of them write to the same few buckets.

mod bucket;
mod delete;
mod insert;
mod open_buckets;
mod packer;
mod update;

pub(super) use delete::Removal;
pub(crate) use open_buckets::OpenBuckets;

use std::sync::Arc;

use crate::catalog::{Collection, TimeSeries, buckets_of};
use crate::session::Session;
use crate::{Error, Namespace, Result, error_code};

/// A time series that is being written to.
#[derive(Clone)]
pub(super) struct Series {
    /// The view.
    pub(super) view: Arc<Collection>,
    /// The collection with the buckets.
    pub(super) buckets: Arc<Collection>,
    /// How measurements are bucketed.
    pub(super) options: TimeSeries,
}

impl Session {
    /// The time series of this name, if it is one.
    pub(super) fn time_series(&self, namespace: &Namespace) -> Result<Option<Series>> {
        let catalog = self.database().catalog();
        let Some(view) = catalog.find(namespace).filter(|found| found.options.is_time_series()) else {
            return Ok(None);
        };
        let Some(options) = view.time_series()? else { return Ok(None) };
        let buckets = catalog.get(&buckets_of(namespace)?)?;
        Ok(Some(Series { view, buckets, options }))
    }
}

/// A write that a time series does not take.
pub(super) fn refused(series: &Namespace, what: &str) -> Error {
    Error::new(error_code::INVALID_OPTIONS, format!("{series} is a time series: {what}"))
}
