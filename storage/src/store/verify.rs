//! Reads every file of a store back: what an open would read, and the rest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::encryption::{KEYS_FILE, read_master_key_id};
use crate::error::{Error, Result};
use crate::manifest::Progress;
use crate::store::tablet_list::{TABLETS_FILE, TabletList};
use crate::store::{STORE_FILE, Shared, Store, read_store_file, store_head};
use crate::tablet::{TabletId, VerifyReport, lock};
use crate::wal::header::segment_path;
use crate::wal::log::LogPosition;
use crate::wal::record::{Record, RecordKind};
use crate::wal::recovery::Replay;

/// How often the log is read from its beginning again because flushes have removed that meanwhile.
const LOG_ATTEMPTS_MAX: u32 = 100;

impl Store {
    /// Reads every file of the store and reports what is wrong: `STORE`, `TABLETS` and `KEYS`; the log, as opening the store
    /// would, from the first segment that some tablet needs up to what is known to be on disk; and the files of all
    /// tablets, as [`crate::Tablet::verify`] does.
    ///
    /// What lies behind the durable end of the log is no damage: nobody was told that it is there. Of a closed store, whose
    /// directory may be somebody else's by now, only sstables and blob files are read.
    pub fn verify(&self) -> VerifyReport {
        let shared = &self.inner.shared;
        let mut report = VerifyReport::default();
        if !shared.closed.load(Ordering::Acquire) {
            shared.verify_small_files(&mut report);
            shared.verify_log(&mut report);
        }
        for tablet in shared.tablets() {
            report.add(tablet.verify());
        }
        report
    }
}

/// What is known of a log while it is read.
struct Indexes {
    /// The tablets there are.
    tablets: BTreeMap<u64, Progress>,
    /// The last index seen, by tablet.
    last: BTreeMap<u64, u64>,
}

impl Shared {
    fn verify_small_files(&self, report: &mut VerifyReport) {
        let (place, list) = (&self.place, lock(&self.list));
        let path = place.directory.join(STORE_FILE);
        let expected = store_head(place, list.is_some(), self.rung());
        let head = read_store_file(place).and_then(|head| match head == expected {
            true => Ok(head),
            false => Err(Error::corruption(&path, 0, "it is the head of another store")),
        });
        report.note(head.and_then(|_| self.length(STORE_FILE)));
        if let Some(list) = &*list {
            let read = TabletList::read(&*place.vfs, &place.directory, place.identity);
            let path = place.directory.join(TABLETS_FILE);
            let read = read.and_then(|read| match read == *list {
                true => self.length(TABLETS_FILE),
                false => Err(Error::corruption(&path, 0, "it names other tablets than the store has")),
            });
            report.note(read);
        }
        if place.keys.is_some() {
            let id = read_master_key_id(&*place.vfs, &place.directory.join(KEYS_FILE));
            report.note(id.and_then(|_| self.length(KEYS_FILE)));
        }
    }

    /// One file in the store's directory, and its bytes.
    fn length(&self, name: &str) -> Result<(usize, u64)> {
        let path = self.place.directory.join(name);
        self.place.vfs.len(&path).map(|bytes| (1, bytes)).map_err(|error| Error::io("measure", &path, error))
    }

    /// Reads the log as an open would.
    fn verify_log(&self, report: &mut VerifyReport) {
        for attempt in 1.. {
            // In this order: what tablets have past the log up to here, they say below.
            let until = self.log.as_ref().map(|log| log.synced_position());
            let progress = self.progress();
            let first = first_needed(&progress);
            if until.is_some_and(|until| until.segment < first) {
                // A flush has put all of it into sstables meanwhile.
                return;
            }
            let mut records = 0;
            let mut indexes = Indexes { tablets: progress, last: BTreeMap::new() };
            let promised = indexes.tablets.values().map(|progress| progress.log_promise).max();
            let promised = promised.unwrap_or_default();
            let directory = self.place.log_directory();
            let replay = Replay {
                vfs: &*self.place.vfs,
                directory: &directory,
                identity: self.place.identity,
                keys: self.place.keys.as_deref(),
                first,
                promised: until.map_or(promised, |until| promised.min(until)),
                until,
            };
            let tail = replay.run(|at, record| {
                records += 1;
                self.take_record(&mut indexes, at, &record)
            });
            // A flush may have removed what was to be read.
            let has_moved = || first_needed(&self.progress()) > first;
            match tail {
                Err(_) if attempt < LOG_ATTEMPTS_MAX && has_moved() => {}
                Err(problem) => return report.note(Err(problem)),
                Ok(tail) => {
                    report.log_records += records;
                    for number in tail.segments.into_iter().filter(|&number| number >= first) {
                        // Zero for one that has been removed since it was read.
                        let bytes = self.place.vfs.len(&segment_path(&directory, number)).unwrap_or_default();
                        report.note(Ok((1, bytes)));
                    }
                    return;
                }
            }
        }
    }

    /// What the manifests say of the log.
    fn progress(&self) -> BTreeMap<u64, Progress> {
        self.tablets().into_iter().map(|tablet| (tablet.id.0, tablet.versions.progress())).collect()
    }

    /// Fails unless a record is the next one of a tablet that there is, or was.
    fn take_record(&self, indexes: &mut Indexes, at: LogPosition, record: &Record) -> Result<()> {
        let head = &record.head;
        let wrong = |detail: String| {
            Error::corruption(&segment_path(&self.place.log_directory(), at.segment), at.offset, detail)
        };
        let applied = match indexes.tablets.get(&head.group) {
            Some(progress) if at < progress.log_start => return Ok(()),
            Some(progress) => progress.applied_index,
            None if lock(&self.list).as_ref().is_some_and(|list| list.is_dropped(TabletId(head.group))) => {
                return Ok(());
            }
            None => {
                return Err(wrong(format!(
                    "a record belongs to tablet {}, which the store never had",
                    head.group
                )));
            }
        };
        let (index, last) = (head.index, indexes.last.get(&head.group).copied());
        let is_next = match last {
            Some(last) if index <= last && head.kind == RecordKind::Again => return Ok(()),
            // Of what lies in sstables the log needs to have nothing.
            Some(last) => index > last && index - 1 <= last.max(applied),
            None => index.saturating_sub(1) <= applied,
        };
        if !is_next {
            let before = last.unwrap_or(applied);
            return Err(wrong(format!("record {index} of tablet {} follows record {before}", head.group)));
        }
        indexes.last.insert(head.group, head.index);
        Ok(())
    }
}

/// The first segment of the log that opening the store would read.
fn first_needed(tablets: &BTreeMap<u64, Progress>) -> u64 {
    let needed = tablets.values().map(|progress| progress.log_segment).min().unwrap_or_default();
    let begin = tablets.values().map(|progress| progress.log_begin).max().unwrap_or_default();
    needed.max(begin)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
