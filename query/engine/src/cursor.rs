//! Cursors: a query's answer, batch by batch, at one moment of time.
//!
//! A [`Cursor`] is a value: whoever holds it pulls batches from it. Doors whose clients name cursors by number keep
//! them in the [`CursorRegistry`] between two requests.

mod registry;

pub use registry::{CursorRegistry, KilledCursors};

use std::collections::VecDeque;

use sheaf_document::RawDocumentBuf;

use crate::{Namespace, Result};

/// Documents of an answer, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The documents.
    pub documents: Vec<RawDocumentBuf>,
}

/// An answer that is being read.
pub struct Cursor {
    namespace: Namespace,
    source: Source,
}

/// Where the documents come from.
enum Source {
    /// They are all there already.
    Ready(VecDeque<RawDocumentBuf>),
}

impl Cursor {
    /// A cursor over documents that are there already, e.g. a listing.
    pub fn from_documents(namespace: Namespace, documents: impl IntoIterator<Item = RawDocumentBuf>) -> Self {
        Self { namespace, source: Source::Ready(documents.into_iter().collect()) }
    }

    /// What it reads.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The next documents: at most `documents_max`, and no more than `bytes_max` bytes unless a single document is
    /// larger. An empty batch does not mean the end (`documents_max` may be 0): ask [`Cursor::is_exhausted`].
    pub fn next_batch(&mut self, documents_max: usize, bytes_max: usize) -> Result<Batch> {
        let Source::Ready(ready) = &mut self.source;
        let mut batch = Batch::default();
        let mut bytes = 0usize;
        while batch.documents.len() < documents_max {
            let Some(next) = ready.front() else { break };
            bytes = bytes.saturating_add(next.as_bytes().len());
            if bytes > bytes_max && !batch.documents.is_empty() {
                break;
            }
            batch.documents.extend(ready.pop_front());
        }
        Ok(batch)
    }

    /// Whether every document was returned.
    pub fn is_exhausted(&self) -> bool {
        let Source::Ready(ready) = &self.source;
        ready.is_empty()
    }

    /// Where the cursor stands, for `resume_after` of the same operation later: a plan fingerprint, the read timestamp
    /// and the last position, in the engine's own bytes. `None` if this answer cannot be resumed. The bytes are not
    /// secret but must come back unchanged: a door that hands them to clients seals them.
    pub fn position(&self) -> Option<Vec<u8>> {
        None
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
