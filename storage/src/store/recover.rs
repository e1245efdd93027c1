//! Opens what a store holds: the manifests of its tablets first, then the one log behind them.
//!
//! A record belongs to the tablet its group names. Each tablet skips what its own sstables have (its applied index) and
//! what was appended once more behind it (its log start); records of dropped tablets are skipped, those of a tablet that
//! never was are corruption. Replay begins at the oldest segment any tablet may need.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::file_id::FileKind;
use crate::manifest::{Progress, VersionSet};
use crate::options::StoreOptions;
use crate::poison::Poison;
use crate::sstable::open_files::OpenFiles;
use crate::store::shared::Shared;
use crate::store::tablet_list::TabletList;
use crate::tablet::TabletId;
use crate::tablet::open::{Place, Replayed, assemble};
use crate::wal::header::segment_path;
use crate::wal::log::{Log, LogPosition, LogTail};
use crate::wal::record::Record;
use crate::wal::recovery::{Replay, sync_tail};

/// What tablets are put together from.
type Parts = (Arc<Poison>, Arc<BlockCache>, Arc<OpenFiles>);

/// A tablet on the way.
struct Found {
    /// Its files.
    versions: VersionSet,
    /// What its manifest says of the log.
    progress: Progress,
    /// What the log has of it.
    replayed: Replayed,
}

fn parts(options: &StoreOptions) -> Parts {
    let cache = BlockCache::within(options.cache_bytes, options.memory_budget_bytes());
    let open_files = OpenFiles::new(options.open_files_max, options.removal_bytes_per_second);
    let poison = Poison::default();
    if let Some(listener) = &options.events {
        poison.tell(Arc::clone(listener));
    }
    (Arc::new(poison), Arc::new(cache), Arc::new(open_files))
}

/// A new store, whose log and first tablet's manifest are durable.
pub(super) fn create(place: &Place, options: &Arc<StoreOptions>) -> Result<Arc<Shared>> {
    let parts = parts(options);
    let tail = LogTail { next_number: 1, ..LogTail::default() };
    let log = begin_log(place, tail, &parts.0)?.timed(Arc::clone(&options.clock));
    let opener = place.opener(TabletId::FIRST, options, &parts.1, &parts.2);
    let poison = Arc::clone(&parts.0);
    let versions = VersionSet::create(opener, place.identity, options.manifest_bytes_min, poison, 1)?;
    let shared = Arc::new(Shared::new(options, place.clone(), parts, Some(log), None));
    let replayed = Replayed::begin(&versions.progress());
    add(&shared, TabletId::FIRST, versions, replayed);
    Ok(shared)
}

