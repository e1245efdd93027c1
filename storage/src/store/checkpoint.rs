//! A checkpoint: another directory that opens as a store with everything committed so far, of all tablets at one moment of
//! the log.
//!
//! 1. What is committed is flushed, tablet by tablet, while others commit.
//! 2. All commit queues are held at once; what came meanwhile is flushed, and the version of each tablet taken. Nobody commits
//!    in between, so the versions are of one moment; as little as this is left to do, commits wait for it shortly.
//! 3. The versions' files are linked, the manifests written, then `TABLETS` if there are several tablets, and `STORE` last.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::manifest::{Progress, VersionRef};
use crate::poison::Poison;
use crate::store::tablet_list::TabletList;
use crate::store::{STORE_FILE, Shared, Store, create_directories, write_store_file};
use crate::tablet::open::Place;
use crate::tablet::{TabletId, TabletInner, lock};
use crate::wal::log::{Log, LogPosition, LogTail};

/// A tablet's part of a checkpoint.
pub(crate) struct Part {
    /// Its id in the new store.
    pub(crate) id: TabletId,
    /// The tablet.
    pub(crate) tablet: Arc<TabletInner>,
    /// Its files.
    pub(crate) version: VersionRef,
    /// What else its manifest says.
    pub(crate) progress: Progress,
}

impl Store {
    /// Makes `directory`, which must not exist or be empty, a store with everything committed so far: all tablets as they are
    /// at one moment between two commits. On the same file system it takes next to no room: files that never change are linked.
    ///
    /// [`Error::InvalidInput`]: the directory holds something of a store. [`Error::Corruption`]: a file is not as it was written; every
    /// one is read. What a failure leaves in `directory` is no store and opens as none.
    pub fn checkpoint(&self, directory: &Path) -> Result<()> {
        let shared = &self.inner.shared;
        let list = lock(&shared.list);
        shared.check_writable()?;
        let tablets = shared.tablets();
        for tablet in &tablets {
            tablet.flush_committed()?;
        }
        let mut parts = Vec::with_capacity(tablets.len());
        {
            let mut orders: Vec<_> = tablets.iter().map(|tablet| lock(&tablet.order)).collect();
            shared.check_writable()?;
            if orders.iter().any(|order| !order.active.is_empty()) {
                let log_segment = shared.log()?.rotate()?;
                for (tablet, order) in
                    tablets.iter().zip(&mut orders).filter(|(_, order)| !order.active.is_empty())
                {
                    tablet.seal_before(order, log_segment);
                }
            }
            for tablet in &tablets {
                tablet.flush_sealed()?;
                let (version, progress) = tablet.versions.version_and_progress();
                parts.push(Part { id: tablet.id, tablet: Arc::clone(tablet), version, progress });
            }
        }
        write_checkpoint(shared, directory, parts, list.as_ref())
    }
}

/// Makes `directory` a store of these parts. `list`: which tablets there are and were, if there is more than the first.
pub(crate) fn write_checkpoint(
    shared: &Shared,
    directory: &Path,
    parts: Vec<Part>,
    list: Option<&TabletList>,
) -> Result<()> {
    let vfs = &shared.place.vfs;
    let identity = vfs.unique_id().map_err(|error| Error::io("draw an identity for", directory, error))?;
    let keys = shared.place.keys.clone();
    let rung = shared.rung();
    let (own_vfs, own_directory) = (Arc::clone(vfs), directory.to_path_buf());
    let place = Place { vfs: own_vfs, directory: own_directory, identity, keys, rung };
    create_directories(&place)?;
    require_empty(&place)?;
    if let Some(keys) = &place.keys {
        keys.copy_to(&**vfs, directory)?;
    }
    let log_segment = parts.iter().map(|part| part.progress.log_segment).max().unwrap_or(1);
    for part in &parts {
        let target = place.tablet_directory(part.id);
        vfs.create_dir(&target).map_err(|error| Error::io("create", &target, error))?;
        part.tablet.link_files(&part.version, &target)?;
    }
    let tail = LogTail { next_number: log_segment, ..LogTail::default() };
    let (log, keys) = (place.log_directory(), place.keys.clone());
    let poison = Arc::new(Poison::default());
    Log::begin(Arc::clone(vfs), &log, identity, keys, tail, poison, rung)?;
    for part in parts {
        // The log of the new store is another, and empty.
        let progress = Progress {
            log_segment,
            log_promise: LogPosition::default(),
            log_start: LogPosition::default(),
            log_begin: 0,
            ..part.progress
        };
        let target = place.opener(part.id, &shared.options, &shared.cache, &shared.open_files);
        part.tablet.versions.write_copy(&target, identity, &part.version, progress)?;
    }
    if let Some(list) = list {
        list.write(&**vfs, directory, identity)?;
    }
    vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))?;
    write_store_file(&place, list.is_some(), rung)
}

/// Fails if there is something of a store in the directory.
fn require_empty(place: &Place) -> Result<()> {
    let list =
        |directory: &Path| place.vfs.list(directory).map_err(|error| Error::io("list", directory, error));
    for name in list(&place.directory)? {
        let tablet = TabletId::of_directory(&name).map(|id| place.tablet_directory(id));
        let taken = match tablet {
            Some(tablet) => !list(&tablet)?.is_empty(),
            None => name == STORE_FILE,
        };
        if taken {
            return Err(Error::invalid(format!("{} is not empty", place.directory.display())));
        }
    }
    Ok(())
}
