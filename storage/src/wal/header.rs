//! The head of a log segment or manifest. See FORMAT.md, "Head of a log file".

use std::path::{Path, PathBuf};

use crate::coding::{take, take_u8, take_u32, take_u64, u32_at};
use crate::error::{Error, Result};

/// The first bytes of every log file.
pub const MAGIC: [u8; 8] = *b"SHEAFLOG";
/// The newest format version this build reads.
pub const FORMAT_VERSION: u32 = 5;
/// The format version this build writes into `STORE` and segments of a store whose segments may be begun early.
const FORMAT_VERSION_EARLY: u32 = 5;
/// The one it writes into those of another store whose records may be compressed.
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
/// Where a head says that its segment was begun early.
const BEGUN_EARLY: usize = 14;
/// The bytes of the head that mean nothing yet.
const RESERVED: [usize; 5] = [15, 56, 57, 58, 59];

/// What a log may have beyond what every log has; each rung has what those before it have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogRung {
    /// Nothing.
    #[default]
    Plain,
    /// Records that are compressed.
    Compressed,
    /// Segments that are begun before the one before them is durable.
    Early,
}

impl LogRung {
    /// The newest.
    pub const NEWEST: LogRung = LogRung::Early;

    /// Its place, from 0 on, for who keeps it in an atomic number.
    pub fn to_byte(self) -> u8 {
        match self {
            LogRung::Plain => 0,
            LogRung::Compressed => 1,
            LogRung::Early => 2,
        }
    }

    /// The rung at a place; the newest if there is none.
    pub fn from_byte(place: u8) -> LogRung {
        match place {
            0 => LogRung::Plain,
            1 => LogRung::Compressed,
            _ => LogRung::Early,
        }
    }
}

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
    /// What the segment may have. In `STORE`: what those begun from now on may have. Nothing in a manifest.
    pub rung: LogRung,
    /// Whether the segment before may not have been durable to its end when this head was written. Then this segment holds nothing
    /// durable until it promises something; see [`crate::wal::recovery`].
    pub begun_early: bool,
}

impl LogHeader {
    /// The format version of a file with this head.
    pub fn format_version(&self) -> u32 {
        match (self.rung, self.kind, self.encrypted) {
            (LogRung::Early, _, _) => FORMAT_VERSION_EARLY,
            (LogRung::Compressed, _, _) => FORMAT_VERSION_COMPRESSED,
            (LogRung::Plain, LogKind::StoreOfTablets, _) => FORMAT_VERSION_TABLETS,
            (LogRung::Plain, _, true) => FORMAT_VERSION_ENCRYPTED,
            (LogRung::Plain, _, false) => FORMAT_VERSION_OPEN,
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
        out.push(if self.encrypted { AES_256_GCM } else { 0 });
        out.extend_from_slice(&[u8::from(self.begun_early), 0]);
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
        let is_segment = header.is_some_and(|header| header.kind == LogKind::Segment);
        let early_max = u8::from(is_segment && version == FORMAT_VERSION_EARLY);
        let meaningless = |at: usize| match covered.get(at) {
            Some(&byte) if at == BEGUN_EARLY => byte > early_max,
            Some(&byte) => byte != 0,
            None => false,
        };
        let reserved = [BEGUN_EARLY].into_iter().chain(RESERVED).find(|&at| meaningless(at));
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
    let rung = match version {
        FORMAT_VERSION_EARLY => LogRung::Early,
        FORMAT_VERSION_COMPRESSED => LogRung::Compressed,
        _ => LogRung::Plain,
    };
    let begun_early = take_u8(&mut rest)?;
    take(&mut rest, 1)?;
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
        rung,
        begun_early: begun_early == 1,
    });
    // A version is what the other fields call for, or the head is none that was ever written.
    let manifest = |header: &LogHeader| header.kind == LogKind::Manifest;
    let header = header
        .filter(|header| header.format_version() == version && !(rung > LogRung::Plain && manifest(header)));
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
            rung: LogRung::Plain,
            begun_early: false,
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
                for (rung, version) in [(LogRung::Compressed, 4), (LogRung::Early, 5)] {
                    let raised = LogHeader { kind, encrypted, rung, ..header };
                    assert_eq!(raised.format_version(), version);
                    assert_eq!(LogHeader::decode(&raised.encode(), file).unwrap(), Some(raised));
                }
            }
        }
        let early = LogHeader { rung: LogRung::Early, begun_early: true, ..header };
        assert_eq!(LogHeader::decode(&early.encode(), file).unwrap(), Some(early));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LogHeader::decode(&damaged, file).unwrap(), None);
        }
    }

    fn head(kind: LogKind, encrypted: bool, rung: LogRung) -> LogHeader {
        LogHeader {
            kind,
            number: 1,
            identity: 1,
            previous: 0,
            previous_end: 0,
            encrypted,
            rung,
            begun_early: false,
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
        refused(head(LogKind::Segment, false, LogRung::Plain), 2);
        refused(head(LogKind::Segment, true, LogRung::Plain), 1);
        refused(head(LogKind::Segment, false, LogRung::Plain), 3);
        refused(head(LogKind::StoreOfTablets, true, LogRung::Plain), 2);
        refused(head(LogKind::StoreOfTablets, false, LogRung::Compressed), 1);
        refused(head(LogKind::Manifest, false, LogRung::Plain), 4);
        refused(head(LogKind::Manifest, false, LogRung::Plain), 5);
    }

    #[test]
    fn another_format_version_is_named() {
        let bytes = with_byte(&head(LogKind::Manifest, false, LogRung::Plain), 8, 99);
        let error = LogHeader::decode(&bytes, Path::new("x")).unwrap_err();
        assert!(matches!(error, Error::FormatVersion { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_byte_that_means_nothing_must_be_zero() {
        for kind in [LogKind::Segment, LogKind::Manifest, LogKind::Store] {
            let header = head(kind, false, LogRung::Plain);
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
    fn only_segments_of_the_version_that_has_it_are_begun_early() {
        let rungs = [LogRung::Plain, LogRung::Compressed, LogRung::Early];
        for (kind, rung) in
            [LogKind::Segment, LogKind::Store].into_iter().flat_map(|kind| rungs.map(|rung| (kind, rung)))
        {
            for byte in 0..4 {
                let decoded = LogHeader::decode(
                    &with_byte(&head(kind, false, rung), BEGUN_EARLY, byte),
                    Path::new("x"),
                );
                let early = kind == LogKind::Segment && rung == LogRung::Early && byte == 1;
                match decoded {
                    Ok(Some(header)) => {
                        assert!(header.begun_early == early && (byte == 0 || early), "{header:?} {byte}")
                    }
                    decoded => assert!(
                        byte > 0 && !early && matches!(decoded, Err(Error::Corruption { offset: 14, .. })),
                        "{decoded:?}"
                    ),
                }
            }
        }
    }

    #[test]
    fn a_rung_comes_back_from_its_place() {
        for rung in [LogRung::Plain, LogRung::Compressed, LogRung::Early] {
            assert_eq!(LogRung::from_byte(rung.to_byte()), rung);
            assert!(rung <= LogRung::NEWEST);
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
