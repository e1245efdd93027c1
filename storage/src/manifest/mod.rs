//! Which files make up a tablet: immutable versions, the edits between them, and the log of edits.

pub mod version;
pub mod version_edit;

pub use version::{BlobHandle, TableHandle, Version};
pub use version_edit::{BlobMeta, TableBound, TableMeta, VersionEdit};
