//! Asks the processor to bring bytes near that will be wanted soon.
//!
//! A walk over cached blocks waits for memory and for little else: every value is on a cache line of its own. The places
//! of the next values are known long before they are read, so their lines can be on their way meanwhile.

#![expect(unsafe_code, reason = "the prefetch instruction takes a raw pointer; it reads nothing")]

/// Asks for the cache line around byte `at` of `bytes`, if it is within them. Changes nothing but how soon a read is done;
/// nothing at all where the language has no such instruction yet.
#[inline]
pub fn prefetch(bytes: &[u8], at: usize) {
    if let Some(byte) = bytes.get(at) {
        prefetch_address(byte);
    }
}

/// Asks for the cache line around an address, of which nothing is asked: not even that anything is there.
#[inline]
pub fn prefetch_address(byte: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads nothing and does not fault, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(byte.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _no_such_instruction = byte;
}
