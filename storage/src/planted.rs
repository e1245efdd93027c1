//! Deliberate faults, to test the tests: each must be caught by at least one of them.
//!
//! Compiled in only with the feature `planted`; without it [`planted`] is `false` and costs nothing. The active fault
//! is of one thread, so that tests beside it run clean (work is done inline there). Faults that a failing disk can
//! play (a sync that does nothing, a page that is not written) need no code: see the `lose` rules of the fault VFS.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Acknowledge a synchronous commit before the log is synced.
    EarlyAcknowledge,
    /// Leave the applied index out of the edit of a flush.
    ForgetAppliedIndex,
    /// Apply a record of the log twice, the second time as if it were newer.
    DoubleApply,
    /// Take a block whose checksum is wrong.
    IgnoreChecksum,
    /// Take a chunk of the log whose checksum is wrong.
    IgnoreChunkChecksum,
    /// Go on reading the log behind a bad chunk.
    ReadPastTornTail,
    /// Order L0 oldest first.
    WrongL0Order,
    /// Drop a tombstone although older versions lie deeper.
    DropTombstoneEarly,
    /// Leave every seventh key out of the filter.
    StaleFilter,
    /// Forget that a table refers to a blob file.
    LostBlobReference,
    /// Release a snapshot's place in the watermark at once.
    ForgottenSnapshot,
    /// Remove log segments before the flush that replaces them is in the manifest.
    SegmentsGoEarly,
    /// Do not check a transaction for conflicts.
    IgnoreConflict,
    /// Remove log segments that another tablet still needs.
    ForgetOtherTablets,
}

/// All faults, for tests that go through them.
pub const ALL: [Bug; 14] = [
    Bug::EarlyAcknowledge,
    Bug::ForgetAppliedIndex,
    Bug::DoubleApply,
    Bug::IgnoreChecksum,
    Bug::IgnoreChunkChecksum,
    Bug::ReadPastTornTail,
    Bug::WrongL0Order,
    Bug::DropTombstoneEarly,
    Bug::StaleFilter,
    Bug::LostBlobReference,
    Bug::ForgottenSnapshot,
    Bug::SegmentsGoEarly,
    Bug::IgnoreConflict,
    Bug::ForgetOtherTablets,
];

#[cfg(feature = "planted")]
thread_local! {
    /// The fault active on this thread.
    static ACTIVE: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Makes `bug` the active fault of this thread, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    ACTIVE.set(bug);
}

/// Whether `bug` is active on this thread.
#[cfg(feature = "planted")]
#[inline]
pub fn planted(bug: Bug) -> bool {
    ACTIVE.get() == Some(bug)
}

/// Whether `bug` is active: never, in this build.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub fn planted(_bug: Bug) -> bool {
    false
}
