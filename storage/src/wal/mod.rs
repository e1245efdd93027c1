//! The write-ahead log: segments of checksummed chunks.
