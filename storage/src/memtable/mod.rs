//! The in-memory sorted buffer of recent writes.
