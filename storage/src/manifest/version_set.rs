//! The current version of a tablet, and the manifest it is rebuilt from.
//!
//! A change goes through in this order, and a power cut between any two steps leaves a directory that opens:
//!
//! 1. The files of the edit are complete, synced, and their names durable (the job did that).
//! 2. The edit is applied to the current version in memory; if it does not fit, nothing has happened.
//! 3. The edit is appended to the manifest and synced. From here on the change is real.
//! 4. The new version is published.
//! 5. Files that only older versions have go when their last reader does.
//!
//! When the manifest has grown to twice what the version alone needs, a new one is written that begins with the whole
//! version, and `CURRENT` is replaced by rename. A failed write or sync of the manifest poisons the store.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::encryption::FileCipher;
use crate::error::{Error, Result};
use crate::file_id::{FileId, FileKind};
use crate::manifest::current;
use crate::manifest::edit_codec;
use crate::manifest::version::{Version, VersionRef};
use crate::manifest::version_edit::VersionEdit;
use crate::poison::Poison;
use crate::sstable::block_file::FileOpener;
use crate::sync::referenced::{Mutex, MutexGuard};
use crate::timestamp::Timestamp;
use crate::vfs::VfsFile;
use crate::wal::chunk::{ChunkContext, frame, record_offset};
use crate::wal::head::{self, first_chunk_offset};
use crate::wal::header::{LogHeader, LogKind, LogRung};
use crate::wal::log::LogPosition;
use crate::wal::reader::{LogEnd, LogReader};

/// What a tablet knows beside its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Log segments below this number are no longer needed.
    pub log_segment: u64,
    /// The log is on disk up to here.
    pub log_promise: LogPosition,
    /// The log index up to which all records are in sstables.
    pub applied_index: u64,
    /// The newest timestamp in sstables.
    pub last_timestamp: Timestamp,
    /// Versions shadowed before this timestamp may be gone.
    pub history_floor: Timestamp,
    /// The tablet's records before this place are in the log once more behind it.
    pub log_start: LogPosition,
    /// Log segments below this number are no longer needed by any tablet of the store.
    pub log_begin: u64,
}

impl Progress {
    /// Takes over what an edit says. Nothing here ever goes back: a flush may be installed after an ingestion that is
    /// newer than what it flushes.
    fn apply(&mut self, edit: &VersionEdit) {
        self.log_segment = self.log_segment.max(edit.log_segment.unwrap_or_default());
        self.log_promise = self.log_promise.max(edit.log_promise.unwrap_or_default());
        self.applied_index = self.applied_index.max(edit.applied_index.unwrap_or_default());
        self.last_timestamp = self.last_timestamp.max(edit.last_timestamp.unwrap_or_default());
        self.history_floor = self.history_floor.max(edit.history_floor.unwrap_or_default());
        self.log_start = self.log_start.max(edit.log_start.unwrap_or_default());
        self.log_begin = self.log_begin.max(edit.log_begin.unwrap_or_default());
    }
}

/// The current version and its manifest.
#[derive(Debug)]
pub struct VersionSet {
    /// The tablet's files.
    pub(super) opener: Arc<FileOpener>,
    /// The store's identity.
    pub(super) identity: u128,
    /// Size at which the manifest is rewritten at the earliest.
    manifest_bytes_min: u64,
    /// Stops the store after a failure.
    poison: Arc<Poison>,
    /// The next file number.
    pub(super) next_file: AtomicU64,
    /// The next epoch.
    pub(super) next_epoch: AtomicU64,
    /// The current version.
    state: Mutex<State>,
}

/// The current version and where its manifest stands.
#[derive(Debug)]
pub(super) struct State {
    /// The files.
    pub(super) version: VersionRef,
    /// What else the manifest says.
    pub(super) progress: Progress,
    /// The open manifest; `None` when the store is read-only.
    pub(super) manifest: Option<Manifest>,
}

/// The open manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its number.
    pub(super) id: FileId,
    /// The file.
    file: Arc<dyn VfsFile>,
    /// What its edits are encrypted with.
    cipher: Option<FileCipher>,
    /// Its path.
    path: PathBuf,
    /// Its length.
    pub(super) written: u64,
    /// Its length when it held nothing but the version it began with.
    first_written: u64,
}

