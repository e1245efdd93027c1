//! The legacy pair of messages, which some clients still begin with.
//!
//! ```text
//! OP_QUERY  header (16) | flags (4) | name 0x00 | skip (4) | return (4) | document | document of fields, or nothing
//! OP_REPLY  header (16) | flags (4) | cursor (8) | from (4) | count (4) | document
//! ```
//!
//! The name must be `admin.$cmd` and the document the handshake (`hello`, `isMaster`), bare or as `$query` with
//! options around it; anything else is answered with error 352. Flags, skip, return and the document of fields mean
//! nothing to it. In the reply, flags say 8 (the server can await), the cursor is 0 and the count 1.

use bytes::Bytes;
use sheaf_command::{CommandReply, CommandSession, run_command};
use sheaf_document::{DOCUMENT_BYTES_MAX, RawDocument, ValueRef};
use sheaf_engine::Error;

use super::fault::{Fault, PROTOCOL_ERROR, UNSUPPORTED_OP_QUERY_COMMAND};
use super::header::{HEADER_BYTES, OP_REPLY, encode};
use super::hello;
use super::message::length_at;

/// What the handshake is sent to.
const COMMANDS_OF_ADMIN: &std::ffi::CStr = c"admin.$cmd";

/// Bytes of an OP_REPLY in front of its document.
pub const REPLY_HEAD_BYTES: usize = HEADER_BYTES + 20;

const AWAIT_CAPABLE: i32 = 8;

/// Answers a whole OP_QUERY, header included.
pub fn run(session: &CommandSession, message: &Bytes) -> CommandReply {
    handshake(message)
        .and_then(|command| {
            let command = RawDocument::validate_with_limit(&command, DOCUMENT_BYTES_MAX)
                .map_err(|error| Fault { error: Error::from(error), is_fatal: false })?;
            let command = match command.first().map(|first| (first.key(), first.value())) {
                Some(("$query" | "query", ValueRef::Document(query))) => query,
                _ => command,
            };
            if !hello::is_hello(command) {
                return Err(unsupported());
            }
            Ok(run_command(session, "admin", command))
        })
        .unwrap_or_else(|fault| CommandReply::failure(&fault.error))
}

fn unsupported() -> Fault {
    Fault::of_request(
        UNSUPPORTED_OP_QUERY_COMMAND,
        "an OP_QUERY may only be the handshake (hello, isMaster) on admin.$cmd; send OP_MSG",
    )
}

/// The document of a query on `admin.$cmd`.
fn handshake(message: &Bytes) -> Result<Bytes, Fault> {
    let cut = || Fault::of_request(PROTOCOL_ERROR, "an OP_QUERY is cut off");
    let rest = message.get(HEADER_BYTES + 4..).ok_or_else(cut)?;
    let name = std::ffi::CStr::from_bytes_until_nul(rest).map_err(|_| cut())?;
    if name != COMMANDS_OF_ADMIN {
        return Err(unsupported());
    }
    let document = rest.get(name.count_bytes() + 1 + 8..).ok_or_else(cut)?;
    let length = length_at(document, 5)?;
    Ok(message.slice_ref(document).slice(..length))
}

/// What stands in front of the one document of an OP_REPLY.
pub fn reply_head(document_bytes: usize, request_id: i32, response_to: i32) -> [u8; REPLY_HEAD_BYTES] {
    let mut head = [0; REPLY_HEAD_BYTES];
    let header = encode(20 + document_bytes, request_id, response_to, OP_REPLY);
    let (start, rest) = head.split_at_mut(HEADER_BYTES);
    start.copy_from_slice(&header);
    let (flags, rest) = rest.split_at_mut(4);
    flags.copy_from_slice(&AWAIT_CAPABLE.to_le_bytes());
    // Cursor and position stay 0.
    let (_, count) = rest.split_at_mut(12);
    count.copy_from_slice(&1i32.to_le_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &[u8], rest: &[u8]) -> Bytes {
        let body = [&[0; 4][..], name, &[0], &[0; 8], rest].concat();
        Bytes::from([&encode(body.len(), 1, 0, super::super::header::OP_QUERY)[..], &body].concat())
    }

    #[test]
    fn the_document_is_found_and_every_cut_is_refused() {
        let message = query(b"admin.$cmd", &[5, 0, 0, 0, 0]);
        assert_eq!(handshake(&message).unwrap(), [5u8, 0, 0, 0, 0].as_slice());
        for end in 0..message.len() {
            assert!(handshake(&message.slice(..end)).is_err(), "{end}");
        }
        let with_fields = query(b"admin.$cmd", &[5, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
        assert_eq!(handshake(&with_fields).unwrap().len(), 5);
    }

    #[test]
    fn other_collections_are_refused() {
        for name in [&b"admin.users"[..], b"", b"shop.$cmd"] {
            let fault = handshake(&query(name, &[5, 0, 0, 0, 0])).unwrap_err();
            assert_eq!(fault.error.code, UNSUPPORTED_OP_QUERY_COMMAND);
        }
    }

    #[test]
    fn a_reply_has_one_document_and_no_cursor() {
        let head = reply_head(5, 7, 3);
        let number = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!([number(0), number(4), number(8), number(12)], [41, 7, 3, OP_REPLY]);
        assert_eq!([number(16), number(20), number(24), number(28), number(32)], [AWAIT_CAPABLE, 0, 0, 0, 1]);
    }
}
