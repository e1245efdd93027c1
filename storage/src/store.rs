//! A directory and everything open in it.
//!
//! ```text
//! LOCK                 held while the store is open
//! STORE                format version and identity; written last, so without it there is no store
//! KEYS                 the wrapped store key of an encrypted store
//! log/NNNNNNNNNN.wal   segments of the write-ahead log
//! tablet-1/            CURRENT, manifest, sstables and blob files of the first tablet
//! TABLETS              which tablets there are beside it, if there ever were any
//! tablet-NNNNNNNNNN/   another tablet
//! ```

mod checkpoint;
mod recover;
mod shared;
mod statistics;
pub(crate) mod tablet_list;
mod tablets;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::encryption::{KeyProblem, MasterKey, StoreKeys};
use crate::error::{Error, Result};
use crate::manifest::current::write_by_rename;
use crate::options::{StoreOptions, WalCompression};
use crate::sync::scheduled::Mutex;
use crate::tablet::open::Place;
use crate::tablet::{MemoryReport, Tablet, TabletId, Workers, lock, memory_report, start_workers};
use crate::vfs::{Vfs, VfsLock};
use crate::wal::head::first_chunk_offset;
use crate::wal::header::{HEADER_BYTES, LogHeader, LogKind, LogRung, segment_number, segment_path};

pub(crate) use checkpoint::{Part, write_checkpoint};
pub(crate) use shared::Shared;
pub use statistics::StoreStatistics;
use tablet_list::TabletList;

/// The file that makes a directory a store.
pub(crate) const STORE_FILE: &str = "STORE";

/// An open store. Clones share it; it is closed by [`Store::close`] or when the last clone goes.
#[derive(Clone)]
pub struct Store {
    /// What clones share.
    inner: Arc<StoreInner>,
}

/// What clones of a store share.
struct StoreInner {
    /// What the tablets share, and they themselves.
    shared: Arc<Shared>,
    /// The first tablet.
    first: Tablet,
    /// Background threads.
    workers: Mutex<Workers>,
    /// Where it is.
    directory: PathBuf,
    /// Keeps others out of the directory.
    lock: Mutex<Option<Box<dyn VfsLock>>>,
}

impl Store {
    /// Opens the store in `directory`, creating it if there is none and the options allow it. Everything acknowledged
    /// as synced before is there.
    ///
    /// [`Error::InvalidInput`]: options out of bounds, or no store where none is to be made. [`Error::Locked`]: somebody has it open.
    /// [`Error::Encryption`], [`Error::FormatVersion`], [`Error::NotPermitted`]: nothing was touched. [`Error::Corruption`]: names file
    /// and offset; nothing is removed or cut off, and [`crate::salvage`] copies what can be read.
    pub fn open(vfs: Arc<dyn Vfs>, directory: &Path, options: StoreOptions) -> Result<Store> {
        options.validate()?;
        let place = Place {
            vfs,
            directory: directory.to_path_buf(),
            identity: 0,
            keys: None,
            rung: rung_of_new(&options),
        };
        let exists = exists(&*place.vfs, &directory.join(STORE_FILE))?;
        if !exists && (options.read_only || !options.create_if_missing) {
            return Err(Error::invalid(format!("there is no store in {}", directory.display())));
        }
        if !exists {
            create_directories(&place)?;
        }
        let lock_file = take_lock(&place, options.read_only)?;
        let options = Arc::new(options);
        let shared = if exists { open_existing(place, &options)? } else { open_new(place, &options)? };
        let workers = Mutex::new(Workers::default());
        let Some(first) = shared.tablet(TabletId::FIRST) else {
            return Err(Error::corruption(&directory.join(STORE_FILE), 0, "the store has no first tablet"));
        };
        let first = Tablet { inner: first };
        let inner = StoreInner {
            shared,
            first,
            workers,
            directory: directory.to_path_buf(),
            lock: Mutex::new(lock_file),
        };
        // From here on, whatever fails, dropping it closes the store.
        *lock(&inner.workers) = start_workers(&inner.shared)?;
        inner.shared.work.wake();
        Ok(Store { inner: Arc::new(inner) })
    }

    /// The first tablet, which every store has: [`TabletId::FIRST`].
    pub fn tablet(&self) -> Tablet {
        self.inner.first.clone()
    }

    /// Where the store's memory is, all tablets together.
    pub fn memory_report(&self) -> MemoryReport {
        memory_report(&self.inner.shared)
    }