impl VersionSet {
    /// A tablet without files, its manifest durable. It has no records in segments below `log_segment`.
    pub fn create(
        opener: Arc<FileOpener>,
        identity: u128,
        manifest_bytes_min: u64,
        poison: Arc<Poison>,
        log_segment: u64,
    ) -> Result<VersionSet> {
        let progress = Progress { log_segment, ..Progress::default() };
        let set =
            VersionSet::over(opener, identity, manifest_bytes_min, poison, Version::default(), progress);
        set.roll(&mut set.lock())?;
        Ok(set)
    }

    /// Reads the manifest `CURRENT` names. Unless `read_only`, a new manifest is begun.
    pub fn recover(
        opener: Arc<FileOpener>,
        identity: u128,
        manifest_bytes_min: u64,
        poison: Arc<Poison>,
        read_only: bool,
    ) -> Result<VersionSet> {
        let id = current::read(&*opener.vfs, &opener.directory)?;
        let Rebuilt { version, progress, next_file, next_epoch } =
            rebuild(&opener, id, &read_edits(&opener, identity, id, None)?)?;
        check_lengths(&opener, &version)?;
        let set = VersionSet::over(opener, identity, manifest_bytes_min, poison, version, progress);
        let names = set.opener.vfs.list(&set.opener.directory);
        let names = names.map_err(|error| Error::io("list", &set.opener.directory, error))?;
        // A file created by a job that never finished may have a number the manifest does not know of.
        let highest = names.iter().filter_map(|name| numbered(name)).max().unwrap_or(0);
        set.next_file.store(next_file.max(highest + 1), Ordering::Relaxed);
        set.next_epoch.store(next_epoch, Ordering::Relaxed);
        if !read_only {
            set.roll(&mut set.lock())?;
        }
        Ok(set)
    }

    /// A set without a manifest yet.
    fn over(
        opener: Arc<FileOpener>,
        identity: u128,
        manifest_bytes_min: u64,
        poison: Arc<Poison>,
        version: Version,
        progress: Progress,
    ) -> VersionSet {
        VersionSet {
            opener,
            identity,
            manifest_bytes_min,
            poison,
            next_file: AtomicU64::new(1),
            next_epoch: AtomicU64::new(1),
            state: Mutex::new(State { version: VersionRef::new(version), progress, manifest: None }),
        }
    }

    /// Locks the state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tablet's files.
    pub fn opener(&self) -> &Arc<FileOpener> {
        &self.opener
    }

    /// Draws a file number.
    pub fn next_file(&self) -> FileId {
        FileId(self.next_file.fetch_add(1, Ordering::Relaxed))
    }

    /// Draws an epoch.
    pub fn next_epoch(&self) -> u64 {
        self.next_epoch.fetch_add(1, Ordering::Relaxed)
    }

    /// The current version.
    pub fn version(&self) -> VersionRef {
        VersionRef::clone(&self.lock().version)
    }

    /// What else the manifest says.
    pub fn progress(&self) -> Progress {
        self.lock().progress
    }

    /// The current version and what else the manifest says, of one moment.
    pub fn version_and_progress(&self) -> (VersionRef, Progress) {
        let state = self.lock();
        (VersionRef::clone(&state.version), state.progress)
    }

    /// Makes an edit durable and then the current version, calling `publish` before anybody can make the next change. An edit
    /// that does not fit is a mistake of whoever made it: nothing is written, and writes stop.
    pub fn install(&self, edit: VersionEdit, publish: impl FnOnce(&VersionRef)) -> Result<()> {
        self.poison.check()?;
        let mut state = self.lock();
        let next = self.successor(&state, &edit)?;
        self.commit(&mut state, next, edit, publish)
    }

    /// As `install`, for an edit that was planned on a version which may be a former one by now. False, and nothing has
    /// happened, if sstables or blob files that it removes are gone: somebody else was quicker. An edit whose inputs are all there
    /// and that does not fit all the same is as wrong as one given to `install`.
    pub fn install_planned(&self, edit: VersionEdit, publish: impl FnOnce(&VersionRef)) -> Result<bool> {
        self.poison.check()?;
        let mut state = self.lock();
        if !state.version.has_inputs_of(&edit) {
            return Ok(false);
        }
        let next = self.successor(&state, &edit)?;
        self.commit(&mut state, next, edit, publish).map(|()| true)
    }

