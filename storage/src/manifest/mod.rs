//! Which files make up a tablet: immutable versions, the edits between them, and the log of edits.

mod apply;
pub mod current;
pub mod edit_codec;
mod verify;
pub mod version;
pub mod version_edit;
pub mod version_set;

pub use version::{BlobHandle, BlobRef, TableHandle, TableRef, Version, VersionRef};
pub use version_edit::{BlobMeta, TableBound, TableMeta, VersionEdit};
pub use version_set::{Progress, VersionSet};

#[cfg(test)]
pub(crate) use apply::tests::table as table_in_no_file;