    /// The format version the store has on disk: the rung of the ladder in `FORMAT.md` it was made on, or has been brought to by
    /// creating a second tablet or by [`Store::raise_format_version`]. Opening it with a newer build does not change it.
    pub fn format_version(&self) -> u32 {
        let shared = &self.inner.shared;
        let of_tablets = lock(&shared.list).is_some();
        store_head(&shared.place, of_tablets, shared.rung()).format_version()
    }

    /// Brings the store to the newest format version, durably. Builds that do not know it refuse the store from then on; there
    /// is no way back. Fine if the store has it already.
    pub fn raise_format_version(&self) -> Result<()> {
        let shared = &self.inner.shared;
        let list = lock(&shared.list);
        shared.check_writable()?;
        if shared.rung() != LogRung::NEWEST {
            let written = write_store_file(&shared.place, list.is_some(), LogRung::NEWEST);
            written.map_err(|error| shared.unknown_if_begun(error))?;
            shared.rung.store(LogRung::NEWEST.to_byte(), Ordering::Release);
        }
        shared.log()?.raise()
    }

    /// Wraps the store's key with another master key, which opens the store from now on; the one before no longer does.
    /// Nothing else is rewritten. After a crash either may be the one: give both in [`crate::Encryption`]. A store in the open is
    /// refused with [`Error::Encryption`]; after an error of the file system the key before is the one, or either.
    pub fn rotate_master_key(&self, key: &MasterKey) -> Result<()> {
        let shared = &self.inner.shared;
        shared.check_writable()?;
        let Some(keys) = &shared.place.keys else {
            let directory = self.inner.directory.clone();
            return Err(Error::Encryption { directory, problem: KeyProblem::NotEncrypted });
        };
        keys.rewrap(&*shared.place.vfs, &self.inner.directory, key)
    }

    /// Makes everything acknowledged durable, ends background work and releases the directory. Tablets and snapshots
    /// that are still held can read, not write. Closing twice is fine. An error says that what was acknowledged without a sync may not
    /// be durable; the directory is released all the same.
    pub fn close(&self) -> Result<()> {
        self.inner.close()
    }
}

impl StoreInner {
    /// As [`Store::close`].
    fn close(&self) -> Result<()> {
        let shared = &self.shared;
        if shared.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        {
            // A tablet that is being created is there before, or is refused.
            let _none_comes_or_goes = lock(&shared.list);
            shared.end_tablets();
        }
        let closed_log = shared.close_log();
        shared.stop.store(true, Ordering::Release);
        shared.tablets().iter().for_each(|tablet| tablet.stop.store(true, Ordering::Release));
        shared.work.wake();
        shared.open_files.removals.end();
        lock(&self.workers).join();
        shared.open_files.removals.drain();
        *lock(&self.lock) = None;
        closed_log
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        // An error here has nobody to go to; what it could lose was never acknowledged as durable.
        let _unreported = self.close();
        self.shared.release();
    }
}

/// Whether a file is there.
fn exists(vfs: &dyn Vfs, path: &Path) -> Result<bool> {
    match vfs.len(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look for", path, error)),
    }
}

/// Locks the directory. A read-only store on a medium that cannot hold a lock file goes without.
fn take_lock(place: &Place, read_only: bool) -> Result<Option<Box<dyn VfsLock>>> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, WouldBlock};
    let path = place.directory.join("LOCK");
    match place.vfs.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == WouldBlock => Err(Error::Locked { directory: place.directory.clone() }),
        Err(error) if read_only && matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => Ok(None),
        Err(error) => Err(Error::io("lock", &path, error)),
    }
}

/// Creates the store's directories, their names durable up to the first ancestor that was there before.
pub(crate) fn create_directories(place: &Place) -> Result<()> {
    for directory in [place.log_directory(), place.tablet_directory(TabletId::FIRST)] {
        let missing: Vec<PathBuf> = directory
            .ancestors()
            .take_while(|ancestor| place.vfs.list(ancestor).is_err())
            .filter_map(|ancestor| ancestor.parent().map(Path::to_path_buf))
            .collect();
        place.vfs.create_dir(&directory).map_err(|error| Error::io("create", &directory, error))?;
        for parent in missing {
            place.vfs.sync_dir(&parent).map_err(|error| Error::io("sync", &parent, error))?;
        }
    }
    Ok(())
}

/// Writes the file that makes the directory a store, of one tablet or of those that `TABLETS` names.
pub(crate) fn write_store_file(place: &Place, of_tablets: bool, rung: LogRung) -> Result<()> {
    let head = store_head(place, of_tablets, rung);
    write_by_rename(&*place.vfs, &place.directory, STORE_FILE, &head.encode())
}

