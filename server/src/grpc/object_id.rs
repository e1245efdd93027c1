//! Object ids for documents that arrive without an `_id`: here and not in the engine, so that the answer can tell
//! which one a document got.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sheaf_document::{DocumentBuilder, ObjectId, RawDocument, RawDocumentBuf};

/// Makes object ids: 4 bytes of seconds, 5 random bytes of this process, 3 bytes of a counter, each big-endian.
pub struct ObjectIdSource {
    process: [u8; 5],
    counter: AtomicU32,
}

impl ObjectIdSource {
    /// A source that no other process shares.
    pub fn new() -> std::io::Result<Self> {
        let mut process = [0; 5];
        let mut start = [0; 4];
        getrandom::fill(&mut process).map_err(std::io::Error::other)?;
        getrandom::fill(&mut start).map_err(std::io::Error::other)?;
        Ok(Self { process, counter: AtomicU32::new(u32::from_be_bytes(start)) })
    }

    /// The next id.
    pub fn next(&self) -> ObjectId {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // The format has room until 2106; after that the seconds stand still and the rest still tells ids apart.
        let seconds = u32::try_from(since_epoch).unwrap_or(u32::MAX).to_be_bytes();
        let count = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut id = [0; 12];
        let parts = seconds.iter().chain(&self.process).chain(count.iter().skip(1));
        for (byte, part) in id.iter_mut().zip(parts) {
            *byte = *part;
        }
        ObjectId(id)
    }

    /// The document with an `_id` in front, if it has none, and that `_id`.
    pub fn give_id(&self, document: RawDocument<'_>) -> Option<(RawDocumentBuf, ObjectId)> {
        if document.get_element("_id").is_some() {
            return None;
        }
        let id = self.next();
        let mut with = DocumentBuilder::with_capacity(document.len_bytes() + 17);
        with.append("_id", id);
        for element in document {
            with.append_element(element);
        }
        Some((with.build(), id))
    }
}

#[cfg(test)]
mod tests {
    use sheaf_document::ValueRef;

    use super::*;

    #[test]
    fn ids_grow_within_a_second_and_carry_the_time() {
        let source = ObjectIdSource { process: [1, 2, 3, 4, 5], counter: AtomicU32::new(0x00ff_ffff) };
        let (first, second) = (source.next(), source.next());
        assert_eq!(first.0[4..], [1, 2, 3, 4, 5, 0xff, 0xff, 0xff]);
        assert_eq!(second.0[9..], [0, 0, 0]);
        assert!(first.seconds() > 1_700_000_000);
    }

    #[test]
    fn only_a_document_without_an_id_gets_one() {
        let source = ObjectIdSource::new().unwrap();
        let mut plain = DocumentBuilder::new();
        plain.append("a", 1);
        let (with, id) = source.give_id(plain.build().as_raw()).unwrap();
        assert_eq!(with.as_raw().first().unwrap().value(), ValueRef::ObjectId(id));
        assert_eq!(with.as_raw().get("a"), Some(ValueRef::Int32(1)));
        RawDocument::validate(with.as_bytes()).unwrap();
        assert!(source.give_id(with.as_raw()).is_none());
    }
}
