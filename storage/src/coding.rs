//! Integers and checksums as they lie in files.
