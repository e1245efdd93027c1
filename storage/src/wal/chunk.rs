//! How a record is cut into chunks. See FORMAT.md, "Chunks".
//!
//! ```text
//! 0        4      6  7          11                  19
//! | crc32c | len  |t | log id   | synced offset     | payload .. len bytes |
//! ```
//!
//! The checksum covers everything after itself and starts from a seed made of the store's identity and the file's
//! number, so that a chunk of another file, or bytes a user stored that look like a chunk, do not pass.
//!
//! Blocks of 32 KiB and the four kinds of chunk are those of LevelDB's log; the promise in every chunk is as Pebble has it.

use crate::coding::{u16_at, u32_at, u64_at};
use crate::planted::{Bug, planted};

/// Chunks never cross a multiple of this.
pub const BLOCK_BYTES: usize = 32 << 10;

/// Bytes before a chunk's payload.
pub const CHUNK_HEADER_BYTES: usize = 19;

/// Where in its record a chunk lies. The number is the one stored on disk; 0 is what an unwritten file reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// The whole record.
    Full,
    /// The first of several.
    First,
    /// Neither first nor last.
    Middle,
    /// The last of several.
    Last,
}

impl ChunkKind {
    /// Reads the stored number.
    fn from_byte(byte: u8) -> Option<ChunkKind> {
        match byte {
            1 => Some(ChunkKind::Full),
            2 => Some(ChunkKind::First),
            3 => Some(ChunkKind::Middle),
            4 => Some(ChunkKind::Last),
            _ => None,
        }
    }

    /// The stored number of the chunk that is first, or last, or both.
    fn byte(first: bool, last: bool) -> u8 {
        match (first, last) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        }
    }
}

/// Which file a chunk belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkContext {
    /// The low half of the file's number, stored in each chunk.
    pub log_id: u32,
    /// Where checksums start from.
    seed: u32,
}

impl ChunkContext {
    /// The context of file `number` of the store `identity`.
    pub fn new(identity: u128, number: u64) -> ChunkContext {
        let seed = crc32c::crc32c_append(crc32c::crc32c(&identity.to_le_bytes()), &number.to_le_bytes());
        let log_id = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        ChunkContext { log_id, seed }
    }

    /// The checksum of a chunk whose bytes after the checksum are `covered`.
    fn checksum(self, covered: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, covered)
    }
}

/// Where a record appended at `offset` of a file begins: there, or in the next block when a chunk's head does not fit.
pub fn record_offset(offset: u64) -> u64 {
    let room = BLOCK_BYTES as u64 - offset % BLOCK_BYTES as u64;
    if room < CHUNK_HEADER_BYTES as u64 { offset + room } else { offset }
}

/// Appends a record, cut into chunks, to `out`, whose first byte lies at `out_offset` of the file; earlier bytes of
/// `out` are counted. The record comes in two parts, one behind the other, so that nobody has to put them together.
/// `synced` is the promise: this much of the file is synced now.
pub fn frame(out: &mut Vec<u8>, out_offset: u64, context: ChunkContext, record: [&[u8]; 2], synced: u64) {
    let [mut head, mut body] = record;
    let mut first = true;
    loop {
        let at = out_offset + out.len() as u64;
        let in_block = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
        let room = BLOCK_BYTES - in_block;
        let Some(payload_room) = room.checked_sub(CHUNK_HEADER_BYTES) else {
            out.resize(out.len() + room, 0);
            continue;
        };
        let (head_now, head_after) = head.split_at_checked(payload_room).unwrap_or((head, &[]));
        let body_room = payload_room - head_now.len();
        let (body_now, body_after) = body.split_at_checked(body_room).unwrap_or((body, &[]));
        let last = head_after.is_empty() && body_after.is_empty();
        let mut header = [0_u8; CHUNK_HEADER_BYTES - 4];
        let length = u16::try_from(head_now.len() + body_now.len()).unwrap_or(u16::MAX);
        let fields = length
            .to_le_bytes()
            .into_iter()
            .chain([ChunkKind::byte(first, last)])
            .chain(context.log_id.to_le_bytes())
            .chain(synced.to_le_bytes());
        header.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
        let checksum = crc32c::crc32c_append(context.checksum(&header), head_now);
        out.extend_from_slice(&crc32c::crc32c_append(checksum, body_now).to_le_bytes());
        for part in [&header, head_now, body_now] {
            out.extend_from_slice(part);
        }
        if last {
            return;
        }
        (head, body) = (head_after, body_after);
        first = false;
    }
}

