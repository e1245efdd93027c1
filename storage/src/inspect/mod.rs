//! Human-readable views of every file kind.
