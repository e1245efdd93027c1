//! OP_MSG: requests and replies of today.
//!
//! ```text
//! header (16) | flags (4) | section * | checksum (4, if flag 0)
//!
//! section of kind 0, the body, exactly once:
//!   0x00 | document
//! section of kind 1, an argument that is an array of documents, sent outside the body:
//!   0x01 | size (4) | name 0x00 | document *
//! ```
//!
//! - 4 bytes: flags. Bit 0: there is a checksum. Bit 1, more to come: the sender does not want (in a request) or is
//!   not done with (in a reply) an answer. Bit 16: the sender of a request would take a stream of replies. Of the
//!   others, bits 0 to 15 must be understood and so are refused, bits 16 to 31 may be ignored.
//! - 4 bytes of a section of kind 1: its size, these four included, so that the next section can be found.
//! - 4 bytes: CRC-32C over everything before it, header included. It is checked whenever it is there; a message that
//!   fails it is not believed in any part, its length included, and so ends the connection.

use bytes::Bytes;

use super::Limits;
use super::fault::{Fault, ILLEGAL_OP_MSG_FLAG, PROTOCOL_ERROR};
use super::header::HEADER_BYTES;

const CHECKSUM_PRESENT: u32 = 1;
/// The sender wants no answer, or has more of it.
pub const MORE_TO_COME: u32 = 1 << 1;
const EXHAUST_ALLOWED: u32 = 1 << 16;
/// Flags that a reader must know.
const REQUIRED: u32 = 0xffff;

/// A request, its parts still as they came: nothing is known of the BSON but where it begins and ends.
#[derive(Debug)]
pub struct Message {
    /// No answer is wanted.
    pub more_to_come: bool,
    /// A stream of answers would be taken.
    pub exhaust_allowed: bool,
    /// The command.
    pub body: Bytes,
    /// Its arguments that were sent outside of it: the name, and the documents one behind the other.
    pub sequences: Vec<(String, Bytes)>,
}

/// Whether the sender of this message wants no answer, however wrong the message is.
pub fn wants_no_answer(message: &[u8]) -> bool {
    flags(message).is_some_and(|flags| flags & MORE_TO_COME != 0)
}

fn flags(message: &[u8]) -> Option<u32> {
    message.get(HEADER_BYTES..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Reads a whole message, header included.
pub fn parse(message: &Bytes, limits: &Limits) -> Result<Message, Fault> {
    let flags = flags(message).ok_or_else(|| Fault::of_connection("an OP_MSG is too short for its flags"))?;
    let unknown = flags & REQUIRED & !(CHECKSUM_PRESENT | MORE_TO_COME);
    if unknown != 0 {
        let text = format!("OP_MSG flags {unknown:#06x} must be understood, and are not");
        return Err(Fault::of_request(ILLEGAL_OP_MSG_FLAG, text));
    }
    let sections_begin = HEADER_BYTES + 4;
    let sections_end =
        if flags & CHECKSUM_PRESENT != 0 { checked(message, sections_begin)? } else { message.len() };
    let mut parsed = Message {
        more_to_come: flags & MORE_TO_COME != 0,
        exhaust_allowed: flags & EXHAUST_ALLOWED != 0,
        body: Bytes::new(),
        sequences: Vec::new(),
    };
    let mut rest = message.slice(sections_begin..sections_end);
    let mut has_body = false;
    while let Some((&kind, _)) = rest.split_first() {
        let section = rest.slice(1..);
        let taken = match kind {
            0 if has_body => {
                return Err(Fault::of_request(PROTOCOL_ERROR, "an OP_MSG has more than one body"));
            }
            0 => {
                has_body = true;
                let length = length_at(&section, 5)?;
                parsed.body = section.slice(..length);
                length
            }
            1 => {
                let size = length_at(&section, 5)?;
                if parsed.sequences.len() >= limits.sequences_max {
                    let text = format!("an OP_MSG has at most {} document sequences", limits.sequences_max);
                    return Err(Fault::of_request(PROTOCOL_ERROR, text));
                }
                parsed.sequences.push(sequence(&section.slice(4..size))?);
                size
            }
            kind => return Err(Fault::of_connection(format!("OP_MSG has no sections of kind {kind}"))),
        };
        rest = section.slice(taken..);
    }
    if has_body { Ok(parsed) } else { Err(Fault::of_request(PROTOCOL_ERROR, "an OP_MSG needs a body")) }
}

/// Verifies the checksum at the end; returns where the sections end.
fn checked(message: &Bytes, sections_begin: usize) -> Result<usize, Fault> {
    let end = message.len().checked_sub(4).filter(|end| *end >= sections_begin);
    let split = end.and_then(|end| message.split_at_checked(end));
    let Some((covered, &[a, b, c, d])) = split else {
        return Err(Fault::of_connection("an OP_MSG is too short for its checksum"));
    };
    if crc32c::crc32c(covered) != u32::from_le_bytes([a, b, c, d]) {
        return Err(Fault::of_connection("the checksum of an OP_MSG does not fit its bytes"));
    }
    Ok(covered.len())
}

/// The length that stands at the beginning of `bytes` and counts itself: at least `least`, and no more than is there.
pub fn length_at(bytes: &[u8], least: usize) -> Result<usize, Fault> {
    let claimed = bytes.first_chunk().copied().map(i32::from_le_bytes);
    claimed
        .and_then(|claimed| usize::try_from(claimed).ok())
        .filter(|length| (least..=bytes.len()).contains(length))
        .ok_or_else(|| Fault::of_request(PROTOCOL_ERROR, "a length in the message does not fit its bytes"))
}

/// Name and documents of a section of kind 1 behind its size.
fn sequence(section: &Bytes) -> Result<(String, Bytes), Fault> {
    let refuse = |why| Fault::of_request(PROTOCOL_ERROR, why);
    let name = std::ffi::CStr::from_bytes_until_nul(section)
        .map_err(|_| refuse("the name of a document sequence has no end"))?;
    let name = name.to_str().map_err(|_| refuse("the name of a document sequence is not UTF-8"))?;
    Ok((name.to_owned(), section.slice(name.len() + 1..)))
}

#[cfg(test)]
mod tests;
