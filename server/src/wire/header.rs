//! The header of every message.
//!
//! ```text
//! 0       4       8      12      16
//! +-------+-------+-------+-------+
//! | len   | id    | to    | op    |
//! +-------+-------+-------+-------+
//! ```
//!
//! - 4 bytes: length of the whole message, header included; from 16 to the message limit.
//! - 4 bytes: number of the message, chosen by its sender.
//! - 4 bytes: in a reply, the number of the message it answers; 0 in a request, and not looked at there.
//! - 4 bytes: operation code, which says what the rest is.
//!
//! All are signed and little-endian.

use super::fault::Fault;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 16;

/// Answer to OP_QUERY.
pub const OP_REPLY: i32 = 1;
/// The oldest operation of the legacy protocol that clients send.
const OP_UPDATE: i32 = 2001;
/// The legacy query; only the handshake may use it.
pub const OP_QUERY: i32 = 2004;
/// The youngest operation of the legacy protocol that clients send.
const OP_KILL_CURSORS: i32 = 2007;
/// A compressed message.
pub const OP_COMPRESSED: i32 = 2012;
/// The message of today, both ways.
pub const OP_MSG: i32 = 2013;

/// A header as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    length: i32,
    /// Number of the message.
    pub request_id: i32,
    /// Operation code.
    pub op_code: i32,
}

impl Header {
    /// Reads a header.
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, _, _, _, _, m, n, o, p] = bytes;
        Self {
            length: i32::from_le_bytes([a, b, c, d]),
            request_id: i32::from_le_bytes([e, f, g, h]),
            op_code: i32::from_le_bytes([m, n, o, p]),
        }
    }

    /// Whether the sender speaks this protocol, as far as the operation code tells, and so would read an answer.
    pub fn is_known(self) -> bool {
        matches!(self.op_code, OP_REPLY | OP_UPDATE..=OP_KILL_CURSORS | OP_COMPRESSED | OP_MSG)
    }

    /// Length of the whole message in bytes, if it is one that is taken.
    pub fn message_bytes(self, message_bytes_max: usize) -> Result<usize, Fault> {
        match usize::try_from(self.length) {
            Ok(length) if (HEADER_BYTES..=message_bytes_max).contains(&length) => Ok(length),
            _ => Err(Fault::of_connection(format!(
                "a message has from {HEADER_BYTES} to {message_bytes_max} bytes; the header claims {}",
                self.length
            ))),
        }
    }
}

/// The header of a message of ours; `rest` is the length behind it.
pub fn encode(rest: usize, request_id: i32, response_to: i32, op_code: i32) -> [u8; HEADER_BYTES] {
    // Replies are a batch of at most 16 MiB with its frame, far below the 2 GiB that fit.
    let length = i32::try_from(HEADER_BYTES + rest).unwrap_or(i32::MAX);
    let mut header = [0; HEADER_BYTES];
    for (slot, number) in header.chunks_exact_mut(4).zip([length, request_id, response_to, op_code]) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header::parse(encode(5, 7, -1, OP_MSG));
        assert_eq!(header, Header { length: 21, request_id: 7, op_code: OP_MSG });
        assert_eq!(header.message_bytes(21).unwrap(), 21);
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        for length in [i32::MIN, -1, 0, 15, 101, i32::MAX] {
            let fault = Header { length, request_id: 1, op_code: OP_MSG }.message_bytes(100).unwrap_err();
            assert!(fault.is_fatal && fault.error.message.contains(&length.to_string()), "{fault:?}");
        }
        for length in [16, 100] {
            assert!(Header { length, request_id: 1, op_code: OP_MSG }.message_bytes(100).is_ok());
        }
    }

    #[test]
    fn only_senders_of_this_protocol_are_answered() {
        let known = |op_code| Header { length: 16, request_id: 1, op_code }.is_known();
        assert!([1, 2001, 2004, 2007, 2012, 2013].into_iter().all(known));
        // "1.1\r" of an HTTP request among them.
        assert!(![0, 2, 1000, 2000, 2008, 2011, 2014, 0x0d31_2e31].into_iter().any(known));
    }
}
