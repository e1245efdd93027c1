//! Which files make up a tablet: immutable versions, the edits between them, and the log of edits.

pub(crate) mod apply;
pub mod current;
pub mod edit_codec;
mod verify;
pub mod version;
pub mod version_edit;
pub mod version_set;

pub use version::{BlobHandle, BlobRef, TableHandle, TableRef, Version, VersionRef};
pub use version_edit::{BlobMeta, TableBound, TableMeta, VersionEdit};
pub use version_set::{Progress, VersionSet};
