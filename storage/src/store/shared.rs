//! What the tablets of a store share: the log, the cache with the one memory account, the background threads; and what
//! can only be said of all of them together.
//!
//! - *The oldest segment* of a tablet is the one that holds its oldest record that is in no sstable. A tablet without such
//!   records has none and holds nothing back. A segment is removed once it is older than every tablet's oldest and than
//!   the open one; before, a manifest says so for all tablets (`log_begin`), so that one which has been idle for long
//!   is not looked for in segments that are gone.
//! - *The active memtables* of all tablets together stay within a bound; over it the largest is sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::manifest::VersionEdit;
use crate::options::StoreOptions;
use crate::planted::{Bug, planted};
use crate::poison::Poison;
use crate::sstable::open_files::OpenFiles;
use crate::store::tablet_list::TabletList;
use crate::sync::scheduled::{AtomicBool, AtomicU8, AtomicU64, Mutex, RwLock};
use crate::tablet::background::WorkSignal;
use crate::tablet::open::Place;
use crate::tablet::{TabletId, TabletInner, lock};
use crate::wal::header::LogRung;
use crate::wal::log::Log;

/// What the tablets of a store share.
pub(crate) struct Shared {
    /// How the store was opened.
    pub(crate) options: Arc<StoreOptions>,
    /// Where the store is.
    pub(crate) place: Place,
    /// The log; absent in a read-only store.
    pub(crate) log: Option<Log>,
    /// Stops writes after a failure.
    pub(crate) poison: Arc<Poison>,
    /// The cache of blocks and blobs, and the account of memory.
    pub(crate) cache: Arc<BlockCache>,
    /// The open files.
    pub(crate) open_files: Arc<OpenFiles>,
    /// Wakes background threads and those who wait for them.
    pub(crate) work: WorkSignal,
    /// Set when the store is closed.
    pub(crate) closed: AtomicBool,
    /// Makes background threads end.
    pub(crate) stop: AtomicBool,
    /// The tablets. Emptied when the store goes: they hold what they share.
    tablets: RwLock<BTreeMap<TabletId, Arc<TabletInner>>>,
    /// What `TABLETS` says; held by who creates or drops a tablet, or needs that nobody does.
    /// `None`: there is no such file, and has not been one.
    pub(crate) list: Mutex<Option<TabletList>>,
    /// What `STORE` says that the log may have: a [`LogRung`]. The log says so itself, a step later.
    pub(crate) rung: AtomicU8,
    /// How often a segment of the log could not be removed.
    pub(super) failed_segment_removals: AtomicU64,
    /// How many tablets there are.
    count: AtomicU64,
    /// What the active memtables of all take, in bytes.
    active_bytes: AtomicU64,
}

impl Shared {
    /// Without tablets yet.
    pub(crate) fn new(
        options: &Arc<StoreOptions>,
        place: Place,
        parts: (Arc<Poison>, Arc<BlockCache>, Arc<OpenFiles>),
        log: Option<Log>,
        list: Option<TabletList>,
    ) -> Shared {
        let (poison, cache, open_files) = parts;
        let rung = AtomicU8::new(place.rung.to_byte());
        Shared {
            options: Arc::clone(options),
            place,
            log,
            poison,
            cache,
            open_files,
            work: WorkSignal::default(),
            closed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            tablets: RwLock::default(),
            list: Mutex::new(list),
            rung,
            failed_segment_removals: AtomicU64::new(0),
            count: AtomicU64::new(0),
            active_bytes: AtomicU64::new(0),
        }
    }

    /// The log. A read-only store has none; its writes are refused before they come here.
    pub(crate) fn log(&self) -> Result<&Log> {
        self.log.as_ref().ok_or_else(|| Error::invalid("the store is read-only"))
    }

    /// The tablets, by their ids.
    pub(crate) fn tablets(&self) -> Vec<Arc<TabletInner>> {
        let tablets = self.tablets.read().unwrap_or_else(PoisonError::into_inner);
        tablets.values().cloned().collect()
    }

    /// A tablet.
    pub(crate) fn tablet(&self, id: TabletId) -> Option<Arc<TabletInner>> {
        self.tablets.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Takes a tablet in.
    pub(crate) fn add(&self, tablet: Arc<TabletInner>) {
        self.change(|tablets| {
            self.active_bytes.fetch_add(tablet.active_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
            tablets.insert(tablet.id, tablet);
        });
    }

    /// Lets a tablet go.
    pub(crate) fn remove(&self, id: TabletId) {
        self.change(|tablets| {
            if let Some(tablet) = tablets.remove(&id) {
                self.note_active_bytes(&tablet, 0);
            }
        });
    }

    /// Lets all tablets go, which breaks the circle between them and what they share.
    pub(crate) fn release(&self) {
        let released = self.change(std::mem::take);
        drop(released);
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<TabletId, Arc<TabletInner>>) -> T) -> T {
        let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut tablets);
        self.count.store(tablets.len() as u64, Ordering::Release);
        result
    }