/// What the log of a store that is made with these options may have.
fn rung_of_new(options: &StoreOptions) -> LogRung {
    match options.wal_compression {
        WalCompression::None => LogRung::Plain,
        WalCompression::Lz4 { .. } => LogRung::NEWEST,
    }
}

/// What is in the file.
fn store_head(place: &Place, of_tablets: bool, rung: LogRung) -> LogHeader {
    LogHeader {
        kind: if of_tablets { LogKind::StoreOfTablets } else { LogKind::Store },
        number: 0,
        identity: place.identity,
        previous: 0,
        previous_end: 0,
        encrypted: place.keys.is_some(),
        rung,
        begun_early: false,
    }
}

/// Makes an empty directory a store.
fn open_new(mut place: Place, options: &Arc<StoreOptions>) -> Result<Arc<Shared>> {
    remove_unfinished(&place)?;
    let identity = place.vfs.unique_id();
    place.identity = identity.map_err(|error| Error::io("draw an identity for", &place.directory, error))?;
    if let Some(encryption) = &options.encryption {
        place.keys = Some(Arc::new(StoreKeys::create(&*place.vfs, &place.directory, encryption)?));
    }
    let shared = recover::create(&place, options)?;
    let written = write_store_file(&place, false, place.rung);
    if written.is_err() {
        shared.release();
    }
    written.map(|()| shared)
}

/// Removes what a creation that did not finish left behind. It can hold no data: the store was never open. Anything
/// else means that `STORE` has been lost, and is left alone.
fn remove_unfinished(place: &Place) -> Result<()> {
    let store_file = place.directory.join(STORE_FILE);
    let list =
        |directory: &Path| place.vfs.list(directory).map_err(|error| Error::io("list", directory, error));
    let (log_directory, tablet_directory) = (place.log_directory(), place.tablet_directory(TabletId::FIRST));
    let mut leftovers = Vec::new();
    for number in list(&log_directory)?.iter().filter_map(|name| segment_number(name)) {
        let path = segment_path(&log_directory, number);
        let length = place.vfs.len(&path).map_err(|error| Error::io("measure", &path, error))?;
        // A segment that was only begun, with or without a key block.
        if number > 1 || length > first_chunk_offset(true) {
            return Err(Error::corruption(&store_file, 0, "the file is missing, and there is a log"));
        }
        leftovers.push(path);
    }
    for name in list(&tablet_directory)? {
        use crate::file_id::FileKind::{Blob, Current, Foreign, Manifest, Sstable, Temporary};
        match crate::file_id::FileKind::of(&name) {
            Sstable(_) | Blob(_) => {
                return Err(Error::corruption(&store_file, 0, "the file is missing, and there are sstables"));
            }
            Current | Manifest(_) | Temporary => leftovers.push(tablet_directory.join(name)),
            Foreign => {}
        }
    }
    for path in leftovers {
        place.vfs.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(())
}

/// What a store's `STORE` file says.
pub(crate) fn read_store_file(place: &Place) -> Result<LogHeader> {
    let path = place.directory.join(STORE_FILE);
    let file = place.vfs.open_read(&path).map_err(|error| Error::io("open", &path, error))?;
    let mut bytes = [0; HEADER_BYTES];
    let length = file.read_at(0, &mut bytes).map_err(|error| Error::io("read", &path, error))?;
    LogHeader::decode(bytes.get(..length).unwrap_or_default(), &path)?
        .filter(|head| matches!(head.kind, LogKind::Store | LogKind::StoreOfTablets))
        .ok_or_else(|| Error::corruption(&path, 0, "it is not the head of a store"))
}

/// Opens what is there.
fn open_existing(mut place: Place, options: &Arc<StoreOptions>) -> Result<Arc<Shared>> {
    let head = read_store_file(&place)?;
    place.identity = head.identity;
    place.rung = head.rung;
    place.keys = match (&options.encryption, head.encrypted) {
        (None, false) => None,
        (Some(_), false) => {
            let directory = place.directory.clone();
            return Err(Error::Encryption { directory, problem: KeyProblem::NotEncrypted });
        }
        (encryption, true) => {
            Some(Arc::new(StoreKeys::read(&*place.vfs, &place.directory, encryption.as_ref())?))
        }
    };
    let list = match head.kind {
        LogKind::StoreOfTablets => Some(TabletList::read(&*place.vfs, &place.directory, place.identity)?),
        _ => None,
    };
    recover::recover(&place, options, list)
}

#[cfg(all(test, shuttle))]
#[path = "store_schedules.rs"]
pub(crate) mod schedules;
