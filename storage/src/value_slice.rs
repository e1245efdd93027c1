//! A value as a read returns it.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes shared with whatever holds them (a cached block, a memory map, a buffer of their own). Cheap to clone.
#[derive(Clone)]
pub struct ValueSlice(Bytes);

#[derive(Clone)]
enum Bytes {
    /// A part of what somebody else holds.
    Shared {
        /// The holder of the bytes.
        owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
        /// Which of the holder's bytes are the value.
        range: Range<usize>,
    },
    /// A copy, in one allocation.
    Copied(Arc<[u8]>),
}

impl ValueSlice {
    /// A slice of `owner`'s bytes; empty if the range does not lie within them.
    pub fn shared(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> ValueSlice {
        ValueSlice(Bytes::Shared { owner, range })
    }

    /// A copy of `bytes`.
    pub fn copied(bytes: &[u8]) -> ValueSlice {
        ValueSlice(Bytes::Copied(Arc::from(bytes)))
    }

    /// The same bytes; a copy of them where they are less than half of what they keep in memory.
    pub fn detached(self) -> ValueSlice {
        match &self.0 {
            Bytes::Shared { owner, range } if range.len() < (**owner).as_ref().len() / 2 => {
                ValueSlice::copied(self.as_slice())
            }
            _ => self,
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Bytes::Shared { owner, range } => (**owner).as_ref().get(range.clone()).unwrap_or_default(),
            Bytes::Copied(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for ValueSlice {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        ValueSlice(Bytes::Shared { owner: Arc::new(bytes), range })
    }
}

impl Deref for ValueSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for ValueSlice {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for ValueSlice {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ValueSlice {}

impl fmt::Debug for ValueSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::entry::display_key(self.as_slice()))
    }
}