    /// The version after an edit; where there is none, nobody is to build on what led to the edit.
    fn successor(&self, state: &State, edit: &VersionEdit) -> Result<Version> {
        state.version.apply(edit, &self.opener).map_err(|misfit| {
            let manifest = state.manifest.as_ref();
            let path = manifest.map_or(&self.opener.directory, |manifest| &manifest.path);
            let at = manifest.map_or(0, |manifest| manifest.written);
            self.poison.set(Error::corruption(
                path,
                at,
                format!("what was to be written contradicts it: {misfit}"),
            ))
        })
    }

    /// Makes an edit durable and `next`, which it leads to, the current version.
    fn commit(
        &self,
        state: &mut State,
        next: Version,
        mut edit: VersionEdit,
        publish: impl FnOnce(&VersionRef),
    ) -> Result<()> {
        edit.next_file = Some(FileId(self.next_file.load(Ordering::Relaxed)));
        edit.next_epoch = Some(self.next_epoch.load(Ordering::Relaxed));
        let next = VersionRef::new(next);
        let manifest = state.manifest.as_mut().ok_or_else(|| Error::invalid("the store is read-only"))?;
        manifest.append(self.identity, &edit).map_err(|error| self.poison.set(error))?;
        let full = manifest.written > self.manifest_bytes_min.max(2 * manifest.first_written);
        state.progress.apply(&edit);
        let previous = std::mem::replace(&mut state.version, next);
        publish(&state.version);
        previous.retire(&state.version);
        match if full { self.roll(state) } else { Ok(()) } {
            // The edit is durable; the manifest is rewritten another time.
            Err(error) if error.is_before_creation() => Ok(()),
            rolled => rolled.map_err(|error| self.poison.set(error)),
        }
    }

    /// Writes a new manifest that begins with the whole version, and makes it the current one.
    fn roll(&self, state: &mut State) -> Result<()> {
        let id = self.next_file();
        let edit = self.snapshot_edit(state);
        let manifest = Manifest::create(&self.opener, self.identity, id, &edit)?;
        current::replace(&*self.opener.vfs, &self.opener.directory, id)?;
        if let Some(old) = state.manifest.replace(manifest) {
            let removed = self.opener.vfs.remove(&old.path);
            removed.map_err(|error| Error::io("remove", &old.path, error))?;
        }
        Ok(())
    }

    /// The edit that leads from nothing to the current version.
    fn snapshot_edit(&self, state: &State) -> VersionEdit {
        let levels = state.version.levels.iter().enumerate();
        let tables =
            levels.flat_map(|(level, tables)| tables.iter().map(move |table| (level, table.meta.clone())));
        VersionEdit {
            added_tables: tables.collect(),
            added_blobs: state.version.blobs.values().map(|blob| blob.meta.clone()).collect(),
            next_file: Some(FileId(self.next_file.load(Ordering::Relaxed))),
            next_epoch: Some(self.next_epoch.load(Ordering::Relaxed)),
            log_segment: Some(state.progress.log_segment),
            log_promise: Some(state.progress.log_promise),
            applied_index: Some(state.progress.applied_index),
            last_timestamp: Some(state.progress.last_timestamp),
            history_floor: Some(state.progress.history_floor),
            log_start: Some(state.progress.log_start).filter(|&at| at != LogPosition::default()),
            log_begin: Some(state.progress.log_begin).filter(|&number| number > 0),
            ..VersionEdit::default()
        }
    }

    /// Writes a manifest of `version`, and the `CURRENT` that names it, into the directory of `target`: a step of a
    /// checkpoint.
    pub fn write_copy(
        &self,
        target: &FileOpener,
        identity: u128,
        version: &VersionRef,
        progress: Progress,
    ) -> Result<()> {
        let state = State { version: VersionRef::clone(version), progress, manifest: None };
        let edit = self.snapshot_edit(&state);
        let id = self.next_file();
        Manifest::create(target, identity, id, &edit)?;
        current::replace(&*target.vfs, &target.directory, id)
    }