    /// Whether there is more than one tablet.
    pub(crate) fn has_several(&self) -> bool {
        self.count.load(Ordering::Acquire) > 1
    }

    /// What `STORE` says that the log may have.
    pub(crate) fn rung(&self) -> LogRung {
        LogRung::from_byte(self.rung.load(Ordering::Acquire))
    }

    /// Fails if nothing can be written.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if self.options.read_only {
            return Err(Error::invalid("the store is read-only"));
        }
        self.poison.check()
    }

    /// The oldest segment that a tablet other than `but` needs, or the open one.
    fn oldest_segment(&self, but: Option<TabletId>) -> Result<u64> {
        // First: whoever appends to a segment up to this one has said so by now.
        let current = self.log()?.position().0;
        let others = self.tablets().into_iter().filter(|tablet| Some(tablet.id) != but);
        Ok(others.filter_map(|tablet| tablet.oldest_segment()).fold(current, u64::min))
    }

    /// The segment below which none is needed once `flushed` needs none below `log_segment`.
    pub(crate) fn log_begin(&self, flushed: TabletId, log_segment: u64) -> Result<u64> {
        if planted(Bug::ForgetOtherTablets) {
            return Ok(log_segment);
        }
        Ok(self.oldest_segment(Some(flushed))?.min(log_segment))
    }

    /// Removes the segments nobody needs, where no flush is there to do it.
    pub(crate) fn free_segments(&self) -> Result<()> {
        let Some(first) = self.tablet(TabletId::FIRST) else { return Ok(()) };
        let begin = self.oldest_segment(None)?;
        let log = self.log()?;
        if log.segments().first().is_none_or(|&oldest| oldest >= begin) {
            return Ok(());
        }
        // Its head is on disk: the log may begin there.
        log.durable_position()?;
        first.versions.install(VersionEdit { log_begin: Some(begin), ..VersionEdit::default() }, |_| {})?;
        self.remove_segments(begin)
    }

    /// Removes the segments below `number`, which nobody needs. One that cannot be removed takes room and does no harm: whoever
    /// removes the next ones tries it again, and so does the next open.
    pub(crate) fn remove_segments(&self, number: u64) -> Result<()> {
        if let Err(error) = self.log()?.remove_before(number) {
            self.failed_segment_removals.fetch_add(1, Ordering::Relaxed);
            self.options.emit(|| Event::SegmentsNotRemoved { reason: error.to_string() });
        }
        Ok(())
    }

    /// Whether a segment is so old that nobody should need it any more.
    pub(crate) fn is_lagging(&self, oldest_segment: u64) -> Result<bool> {
        let held = self.log()?.position().0.saturating_sub(oldest_segment).saturating_add(1);
        Ok(held > self.options.log_segments_max)
    }

    /// Ends the open segment for a memtable that is sealed, so that its records are in no later one, and durable once anything of the
    /// next is. Of several tablets a small memtable does not make a small segment: it goes on, and its records so far are synced.
    pub(crate) fn end_segment(&self) -> Result<u64> {
        let log = self.log()?;
        if !self.has_several() {
            return log.rotate();
        }
        log.sync()?;
        log.rotate_past(self.options.wal_segment_bytes / 2)
    }

    /// Says what a tablet's active memtable takes now.
    pub(crate) fn note_active_bytes(&self, tablet: &TabletInner, bytes: u64) {
        // Most commits stay within what the memtable has taken already.
        if tablet.active_bytes.load(Ordering::Relaxed) == bytes {
            return;
        }
        let before = tablet.active_bytes.swap(bytes, Ordering::Relaxed);
        // What is taken away wraps, and so adds up.
        self.active_bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }

    /// What the active memtables take.
    pub(crate) fn active_bytes(&self) -> u64 {
        self.active_bytes.load(Ordering::Relaxed)
    }

    /// Whether the active memtables of several tablets take more than they may together.
    pub(crate) fn is_over_active(&self) -> bool {
        self.has_several() && self.active_bytes() > self.options.active_memtable_bytes_max()
    }

    /// Whether no other tablet has a larger active memtable.
    pub(crate) fn is_largest(&self, tablet: &TabletInner) -> bool {
        let own = tablet.active_bytes.load(Ordering::Relaxed);
        !self.has_several()
            || self.tablets().iter().all(|other| other.active_bytes.load(Ordering::Relaxed) <= own)
    }

    /// Seals the largest active memtable, whoever's it is.
    pub(crate) fn seal_largest(&self) -> Result<()> {
        let largest =
            self.tablets().into_iter().max_by_key(|tablet| tablet.active_bytes.load(Ordering::Relaxed));
        largest.map_or(Ok(()), |tablet| tablet.seal_active())
    }

    /// What background flushing does: keeps active memtables in bounds, flushes what is sealed, brings forward who holds
    /// back old segments.
    pub(crate) fn flush_round(&self) -> Result<()> {
        // Each pass makes the largest empty, so there are no more passes than tablets.
        for _ in self.tablets() {
            if !self.is_over_active() {
                break;
            }
            match self.seal_largest() {
                Ok(()) | Err(Error::Closed | Error::TabletDropped(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.in_turn(TabletInner::flush_urgency, |tablet| tablet.flush_sealed().map(|()| false))?;
        if self.has_several() {
            let mut moved = false;
            for tablet in self.tablets() {
                match tablet.bring_forward() {
                    Ok(did) => moved |= did,
                    Err(Error::Closed | Error::TabletDropped(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if moved {
                self.free_segments()?;
            }
        }
        Ok(())
    }

    /// What background compaction does: one step after the other, each where it is most urgent among the tablets that nobody
    /// else compacts now, until nothing is due.
    pub(crate) fn compact_round(&self) -> Result<()> {
        self.in_turn(|tablet| Some(tablet.compaction_urgency()), TabletInner::compact_step_if_idle)
    }

    /// Makes ready what nearly full memtables are followed by, hands buffered records to the system and syncs what has been
    /// handed over.
    pub(crate) fn sync_written(&self) -> Result<()> {
        let log = self.log()?;
        self.prepare_next()?;
        // A log that has gone on once will do so again.
        if log.has_gone_on() {
            log.prepare()?;
        }
        log.sync()
    }

    /// Has the disk begin with what the log has written. Needs nothing to be well: it promises nothing.
    pub(crate) fn begin_write_back(&self) {
        if let Some(log) = &self.log {
            log.begin_write_back();
        }
    }

    /// Makes ready what nearly full memtables are followed by.
    fn prepare_next(&self) -> Result<()> {
        // All of them: each makes its own ready.
        let nearly_full = self.tablets().iter().filter(|tablet| tablet.prepare_next()).count();
        if nearly_full > 0 {
            self.log()?.prepare()?;
        }
        Ok(())
    }

    /// Calls `step` on the tablet where it is most urgent, until it returned `false` for each or failed for want of memory or
    /// files: what one tablet cannot get does not stop the others.
    fn in_turn<U: Ord>(
        &self,
        urgency: impl Fn(&TabletInner) -> Option<U>,
        step: impl Fn(&TabletInner) -> Result<bool>,
    ) -> Result<()> {
        let mut settled = BTreeSet::new();
        let mut shortage = Ok(());
        loop {
            self.poison.check()?;
            if self.stop.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            let waiting = self.tablets().into_iter().filter(|tablet| !settled.contains(&tablet.id));
            let next = waiting.filter_map(|tablet| urgency(&tablet).map(|urgency| (urgency, tablet)));
            let Some((_, tablet)) = next.max_by(|left, right| left.0.cmp(&right.0)) else { return shortage };
            match step(&tablet) {
                Ok(true) => continue,
                Ok(false) | Err(Error::Closed | Error::TabletDropped(_)) => {}
                Err(error) if error.is_shortage() => shortage = Err(error),
                Err(error) => return Err(error),
            }
            settled.insert(tablet.id);
        }
    }

    /// What the threads would do, on the calling thread.
    pub(crate) fn work_inline(&self) {
        self.run_job(Shared::prepare_next);
        self.run_job(Shared::flush_round);
        self.run_job(Shared::compact_round);
    }

    /// Makes the log durable and says so in a manifest, so that what is lost from it later is noticed.
    pub(crate) fn close_log(&self) -> Result<()> {
        let Some(log) = self.log.as_ref().filter(|_| self.poison.check().is_ok()) else { return Ok(()) };
        log.sync()?;
        let log_promise = Some(log.durable_position()?);
        let Some(first) = self.tablet(TabletId::FIRST) else { return Ok(()) };
        first.versions.install(VersionEdit { log_promise, ..VersionEdit::default() }, |_| {})
    }

    /// Tells the tablets to end, and waits until nobody commits to them.
    pub(crate) fn end_tablets(&self) {
        let tablets = self.tablets();
        tablets.iter().for_each(|tablet| tablet.closed.store(true, Ordering::Release));
        // Who waits for background work need not.
        self.work.report_progress();
        for tablet in &tablets {
            // Whoever leads the commit queue now finishes first; nobody begins after.
            drop(lock(&tablet.order));
        }
    }
}
