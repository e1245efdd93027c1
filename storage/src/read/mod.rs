//! Reads: point lookups, merged iteration, snapshots.
