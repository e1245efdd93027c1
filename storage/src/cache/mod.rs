//! The one cache of blocks and blobs, charged by bytes.
