//! The small encodings every file shares: LEB128 varints, little-endian integers read with a length check, and the
//! checksum of a block.
//!
//! Readers take a `&mut &[u8]` and move it forward; `None` means the bytes do not hold what was asked for. Nothing here
//! allocates, so a hostile length can not make it.

use xxhash_rust::xxh3::xxh3_64;

/// The longest encoding of a `u64`.
pub const VARINT_BYTES_MAX: usize = 10;

/// Bytes that are not what the format says: what was wrong, for the corruption error the caller builds from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Whether compressed bytes are kept: they must save an eighth, or undoing it costs more than they are worth.
pub fn is_worth_compressing(plain_bytes: usize, compressed_bytes: usize) -> bool {
    compressed_bytes <= plain_bytes - plain_bytes / 8
}

/// Appends `value` in LEB128, the low seven bits first.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    // Most are: lengths of keys.
    if value < 0x80 {
        out.push(value.to_le_bytes()[0]);
        return;
    }
    let (bytes, length) = varint(value);
    out.extend_from_slice(bytes.get(..length).unwrap_or_default());
}

/// `value` in LEB128, and how many of the bytes that takes.
pub fn varint(mut value: u64) -> ([u8; VARINT_BYTES_MAX], usize) {
    let mut bytes = [0; VARINT_BYTES_MAX];
    let mut length = 0;
    for byte in &mut bytes {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        length += 1;
        *byte = if value == 0 { low } else { low | 0x80 };
        if value == 0 {
            break;
        }
    }
    (bytes, length)
}

/// Takes a LEB128 integer off the front. Overlong and overflowing encodings are refused, so that a value has one form.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for index in 0..VARINT_BYTES_MAX {
        let byte = *bytes.get(index)?;
        let part = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if index == VARINT_BYTES_MAX - 1 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return None;
            }
            *bytes = bytes.get(index + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Appends a varint length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a varint length and that many bytes off the front.
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    take(bytes, length)
}

/// Takes `length` bytes off the front.
pub fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

/// Takes one byte off the front.
pub fn take_u8(bytes: &mut &[u8]) -> Option<u8> {
    let (&head, tail) = bytes.split_first()?;
    *bytes = tail;
    Some(head)
}

/// Takes a little-endian `u16` off the front.
pub fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(u16::from_le_bytes(*head))
}

/// Takes a little-endian `u32` off the front.
pub fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(u32::from_le_bytes(*head))
}

/// Takes a little-endian `u64` off the front.
pub fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(u64::from_le_bytes(*head))
}

/// The little-endian `u16` at `at`.
#[inline]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The little-endian `u32` at `at`.
#[inline]
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The little-endian `u64` at `at`.
#[inline]
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// XXH3-64 of `bytes`, mixed with where they belong, so that an intact block in the wrong file or at the wrong
/// offset does not pass. The mixing is `rotate_left(file_id * 0x9e3779b97f4a7c15, 32) ^ offset * 0xd6e8feb86659fd93`,
/// exclusive-ored onto the hash (a seeded hash would derive its secret anew for every block).
#[inline]
pub fn block_checksum(file_id: u64, offset: u64, bytes: &[u8]) -> u64 {
    let file = file_id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    xxh3_64(bytes) ^ file ^ offset.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The hash a filter is asked with: once per key, whatever the number of tables.
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The hash of a key prefix, apart from that of a key of the same bytes.
#[inline]
pub fn prefix_hash(prefix: &[u8]) -> u64 {
    xxh3_64(prefix) ^ 0xa076_1d64_78bd_642f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_come_back() {
        let mut values = vec![0, 1, u64::MAX];
        for shift in 0..64 {
            let power = 1_u64 << shift;
            values.extend([power - 1, power, power | 1]);
        }
        for value in values {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert!(out.len() <= VARINT_BYTES_MAX);
            out.push(0xaa);
            let mut rest = out.as_slice();
            assert_eq!(take_varint(&mut rest), Some(value));
            assert_eq!(rest, [0xaa]);
        }
    }

    #[test]
    fn overlong_and_short_varints_are_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0x00], &[0xff; 10], &[0x81, 0x80, 0x00]] {
            let mut rest = bytes;
            assert_eq!(take_varint(&mut rest), None, "{bytes:?}");
            assert_eq!(rest, bytes, "a refused read leaves the input");
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_input_is_refused() {
        let mut out = Vec::new();
        put_varint(&mut out, u64::MAX);
        out.extend_from_slice(b"abc");
        assert_eq!(take_bytes(&mut out.as_slice()), None);
    }

    #[test]
    fn the_checksum_knows_its_place() {
        let sum = block_checksum(7, 4096, b"block");
        assert_eq!(sum, block_checksum(7, 4096, b"block"));
        assert_ne!(sum, block_checksum(8, 4096, b"block"));
        assert_ne!(sum, block_checksum(7, 8192, b"block"));
        assert_ne!(sum, block_checksum(4096, 7, b"block"));
    }
}
