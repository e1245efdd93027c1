//! OP_MSG as the server sends it: one body, no checksum. The layout is in [`message`](super::message).

use super::header::{HEADER_BYTES, OP_MSG, encode};

/// Bytes of an OP_MSG in front of the document of its body.
pub const HEAD_BYTES: usize = HEADER_BYTES + 5;

/// What stands in front of the document.
pub fn head(document_bytes: usize, request_id: i32, response_to: i32, flags: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (header, rest) = head.split_at_mut(HEADER_BYTES);
    header.copy_from_slice(&encode(5 + document_bytes, request_id, response_to, OP_MSG));
    let (flag_bytes, _kind_of_body) = rest.split_at_mut(4);
    flag_bytes.copy_from_slice(&flags.to_le_bytes());
    head
}