/// A chunk read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where in its record it lies.
    pub kind: ChunkKind,
    /// How much of the file was synced when it was written.
    pub synced: u64,
    /// Its part of the record.
    pub payload: &'a [u8],
}

/// The chunk at the start of `bytes` (which end at the block's end or the file's), if it is whole and intact.
pub fn parse(bytes: &[u8], context: ChunkContext) -> Option<Chunk<'_>> {
    let length = usize::from(u16_at(bytes, 4)?);
    let kind = ChunkKind::from_byte(*bytes.get(6)?)?;
    if u32_at(bytes, 7)? != context.log_id {
        return None;
    }
    let synced = u64_at(bytes, 11)?;
    let end = CHUNK_HEADER_BYTES + length;
    let payload = bytes.get(CHUNK_HEADER_BYTES..end)?;
    let intact = u32_at(bytes, 0)? == context.checksum(bytes.get(4..end)?);
    (intact || planted(Bug::IgnoreChunkChecksum)).then_some(Chunk { kind, synced, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_across_blocks_is_first_middle_last() {
        let context = ChunkContext::new(7, 3);
        let mut out = Vec::new();
        let record = vec![9; 2 * BLOCK_BYTES - 40];
        frame(&mut out, BLOCK_BYTES as u64 - 30, context, [&record, &[]], 5);
        for cut in [1, 10, 11, 12, 500, BLOCK_BYTES, record.len()] {
            let mut again = Vec::new();
            frame(&mut again, BLOCK_BYTES as u64 - 30, context, record.split_at(cut).into(), 5);
            assert!(again == out, "cut at {cut}");
        }
        let first = parse(&out[..30], context).unwrap();
        assert_eq!((first.kind, first.payload.len(), first.synced), (ChunkKind::First, 11, 5));
        let middle = parse(&out[30..30 + BLOCK_BYTES], context).unwrap();
        assert_eq!((middle.kind, middle.payload.len()), (ChunkKind::Middle, BLOCK_BYTES - 19));
        let last = parse(&out[30 + BLOCK_BYTES..], context).unwrap();
        assert_eq!(last.kind, ChunkKind::Last);
        assert_eq!(last.payload.len(), 2 * BLOCK_BYTES - 40 - 11 - (BLOCK_BYTES - 19));
    }

    #[test]
    fn too_little_room_for_a_header_is_filled_with_zeros() {
        let context = ChunkContext::new(7, 3);
        let mut out = Vec::new();
        frame(&mut out, BLOCK_BYTES as u64 - 18, context, [b"x", b""], 0);
        assert_eq!(out[..18], [0; 18]);
        assert_eq!(parse(&out[18..], context).unwrap().payload, b"x");
    }

    #[test]
    fn a_record_begins_where_its_place_is_said_to_be() {
        let context = ChunkContext::new(7, 3);
        for room in 1..=2 * CHUNK_HEADER_BYTES {
            let offset = (BLOCK_BYTES - room) as u64;
            let mut out = Vec::new();
            frame(&mut out, offset, context, [&[9; 100], &[]], 5);
            let skipped = usize::try_from(record_offset(offset) - offset).unwrap();
            assert!(out[..skipped].iter().all(|&byte| byte == 0), "{room} bytes of room");
            let first = &out[skipped..out.len().min(room.max(skipped + BLOCK_BYTES))];
            assert!(parse(first, context).is_some(), "{room} bytes of room");
        }
    }

    #[test]
    fn every_flipped_bit_and_another_file_are_refused() {
        let context = ChunkContext::new(7, 3);
        let mut out = Vec::new();
        frame(&mut out, 64, context, [b"pay", b"load"], 11);
        assert!(parse(&out, context).is_some());
        for other in [ChunkContext::new(7, 4), ChunkContext::new(8, 3), ChunkContext::new(7, 3 + (1 << 32))] {
            assert!(parse(&out, other).is_none());
        }
        for bit in 0..out.len() * 8 {
            let mut damaged = out.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged, context).is_none(), "bit {bit}");
        }
    }
}
