//! Scalars that Rust has no type for.

/// A BSON object id: 12 bytes (seconds, process-unique, counter), compared as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 12]);

impl ObjectId {
    /// A new id from its three parts: seconds since the Unix epoch, five random bytes that a process keeps, and a counter
    /// that starts at random and goes up by one with every id; the low 24 bits of it are used. The caller has the clock
    /// and the chance.
    pub fn from_parts(seconds: u32, process: [u8; 5], counter: u32) -> Self {
        let [s0, s1, s2, s3] = seconds.to_be_bytes();
        let [p0, p1, p2, p3, p4] = process;
        let [_, c0, c1, c2] = counter.to_be_bytes();
        Self([s0, s1, s2, s3, p0, p1, p2, p3, p4, c0, c1, c2])
    }

    /// Seconds since the Unix epoch that the first four bytes say.
    pub fn seconds(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// 24 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        let mut text = String::with_capacity(24);
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }

    /// Reads 24 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 24 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0u8; 12];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(Self(bytes))
    }
}

/// A BSON timestamp: seconds since the Unix epoch and an increment; ordered as the 64-bit number it is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    pub seconds: u32,
    /// Order within the second.
    pub increment: u32,
}

impl Timestamp {
    /// The 64-bit number: seconds above, increment below.
    pub fn as_u64(self) -> u64 {
        u64::from(self.seconds) << 32 | u64::from(self.increment)
    }

    /// The reverse of [`Timestamp::as_u64`].
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are taken on purpose")]
    pub fn from_u64(number: u64) -> Self {
        Self { seconds: (number >> 32) as u32, increment: number as u32 }
    }
}

/// An IEEE 754-2008 decimal128 in the binary integer encoding, 16 little-endian bytes as BSON stores it.
///
/// Equality here is of the bytes; numeric comparison is the `compare` module's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal128(pub [u8; 16]);

/// Binary data with its subtype, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary<'a> {
    /// The subtype (0 generic, 2 old binary, 3 old UUID, 4 UUID, 5 MD5, 9 vector, 128.. user defined). For subtype 2
    /// `bytes` leaves out the inner length.
    pub subtype: u8,
    /// The data.
    pub bytes: &'a [u8],
}

/// A regular expression, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regex<'a> {
    /// The pattern.
    pub pattern: &'a str,
    /// Option letters in alphabetical order.
    pub options: &'a str,
}

#[cfg(test)]
mod tests {
    use super::ObjectId;

    #[test]
    fn new_ids_grow_with_time_and_counter() {
        let id = ObjectId::from_parts(0x0102_0304, [5, 6, 7, 8, 9], 0xFF0A_0B0C);
        assert_eq!(id.to_hex(), "0102030405060708090a0b0c");
        assert_eq!(id.seconds(), 0x0102_0304);
        assert_eq!(ObjectId::from_hex(&id.to_hex()), Some(id));
        assert!(ObjectId::from_parts(7, [0; 5], 1) < ObjectId::from_parts(7, [0; 5], 2));
        assert!(ObjectId::from_parts(7, [255; 5], 1) < ObjectId::from_parts(8, [0; 5], 0));
    }
}
