//! See `targets/wal_reader.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sheaf_storage_fuzz::targets::wal_reader::run(data));
