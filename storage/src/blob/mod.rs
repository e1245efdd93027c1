//! Large values in files of their own, referred to by handles from sstables.
