//! The write-ahead log: segments of checksummed chunks.
//!
//! The only durable log of a store. A record is a batch with its place in the order (group, term, index, timestamp).
//! Records are cut into chunks, chunks lie in 32 KiB blocks, and every chunk says how much of its file had been synced
//! when it was written. That promise is what tells a torn tail (the power went, what follows was never acknowledged)
//! from damage (a chunk that was once synced is bad now): see [`reader`].
//!
//! Records of large entries are compressed ([`compression`]). The manifest uses the same framing.

pub mod buffers;
pub mod chunk;
pub mod compression;
pub mod head;
pub mod header;
pub mod log;
mod open_segment;
pub mod reader;
pub mod record;
pub mod recovery;