    /// Gives up all files: those that somebody still reads go when the last reader does, and the directory with the last.
    pub fn discard(&self) {
        let mut state = self.lock();
        self.opener.abandoned.store(true, Ordering::Release);
        state.version.retire(&Version::default());
        let manifest = state.manifest.take().map(|manifest| manifest.path);
        for path in manifest.into_iter().chain([self.opener.directory.join("CURRENT")]) {
            // What stays for whatever reason, the next open removes.
            let _leftover_if_it_fails = self.opener.vfs.remove(&path);
        }
        let _sstables_are_left = self.opener.vfs.remove_dir(&self.opener.directory);
    }

    /// Removes files no version needs: what unfinished jobs and older manifests left. Called once the open succeeded.
    pub fn remove_orphans(&self) -> Result<()> {
        let state = self.lock();
        let directory = &self.opener.directory;
        let names = self.opener.vfs.list(directory).map_err(|error| Error::io("list", directory, error))?;
        let current = state.manifest.as_ref().map(|manifest| manifest.id);
        for name in names {
            let needed = match FileKind::of(&name) {
                FileKind::Sstable(id) => {
                    state.version.levels.iter().flatten().any(|table| table.meta.file_id == id)
                }
                FileKind::Blob(id) => state.version.blobs.contains_key(&id),
                FileKind::Manifest(id) => Some(id) == current,
                FileKind::Temporary => false,
                FileKind::Current | FileKind::Foreign => true,
            };
            if !needed {
                let path = directory.join(name);
                self.opener.vfs.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        Ok(())
    }
}

impl Manifest {
    /// A new manifest, durable, that holds one edit.
    fn create(opener: &FileOpener, identity: u128, id: FileId, edit: &VersionEdit) -> Result<Manifest> {
        let path = opener.directory.join(id.manifest_name());
        let header = LogHeader {
            kind: LogKind::Manifest,
            number: id.0,
            identity,
            previous: 0,
            previous_end: 0,
            encrypted: opener.keys.is_some(),
            rung: LogRung::Plain,
            begun_early: false,
        };
        let begun = head::begin(&*opener.vfs, &path, &header, opener.keys.as_deref())?;
        let head::Begun { file, cipher, length } = begun;
        let mut manifest = Manifest { id, file, cipher, path, written: length, first_written: 0 };
        manifest.append(identity, edit)?;
        manifest.first_written = manifest.written;
        let directory = &opener.directory;
        opener.vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))?;
        Ok(manifest)
    }

    /// Appends an edit and syncs it.
    fn append(&mut self, identity: u128, edit: &VersionEdit) -> Result<()> {
        let context = ChunkContext::new(identity, self.id.0);
        let mut framed = Vec::new();
        // Every edit is synced before the next, so all before it is the promise.
        let first = first_chunk_offset(self.cipher.is_some());
        let synced = if self.written == first { 0 } else { self.written };
        let mut record = edit_codec::encode(edit);
        if let Some(cipher) = &self.cipher {
            let sealed = cipher.encrypt(record_offset(self.written), &[], &mut record, 0);
            sealed.map_err(|malformed| Error::invalid(malformed.0))?;
        }
        frame(&mut framed, self.written, context, [&record, &[]], synced);
        self.file.append(&framed).map_err(|error| Error::io("write", &self.path, error))?;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))?;
        self.written += framed.len() as u64;
        Ok(())
    }
}

/// The number in the name of one of a tablet's files.
fn numbered(name: &str) -> Option<u64> {
    match FileKind::of(name) {
        FileKind::Sstable(id) | FileKind::Blob(id) | FileKind::Manifest(id) => Some(id.0),
        FileKind::Current | FileKind::Temporary | FileKind::Foreign => None,
    }
}

/// All edits of the manifest `CURRENT` names.
pub(crate) fn read_manifest(opener: &FileOpener, identity: u128) -> Result<Vec<VersionEdit>> {
    let id = current::read(&*opener.vfs, &opener.directory)?;
    let edits = read_edits(opener, identity, id, None)?;
    Ok(edits.into_iter().map(|(_, edit)| edit).collect())
}

