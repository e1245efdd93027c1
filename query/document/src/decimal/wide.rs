//! Powers of ten and integers beyond 128 bits.

use num_bigint::BigUint;

/// 10 to this power, if it fits.
pub(super) const fn power_of_ten(exponent: u32) -> Option<u128> {
    10u128.checked_pow(exponent)
}

/// 10 to this power.
pub(super) fn power_of_ten_wide(exponent: u32) -> BigUint {
    power_of_ten(exponent).map_or_else(|| BigUint::from(10u8).pow(exponent), BigUint::from)
}

/// The number of decimal digits; 0 for zero.
pub(super) fn wide_digit_count(number: &BigUint) -> u32 {
    if let Ok(narrow) = u128::try_from(number) {
        return super::unpack::digit_count(narrow);
    }
    // 2^(bits-1) <= number < 2^bits gives the count up to one; 1233/4096 approximates log10(2) from below.
    let bits = number.bits();
    let floor = u32::try_from((bits - 1) * 1233 / 4096).unwrap_or(u32::MAX);
    let mut count = floor;
    while *number >= power_of_ten_wide(count) {
        count += 1;
    }
    count
}