/// An existing store, with everything its log holds.
pub(super) fn recover(
    place: &Place,
    options: &Arc<StoreOptions>,
    list: Option<TabletList>,
) -> Result<Arc<Shared>> {
    let parts = parts(options);
    let listed = list.clone().unwrap_or_default();
    let (leftovers, emptied) = if list.is_some() { leftovers(place, &listed)? } else { Default::default() };
    let mut found = BTreeMap::new();
    for id in [TabletId::FIRST].into_iter().chain(listed.live()) {
        found.insert(id, read_tablet(place, options, &parts, id)?);
    }
    let needed = found.values().map(|tablet| tablet.progress.log_segment).min().unwrap_or_default();
    let begin = found.values().map(|tablet| tablet.progress.log_begin).max().unwrap_or_default();
    let first = needed.max(begin);
    let log_directory = place.log_directory();
    let replay = Replay {
        vfs: &*place.vfs,
        directory: &log_directory,
        identity: place.identity,
        keys: place.keys.as_deref(),
        first,
        promised: found.values().map(|tablet| tablet.progress.log_promise).max().unwrap_or_default(),
        until: None,
    };
    let tail = replay.run(|at, record| dispatch(place, options, &listed, &mut found, at, record))?;
    let mut log = None;
    if !options.read_only {
        sync_tail(&*place.vfs, &log_directory, &tail)?;
        let begun = begin_log(place, tail, &parts.0)?.timed(Arc::clone(&options.clock));
        found.values().try_for_each(|tablet| tablet.versions.remove_orphans())?;
        for path in leftovers {
            place.vfs.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        for directory in emptied {
            match place.vfs.remove_dir(&directory) {
                // Somebody has put something there that is not ours.
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                removed => removed.map_err(|error| Error::io("remove", &directory, error))?,
            }
        }
        begun.remove_before(first)?;
        log = Some(begun);
    }
    let shared = Arc::new(Shared::new(options, place.clone(), parts, log, list));
    for (id, tablet) in found {
        add(&shared, id, tablet.versions, tablet.replayed);
    }
    Ok(shared)
}

/// Begins the log behind `tail`.
fn begin_log(place: &Place, tail: LogTail, poison: &Arc<Poison>) -> Result<Log> {
    let (vfs, keys) = (Arc::clone(&place.vfs), place.keys.clone());
    let (directory, poison) = (place.log_directory(), Arc::clone(poison));
    Log::begin(vfs, &directory, place.identity, keys, tail, poison, place.rung)
}

/// Takes a tablet in.
fn add(shared: &Arc<Shared>, id: TabletId, versions: VersionSet, replayed: Replayed) {
    let tablet = Arc::new(assemble(shared, id, versions, replayed));
    shared.add(Arc::clone(&tablet));
    tablet.account_memory();
}

/// Reads a tablet's manifest.
fn read_tablet(place: &Place, options: &StoreOptions, parts: &Parts, id: TabletId) -> Result<Found> {
    let opener = place.opener(id, options, &parts.1, &parts.2);
    let (bytes_min, poison) = (options.manifest_bytes_min, Arc::clone(&parts.0));
    let versions = VersionSet::recover(opener, place.identity, bytes_min, poison, options.read_only)?;
    let progress = versions.progress();
    Ok(Found { versions, progress, replayed: Replayed::begin(&progress) })
}

/// Gives a record to the tablet it belongs to.
fn dispatch(
    place: &Place,
    options: &StoreOptions,
    list: &TabletList,
    found: &mut BTreeMap<TabletId, Found>,
    at: LogPosition,
    record: Record,
) -> Result<()> {
    let id = TabletId(record.head.group);
    let directory = place.log_directory();
    match found.get_mut(&id) {
        Some(tablet) if at < tablet.progress.log_start => Ok(()),
        Some(tablet) => tablet.replayed.take(&directory, options, at.segment, record),
        None if list.is_dropped(id) => Ok(()),
        None => Err(Error::corruption(
            &segment_path(&directory, at.segment),
            at.offset,
            format!("a record belongs to tablet {id}, which the store never had"),
        )),
    }
}

/// Files in the directories of tablets that are no more, or whose making did not finish, and these directories.
fn leftovers(place: &Place, list: &TabletList) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let names =
        |directory: &PathBuf| place.vfs.list(directory).map_err(|error| Error::io("list", directory, error));
    let (mut found, mut directories) = (Vec::new(), Vec::new());
    for id in names(&place.directory)?.iter().filter_map(|name| TabletId::of_directory(name)) {
        if list.is_live(id) {
            continue;
        }
        let directory = place.tablet_directory(id);
        for name in names(&directory)? {
            match FileKind::of(&name) {
                FileKind::Sstable(_) | FileKind::Blob(_) if !list.is_dropped(id) => {
                    let path = place.directory.join(super::tablet_list::TABLETS_FILE);
                    let detail = format!("it does not name tablet {id}, and there are sstables of it");
                    return Err(Error::corruption(&path, 0, detail));
                }
                FileKind::Foreign => {}
                _ => found.push(directory.join(name)),
            }
        }
        directories.push(directory);
    }
    Ok((found, directories))
}
