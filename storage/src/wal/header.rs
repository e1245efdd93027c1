//! The head of a log segment or manifest. See FORMAT.md, "Head of a log file".

use std::path::{Path, PathBuf};

use crate::coding::{take, take_u8, take_u32, take_u64, u32_at};
use crate::error::{Error, Result};

/// The first bytes of every log file.
pub const MAGIC: [u8; 8] = *b"SHEAFLOG";
/// The newest format version this build reads.
pub const FORMAT_VERSION: u32 = 4;
/// The format version this build writes into `STORE` and segments of a store whose records may be compressed.
const FORMAT_VERSION_COMPRESSED: u32 = 4;
/// The one it writes into `STORE` of another store with several tablets, and into every `TABLETS`.
pub const FORMAT_VERSION_TABLETS: u32 = 3;
/// The one it writes into files that are encrypted.
pub const FORMAT_VERSION_ENCRYPTED: u32 = 2;
/// The format version this build writes into files that are not: what came with 2 is not in them.
const FORMAT_VERSION_OPEN: u32 = 1;
/// The oldest format version this build reads.
pub const FORMAT_VERSION_OLDEST: u32 = 1;
/// Bytes of the head; the first chunk follows.
pub const HEADER_BYTES: usize = 64;
const AES_256_GCM: u8 = 1;
/// The bytes of the head that mean nothing yet.
const RESERVED: [usize; 6] = [14, 15, 56, 57, 58, 59];

/// What a log file is. The number is the one stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// A segment of the write-ahead log.
    Segment,
    /// A manifest.
    Manifest,
    /// The file `STORE`, which is nothing but a head.
    Store,
    /// The same where the file `TABLETS` says which tablets there are beside the first.
    StoreOfTablets,
}

/// The head of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHeader {
    /// What the file is.
    pub kind: LogKind,
    /// The file's number, as in its name.
    pub number: u64,
    /// The store it belongs to.
    pub identity: u128,
    /// The number of the segment before; 0 for the first.
    pub previous: u64,
    /// How many bytes of the segment before are part of the log; what lies behind them is a torn tail.
    pub previous_end: u64,
    /// Whether the records are encrypted; a key block then follows the head. In `STORE`: whether all files are.
    pub encrypted: bool,
    /// Whether records may be compressed. In `STORE`: whether those of segments begun from now on may be. Never in a manifest.
    pub compressed_records: bool,
}

impl LogHeader {
    /// The format version of a file with this head.
    pub fn format_version(&self) -> u32 {
        match (self.compressed_records, self.kind, self.encrypted) {
            (true, _, _) => FORMAT_VERSION_COMPRESSED,
            (false, LogKind::StoreOfTablets, _) => FORMAT_VERSION_TABLETS,
            (false, _, true) => FORMAT_VERSION_ENCRYPTED,
            (false, _, false) => FORMAT_VERSION_OPEN,
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.format_version().to_le_bytes());
        out.push(match self.kind {
            LogKind::Segment => 1,
            LogKind::Manifest => 2,
            LogKind::Store => 3,
            LogKind::StoreOfTablets => 4,
        });
        out.extend_from_slice(&[if self.encrypted { AES_256_GCM } else { 0 }, 0, 0]);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.identity.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.previous_end.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads a head. `None`: torn, damaged, or not a log file at all. An intact head of another format version is an
    /// error.
    pub fn decode(bytes: &[u8], file: &Path) -> Result<Option<LogHeader>> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else { return Ok(None) };
        let covered = bytes.get(..HEADER_BYTES - 4).unwrap_or_default();
        if !bytes.starts_with(&MAGIC) || u32_at(bytes, HEADER_BYTES - 4) != Some(crc32c::crc32c(covered)) {
            return Ok(None);
        }
        let Some((version, header)) = decode_fields(covered) else { return Ok(None) };
        let reserved = RESERVED.into_iter().find(|&at| covered.get(at).is_some_and(|&byte| byte != 0));
        if !(FORMAT_VERSION_OLDEST..=FORMAT_VERSION).contains(&version) {
            return Err(Error::FormatVersion {
                file: file.to_path_buf(),
                found: version,
                oldest: FORMAT_VERSION_OLDEST,
                newest: FORMAT_VERSION,
            });
        }
        if let Some(at) = reserved {
            return Err(Error::corruption(
                file,
                at as u64,
                "a byte of the head that means nothing is not zero",
            ));
        }
        header.map(Some).ok_or_else(|| {
            Error::corruption(file, 12, "the head names an unknown kind of log file or cipher")
        })
    }
}

