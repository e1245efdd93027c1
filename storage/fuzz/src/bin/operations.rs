//! See `targets/operations.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sheaf_storage_fuzz::targets::operations::run(data));
