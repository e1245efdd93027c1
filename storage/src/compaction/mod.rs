//! Compaction: a pure picker chooses, a job rewrites sstables.
