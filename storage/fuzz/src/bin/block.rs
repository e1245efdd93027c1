//! See `targets/block.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sheaf_storage_fuzz::targets::block::run(data));
