//! Reading whole messages off a connection: in bounded steps of memory and of time.
//!
//! The length in a header is a claim. Memory is reserved a step ahead of the bytes, so a client that claims 48 MB and
//! sends nothing has cost one step; and every step has its time, so that it cannot keep even that for long.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Limits;
use super::header::HEADER_BYTES;

/// Reads a header whose first byte is there already.
pub async fn read_header<R: AsyncRead + Unpin>(
    reader: &mut R,
    limits: &Limits,
) -> Result<[u8; HEADER_BYTES]> {
    let mut bytes = [0; HEADER_BYTES];
    in_time(limits.step_time_max, reader.read_exact(&mut bytes)).await?;
    Ok(bytes)
}

/// Reads the rest of a message of `length` bytes behind its header. The result has the header in front.
pub async fn read_message<R: AsyncRead + Unpin>(
    reader: &mut R,
    header: [u8; HEADER_BYTES],
    length: usize,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    message.extend_from_slice(&header);
    fill(reader, &mut message, length, limits).await?;
    Ok(message)
}

/// Reads until there are `length` bytes.
async fn fill<R: AsyncRead + Unpin>(
    reader: &mut R,
    message: &mut Vec<u8>,
    length: usize,
    limits: &Limits,
) -> Result<()> {
    while message.len() < length {
        let step = (length - message.len()).min(limits.step_bytes);
        // Grows by doubling: at most twice what has arrived, and a step.
        message.reserve(step);
        let mut bounded = (&mut *reader).take(u64::try_from(step).unwrap_or(u64::MAX));
        let read = in_time(limits.step_time_max, bounded.read_to_end(message)).await?;
        if read < step {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the connection ended inside a message"));
        }
    }
    Ok(())
}

/// Waits for I/O for at most this time.
pub async fn in_time<T>(time: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::new(ErrorKind::TimedOut, format!("a message did not go on for {time:?}"));
    tokio::time::timeout(time, work).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::header::{OP_MSG, encode};

    fn limits() -> Limits {
        Limits { step_bytes: 1000, step_time_max: Duration::from_millis(50), ..Limits::default() }
    }

    #[tokio::test]
    async fn a_message_is_read_whole_and_nothing_behind_it() {
        let body: Vec<u8> = (0..5000u32).map(|n| n.to_le_bytes()[0]).collect();
        let header = encode(body.len(), 1, 0, OP_MSG);
        let mut sent = body.clone();
        sent.extend_from_slice(b"behind");
        let mut reader = sent.as_slice();
        let message = read_message(&mut reader, header, body.len() + 16, &limits()).await.unwrap();
        assert_eq!((&message[..16], &message[16..]), (&header[..], &body[..]));
        assert_eq!(reader, b"behind");
    }

    #[tokio::test]
    async fn a_claim_costs_a_step_and_an_end_is_an_error() {
        for sent in [0, 10, 999, 1000, 2500, 9000] {
            let bytes = vec![7; sent];
            let mut message = Vec::new();
            let cut = fill(&mut bytes.as_slice(), &mut message, 48_000_000, &limits()).await.unwrap_err();
            assert_eq!((cut.kind(), message.len()), (ErrorKind::UnexpectedEof, sent));
            assert!(message.capacity() <= 2 * sent + 1000, "{sent}: {}", message.capacity());
        }
    }

    #[tokio::test]
    async fn a_message_that_does_not_go_on_is_given_up() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut theirs, &[1; 7]).await.unwrap();
        let late = read_header(&mut ours, &limits()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let late = read_message(&mut ours, [0; 16], 5000, &limits()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}
