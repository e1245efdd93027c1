//! Tablets come and go.
//!
//! The file `TABLETS` decides: a tablet is there from the moment the file that names it is in place, and gone from the
//! moment the one that no longer does is. Before the first comes its directory with an empty manifest, after the second go its
//! files; what a crash leaves of either is removed by the next open.
//!
//! `STORE` changes once, before the first further tablet is made: builds that know of one tablet only refuse the store then,
//! instead of taking the records of others for their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::file_id::FileKind;
use crate::manifest::{VersionEdit, VersionSet};
use crate::store::shared::Shared;
use crate::store::tablet_list::TabletList;
use crate::store::{Store, write_store_file};
use crate::tablet::open::{Replayed, assemble};
use crate::tablet::{Tablet, TabletId, TabletInner, lock};

impl Store {
    /// Creates a tablet, durably. [`Error::TabletExists`] and [`Error::TabletDropped`] say that the id is or was taken.
    pub fn create_tablet(&self, id: TabletId) -> Result<Tablet> {
        let shared = &self.inner.shared;
        let list = &mut *lock(&shared.list);
        shared.check_writable()?;
        let next = list.clone().unwrap_or_default().with(id)?;
        if list.is_none() {
            *list = Some(shared.begin_list()?);
        }
        let tablet = Arc::new(shared.make_tablet(id)?);
        shared.write_list(&next)?;
        *list = Some(next);
        shared.add(Arc::clone(&tablet));
        tablet.account_memory();
        Ok(Tablet { inner: tablet })
    }

    /// Drops a tablet, durably, with everything in it. Handles, snapshots and iterators that are held can read on; writes to it
    /// are refused with [`Error::TabletDropped`]. The id is not given again. The first tablet cannot be dropped.
    pub fn drop_tablet(&self, id: TabletId) -> Result<()> {
        let shared = &self.inner.shared;
        let list = &mut *lock(&shared.list);
        shared.check_writable()?;
        let next = list.clone().unwrap_or_default().without(id)?;
        let (Some(tablet), Some(first)) = (shared.tablet(id), shared.tablet(TabletId::FIRST)) else {
            return Err(Error::TabletUnknown(id));
        };
        tablet.end_writes();
        let dropped = shared.inherit_log_begin(&first, &tablet).and_then(|()| shared.write_list(&next));
        if let Err(error) = dropped {
            // The tablet stays. If what is on disk is not known, the store is poisoned.
            tablet.dropped.store(false, Ordering::Release);
            tablet.stop.store(false, Ordering::Release);
            return Err(error);
        }
        *list = Some(next);
        shared.remove(id);
        tablet.versions.discard();
        tablet.account_memory();
        shared.work.wake();
        Ok(())
    }

    /// A tablet. [`Error::TabletUnknown`] and [`Error::TabletDropped`] say why there is none.
    pub fn tablet_by_id(&self, id: TabletId) -> Result<Tablet> {
        let shared = &self.inner.shared;
        if let Some(inner) = shared.tablet(id) {
            return Ok(Tablet { inner });
        }
        lock(&shared.list).clone().unwrap_or_default().require(id)?;
        Err(Error::TabletUnknown(id))
    }

    /// The ids of all tablets, ascending.
    pub fn tablets(&self) -> Vec<TabletId> {
        self.inner.shared.tablets().iter().map(|tablet| tablet.id).collect()
    }
}

impl Shared {
    /// Makes the store one of several tablets: an empty list, then the `STORE` that says that it counts.
    fn begin_list(&self) -> Result<TabletList> {
        let list = TabletList::default();
        self.write_list(&list)?;
        let written = write_store_file(&self.place, true, self.rung());
        written.map_err(|error| self.unknown_if_begun(error))?;
        Ok(list)
    }

    /// Replaces the list.
    fn write_list(&self, list: &TabletList) -> Result<()> {
        let written = list.write(&*self.place.vfs, &self.place.directory, self.place.identity);
        written.map_err(|error| self.unknown_if_begun(error))
    }

    /// After a failed replacement either file may be the one that is there.
    pub(super) fn unknown_if_begun(&self, error: Error) -> Error {
        if error.is_before_creation() { error } else { self.poison.set(error) }
    }

    /// A new tablet, whose manifest is durable and which nobody knows of.
    fn make_tablet(self: &Arc<Self>, id: TabletId) -> Result<TabletInner> {
        let vfs = &*self.place.vfs;
        let directory = self.place.tablet_directory(id);
        vfs.create_dir(&directory).map_err(|error| Error::io("create", &directory, error))?;
        let store = &self.place.directory;
        vfs.sync_dir(store).map_err(|error| Error::io("sync", store, error))?;
        // An attempt that failed before may have left something.
        for name in vfs.list(&directory).map_err(|error| Error::io("list", &directory, error))? {
            let path = directory.join(&name);
            match FileKind::of(&name) {
                FileKind::Foreign => {}
                FileKind::Sstable(_) | FileKind::Blob(_) => {
                    return Err(Error::corruption(
                        &path,
                        0,
                        "the file belongs to a tablet that is not there",
                    ));
                }
                _ => vfs.remove(&path).map_err(|error| Error::io("remove", &path, error))?,
            }
        }
        let opener = self.place.opener(id, &self.options, &self.cache, &self.open_files);
        let (identity, bytes_min) = (self.place.identity, self.options.manifest_bytes_min);
        let poison = Arc::clone(&self.poison);
        let versions = VersionSet::create(opener, identity, bytes_min, poison, self.log()?.position().0)?;
        let replayed = Replayed::begin(&versions.progress());
        Ok(assemble(self, id, versions, replayed))
    }

    /// Keeps what only the manifest of a tablet that goes may know: which segments are gone.
    fn inherit_log_begin(&self, first: &TabletInner, going: &TabletInner) -> Result<()> {
        let begin = going.versions.progress().log_begin;
        if begin <= first.versions.progress().log_begin {
            return Ok(());
        }
        first.versions.install(VersionEdit { log_begin: Some(begin), ..VersionEdit::default() }, |_| {})
    }
}

impl TabletInner {
    /// Waits until nobody writes to the tablet or its files; from now on nobody does.
    fn end_writes(&self) {
        self.dropped.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
        // Who waits for background work need not.
        self.shared.work.report_progress();
        drop(lock(&self.order));
        drop(lock(&self.flushing));
        drop(lock(&self.compacting));
    }
}
