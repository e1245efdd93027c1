//! Capped collections: documents in the order they came, the oldest dropped for the newest.
//!
//! A document's key is its *position*, a number that only grows (`KEY_LAYOUT.md`), and `_id` is looked up in an index of
//! its own. Beside the documents the collection has one record with the positions in use, the count and the bytes:
//!
//! ```text
//!   first                                next
//!     |                                    |
//!  .. 7   8   9   (10 was deleted)   11   12      documents = 4, bytes = their sizes
//! ```
//!
//! - `first` is at or before the oldest document. Scans start there, so that they do not walk over what was dropped.
//! - `next` is the position of the next document.
//! - Everything changes in the batch of the write itself, so a crash cannot set them apart.
//!
//! Dropping happens in the insert that needs the room: the oldest documents go until the limits hold. The new document
//! stays even if it is larger than the whole collection may be; it goes with the next. An update may make a document
//! grow; the next insert makes up for it.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_storage::{IterOptions, Snapshot};

use super::write::DocumentTransaction;
use crate::catalog::{CappedState, Collection};
use crate::key_layout::{self, KeyRange};
use crate::{Error, Result, error_code};

/// Most documents that one insert drops. It needs more than one or two only after the limits were lowered; the inserts
/// that follow then drop the others.
const DROPPED_MAX: usize = 10_000;

/// The state of a capped collection in a transaction.
pub(super) struct CappedChange {
    /// As it is stored; none if it is not stored yet.
    stored: Option<CappedState>,
    state: CappedState,
}

/// Where the documents of a capped collection are, at a snapshot.
pub(crate) fn documents(snapshot: &Snapshot, collection: &Collection) -> Result<KeyRange> {
    let mut range = key_layout::documents(collection.id);
    if let Some(bytes) = snapshot.get(&key_layout::capped(collection.id))? {
        let state = CappedState::decode(&bytes)?;
        range.lower = key_layout::document(collection.id, &key_layout::position_key(state.first));
    }
    Ok(range)
}

impl DocumentTransaction {
    /// The state of the collection, as this transaction sees and changes it.
    fn capped_state(&mut self, collection: &Collection) -> Result<&mut CappedState> {
        if !self.capped.contains_key(&collection.id) {
            let stored = self.transaction.get_for_update(&key_layout::capped(collection.id))?;
            let stored = stored.map(|bytes| CappedState::decode(&bytes)).transpose()?;
            let state = stored.unwrap_or_default();
            self.capped.insert(collection.id, CappedChange { stored, state });
        }
        match self.capped.get_mut(&collection.id) {
            Some(change) => Ok(&mut change.state),
            None => Err(Error::internal("the state of a capped collection was not kept")),
        }
    }

    /// Puts the changed states where a commit finds them.
    pub(super) fn put_capped_states(&mut self) -> Result<()> {
        for (collection, change) in std::mem::take(&mut self.capped) {
            if change.stored.is_none_or(|stored| stored != change.state) {
                self.put(key_layout::capped(collection), change.state.encode())?;
            }
        }
        Ok(())
    }

    /// Inserts a document at the end, and drops the oldest ones that are too many then.
    pub(super) fn insert_capped(&mut self, collection: &Collection, document: RawDocumentBuf) -> Result<()> {
        let position = self.capped_state(collection)?.next;
        let document_key = key_layout::position_key(position);
        let changes = self.index_changes(collection, None, Some(document.as_raw()), &document_key)?;
        let bytes = document.as_raw().len_bytes();
        self.put(key_layout::document(collection.id, &document_key), document.into_bytes())?;
        self.apply(changes)?;
        self.capped_state(collection)?.add(bytes);
        self.drop_oldest(collection, position)
    }

    /// Notes that a document has another size now.
    pub(super) fn resize_capped(
        &mut self,
        collection: &Collection,
        before: usize,
        after: usize,
    ) -> Result<()> {
        if collection.options.capped {
            self.capped_state(collection)?.resize(before, after);
        }
        Ok(())
    }

    /// Notes that a document is gone.
    pub(super) fn forget_capped(&mut self, collection: &Collection, bytes: usize) -> Result<()> {
        if collection.options.capped {
            self.capped_state(collection)?.remove(bytes);
        }
        Ok(())
    }

    /// Drops documents in front of `newest` until the limits hold.
    fn drop_oldest(&mut self, collection: &Collection, newest: u64) -> Result<()> {
        let state = *self.capped_state(collection)?;
        let mut left = state;
        if !left.is_over(&collection.options) {
            return Ok(());
        }
        let position = |number| key_layout::document(collection.id, &key_layout::position_key(number));
        let mut oldest = self.transaction.iter(IterOptions {
            lower: Some(position(state.first)),
            upper: Some(position(newest)),
            ..IterOptions::default()
        })?;
        let mut doomed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut valid = oldest.seek_to_first()?;
        while valid && left.is_over(&collection.options) && doomed.len() < DROPPED_MAX {
            left.remove(oldest.value().len());
            let key = oldest.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default();
            doomed.push((key.to_vec(), oldest.value().to_vec()));
            valid = oldest.next()?;
        }
        drop(oldest);
        let first = doomed.last().and_then(|(key, _)| key_layout::position_of(key));
        for (document_key, bytes) in doomed {
            let document = RawDocument::from_bytes(&bytes).map_err(|error| {
                let what = format!("a stored document is damaged: {error}");
                Error::new(error_code::DATA_CORRUPTION_DETECTED, what)
            })?;
            self.remove(collection, &document_key, document)?;
        }
        if let Some(last_dropped) = first {
            self.capped_state(collection)?.first = last_dropped.saturating_add(1);
        }
        Ok(())
    }
}