/// All edits of a manifest, and where each begins. `written`: how long the manifest is, if that is known.
pub(super) fn read_edits(
    opener: &FileOpener,
    identity: u128,
    id: FileId,
    written: Option<u64>,
) -> Result<Vec<(u64, VersionEdit)>> {
    let path = opener.directory.join(id.manifest_name());
    let file = opener.vfs.open_read(&path).map_err(|error| Error::io("open", &path, error))?;
    let (header, cipher) = head::read(&*file, &path, opener.keys.as_deref())?
        .ok_or_else(|| Error::corruption(&path, 0, "the head of the manifest is damaged"))?;
    if header.kind != LogKind::Manifest || header.number != id.0 || header.identity != identity {
        return Err(Error::corruption(
            &path,
            0,
            "the manifest belongs to another store or has another's name",
        ));
    }
    let first = first_chunk_offset(cipher.is_some());
    let end = written.map_or(LogEnd::Unknown, LogEnd::At);
    let mut reader = LogReader::new(file, &path, ChunkContext::new(identity, id.0), cipher, end)?;
    let mut edits = Vec::new();
    while let Some((offset, bytes)) = reader.next_record()? {
        let edit = edit_codec::decode(bytes);
        edits.push((offset, edit.ok_or_else(|| Error::corruption(&path, offset, "not a version edit"))?));
    }
    if edits.is_empty() {
        // The first edit was synced before CURRENT named the file.
        return Err(Error::corruption(&path, first, "the first edit of the manifest is damaged"));
    }
    Ok(edits)
}

/// What the edits of a manifest lead to.
pub(super) struct Rebuilt {
    /// The files.
    pub(super) version: Version,
    /// What else it says.
    pub(super) progress: Progress,
    /// All file numbers below this are taken.
    pub(super) next_file: u64,
    /// All epochs below this are taken.
    pub(super) next_epoch: u64,
}

/// Applies the edits of manifest `id` to nothing.
pub(super) fn rebuild(opener: &Arc<FileOpener>, id: FileId, edits: &[(u64, VersionEdit)]) -> Result<Rebuilt> {
    let mut rebuilt =
        Rebuilt { version: Version::default(), progress: Progress::default(), next_file: 1, next_epoch: 1 };
    for (offset, edit) in edits {
        rebuilt.next_file = edit.next_file.map_or(rebuilt.next_file, |id| id.0);
        rebuilt.next_epoch = edit.next_epoch.unwrap_or(rebuilt.next_epoch);
        rebuilt.progress.apply(edit);
        rebuilt.version = rebuilt.version.apply(edit, opener).map_err(|error| {
            let path = opener.directory.join(id.manifest_name());
            Error::corruption(&path, *offset, format!("the manifest contradicts itself: {error}"))
        })?;
    }
    Ok(rebuilt)
}

/// Fails if a file of the version is missing or has another length than the manifest says.
fn check_lengths(opener: &FileOpener, version: &Version) -> Result<()> {
    let tables = version
        .levels
        .iter()
        .flatten()
        .map(|table| (table.meta.file_id.sstable_path(&opener.directory), table.meta.size_bytes));
    let blobs = version
        .blobs
        .values()
        .map(|blob| (blob.meta.file_id.blob_path(&opener.directory), blob.meta.size_bytes));
    for (path, expected) in tables.chain(blobs) {
        match opener.vfs.len(&path) {
            Ok(found) if found == expected => {}
            Ok(found) => {
                let detail = format!("the file has {found} bytes, the manifest says {expected}");
                return Err(Error::corruption(&path, found.min(expected), detail));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::corruption(&path, 0, "the file is missing, the manifest needs it"));
            }
            Err(error) => return Err(Error::io("measure", &path, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_knows_never_goes_back() {
        let at = |number: u64| VersionEdit {
            log_segment: Some(number),
            log_promise: Some(LogPosition { segment: number, offset: 5 }),
            applied_index: Some(number),
            last_timestamp: Some(Timestamp(number)),
            history_floor: Some(Timestamp(number)),
            log_start: Some(LogPosition { segment: number, offset: 7 }),
            log_begin: Some(number),
            ..VersionEdit::default()
        };
        let mut progress = Progress::default();
        progress.apply(&at(9));
        let before = progress;
        assert_eq!((before.log_segment, before.last_timestamp), (9, Timestamp(9)));
        progress.apply(&at(4));
        progress.apply(&VersionEdit::default());
        assert_eq!(progress, before);
    }
}

#[cfg(all(test, loom))]
#[path = "version_set_interleavings.rs"]
mod interleavings;