/// The version, and the fields if the kind is known.
fn decode_fields(covered: &[u8]) -> Option<(u32, Option<LogHeader>)> {
    let mut rest = covered.get(MAGIC.len()..)?;
    let version = take_u32(&mut rest)?;
    let kind = match take_u8(&mut rest)? {
        1 => Some(LogKind::Segment),
        2 => Some(LogKind::Manifest),
        3 => Some(LogKind::Store),
        4 => Some(LogKind::StoreOfTablets),
        _ => None,
    };
    let cipher = take_u8(&mut rest)?;
    let encrypted = (cipher <= AES_256_GCM).then_some(cipher == AES_256_GCM);
    let compressed_records = version == FORMAT_VERSION_COMPRESSED;
    take(&mut rest, 2)?;
    let number = take_u64(&mut rest)?;
    let (low, high) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
    let identity = (u128::from(high) << 64) | u128::from(low);
    let (previous, previous_end) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
    let header = kind.zip(encrypted).map(|(kind, encrypted)| LogHeader {
        kind,
        number,
        identity,
        previous,
        previous_end,
        encrypted,
        compressed_records,
    });
    // A version is what the other fields call for, or the head is none that was ever written.
    let manifest = |header: &LogHeader| header.kind == LogKind::Manifest;
    let header = header
        .filter(|header| header.format_version() == version && !(compressed_records && manifest(header)));
    Some((version, header))
}

/// The path of segment `number`.
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.wal"))
}

/// The number in a segment's name.
pub fn segment_number(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".wal")?;
    (stem.len() >= 10 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_and_every_flipped_bit_is_noticed() {
        let header = LogHeader {
            kind: LogKind::Segment,
            number: 9,
            identity: 1 << 100,
            previous: 8,
            previous_end: 777,
            encrypted: false,
            compressed_records: false,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        let file = Path::new("0000000009.wal");
        assert_eq!(LogHeader::decode(&bytes, file).unwrap(), Some(header));
        let encrypted = LogHeader { encrypted: true, ..header };
        assert_eq!(LogHeader::decode(&encrypted.encode(), file).unwrap(), Some(encrypted));
        for encrypted in [false, true] {
            let of_tablets = LogHeader { kind: LogKind::StoreOfTablets, encrypted, ..header };
            assert_eq!(LogHeader::decode(&of_tablets.encode(), file).unwrap(), Some(of_tablets));
            for kind in [LogKind::Segment, LogKind::Store, LogKind::StoreOfTablets] {
                let compressed = LogHeader { kind, encrypted, compressed_records: true, ..header };
                assert_eq!(compressed.format_version(), 4);
                assert_eq!(LogHeader::decode(&compressed.encode(), file).unwrap(), Some(compressed));
            }
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LogHeader::decode(&damaged, file).unwrap(), None);
        }
    }

    fn head(kind: LogKind, encrypted: bool, compressed_records: bool) -> LogHeader {
        LogHeader {
            kind,
            number: 1,
            identity: 1,
            previous: 0,
            previous_end: 0,
            encrypted,
            compressed_records,
        }
    }

    /// Makes the checksum what it should be.
    fn seal(bytes: &mut [u8]) {
        let checksum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..].copy_from_slice(&checksum);
    }

    /// Its bytes, of which one is changed on purpose.
    fn with_byte(header: &LogHeader, at: usize, byte: u8) -> Vec<u8> {
        let mut bytes = header.encode();
        bytes[at] = byte;
        seal(&mut bytes);
        bytes
    }

    #[test]
    fn a_version_that_does_not_fit_the_kind_or_cipher_is_refused() {
        let refused = |header: LogHeader, version: u8| {
            let decoded = LogHeader::decode(&with_byte(&header, 8, version), Path::new("x"));
            assert!(matches!(decoded, Err(Error::Corruption { offset: 12, .. })), "{header:?} as {version}");
        };
        refused(head(LogKind::Segment, false, false), 2);
        refused(head(LogKind::Segment, true, false), 1);
        refused(head(LogKind::Segment, false, false), 3);
        refused(head(LogKind::StoreOfTablets, true, false), 2);
        refused(head(LogKind::StoreOfTablets, false, true), 1);
        refused(head(LogKind::Manifest, false, false), 4);
    }

    #[test]
    fn another_format_version_is_named() {
        let bytes = with_byte(&head(LogKind::Manifest, false, false), 8, 99);
        let error = LogHeader::decode(&bytes, Path::new("x")).unwrap_err();
        assert!(matches!(error, Error::FormatVersion { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_byte_that_means_nothing_must_be_zero() {
        for kind in [LogKind::Segment, LogKind::Manifest, LogKind::Store] {
            let header = head(kind, false, false);
            for at in RESERVED {
                assert_eq!(header.encode()[at], 0);
                let mut bytes = with_byte(&header, at, 1);
                let refused = LogHeader::decode(&bytes, Path::new("x"));
                let named = matches!(&refused, Err(Error::Corruption { offset, .. }) if *offset == at as u64);
                assert!(named, "{at}: {refused:?}");
                // Of a version that gives it a meaning, that is what is said.
                bytes[8] = 99;
                seal(&mut bytes);
                let newer = LogHeader::decode(&bytes, Path::new("x"));
                assert!(matches!(newer, Err(Error::FormatVersion { found: 99, .. })), "{newer:?}");
            }
        }
    }

    #[test]
    fn names_of_segments_are_strict() {
        assert_eq!(segment_number("0000000012.wal"), Some(12));
        assert_eq!(segment_number("12.wal"), None);
        assert_eq!(segment_number("00000000x2.wal"), None);
        assert_eq!(segment_number("0000000012.sst"), None);
    }
}
