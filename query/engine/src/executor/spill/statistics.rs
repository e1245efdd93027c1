//! How much went to disk: of one operator for explain, of all since the start for `serverStatus`.

use std::sync::atomic::{AtomicU64, Ordering};

/// What went to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpillUse {
    /// How often memory ran out.
    pub spills: u64,
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl SpillUse {
    /// Counts in what another has.
    pub fn add(&mut self, other: SpillUse) {
        self.spills += other.spills;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Who spills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpillingOperator {
    BucketAuto,
    Facet,
    Group,
    Lookup,
    SetWindowFields,
    Sort,
}

impl SpillingOperator {
    /// As errors name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BucketAuto => "$bucketAuto",
            Self::Facet => "$facet",
            Self::Group => "$group",
            Self::Lookup => "$lookup",
            Self::SetWindowFields => "$setWindowFields",
            Self::Sort => "a sort",
        }
    }
}

/// What went to disk since the database was opened, by operator.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "named for the operators")]
pub struct SpillStatistics {
    pub bucket_auto: SpillUse,
    pub facet: SpillUse,
    pub group: SpillUse,
    pub lookup: SpillUse,
    pub set_window_fields: SpillUse,
    pub sort: SpillUse,
}

/// [`SpillStatistics`] while they are being counted.
#[derive(Debug, Default)]
pub(crate) struct SpillTotals {
    bucket_auto: Total,
    facet: Total,
    group: Total,
    lookup: Total,
    set_window_fields: Total,
    sort: Total,
}

#[derive(Debug, Default)]
struct Total {
    spills: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Total {
    fn get(&self) -> SpillUse {
        SpillUse {
            spills: self.spills.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl SpillTotals {
    /// Counts what an operator wrote.
    pub(crate) fn add(&self, operator: SpillingOperator, used: SpillUse) {
        let total = match operator {
            SpillingOperator::BucketAuto => &self.bucket_auto,
            SpillingOperator::Facet => &self.facet,
            SpillingOperator::Group => &self.group,
            SpillingOperator::Lookup => &self.lookup,
            SpillingOperator::SetWindowFields => &self.set_window_fields,
            SpillingOperator::Sort => &self.sort,
        };
        total.spills.fetch_add(used.spills, Ordering::Relaxed);
        total.records.fetch_add(used.records, Ordering::Relaxed);
        total.bytes.fetch_add(used.bytes, Ordering::Relaxed);
    }

    /// The counts so far.
    pub(crate) fn get(&self) -> SpillStatistics {
        SpillStatistics {
            bucket_auto: self.bucket_auto.get(),
            facet: self.facet.get(),
            group: self.group.get(),
            lookup: self.lookup.get(),
            set_window_fields: self.set_window_fields.get(),
            sort: self.sort.get(),
        }
    }
}
