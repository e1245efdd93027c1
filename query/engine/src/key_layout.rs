//! The keys of the store, as `KEY_LAYOUT.md` draws them.

use sheaf_document::{Collate, ValueRef};
use sheaf_storage::Keyspace;

use crate::{Error, Result, error_code};

/// The catalog.
pub(crate) const META: Keyspace = Keyspace(0x10);
/// Documents.
pub(crate) const DOCUMENTS: Keyspace = Keyspace(0x20);
/// Index entries.
pub(crate) const INDEXES: Keyspace = Keyspace(0x30);
/// What sessions of clients have done under their numbers.
pub(crate) const SESSIONS: Keyspace = Keyspace(0x40);

/// Identity of a client's session.
pub(crate) type LogicalSessionId = [u8; 16];

const SESSION_STATEMENT: u8 = 1;
const SESSION_COMMIT: u8 = 2;

/// All records of all sessions.
pub(crate) fn sessions() -> KeyRange {
    prefix_range(vec![SESSIONS.0])
}

/// All records of a session.
pub(crate) fn session(id: &LogicalSessionId) -> KeyRange {
    prefix_range([&[SESSIONS.0], id.as_slice()].concat())
}

/// Key of what a statement did. The number is shifted so that negative ones come first.
pub(crate) fn session_statement(id: &LogicalSessionId, statement: i32) -> Vec<u8> {
    let shifted = statement.cast_unsigned() ^ (1 << 31);
    [&[SESSIONS.0], id.as_slice(), &[SESSION_STATEMENT], &shifted.to_be_bytes()].concat()
}

/// Key of the record that a transaction of a session was committed.
pub(crate) fn session_commit(id: &LogicalSessionId) -> Vec<u8> {
    [&[SESSIONS.0], id.as_slice(), &[SESSION_COMMIT]].concat()
}

/// The session that a key of a record belongs to, and the statement if it is about one.
pub(crate) fn read_session_key(key: &[u8]) -> Option<(LogicalSessionId, Option<i32>)> {
    let (id, rest) = key.get(1..)?.split_first_chunk::<16>()?;
    match rest.split_first()? {
        (&SESSION_STATEMENT, number) => {
            let shifted = u32::from_be_bytes(number.try_into().ok()?);
            Some((*id, Some((shifted ^ (1 << 31)).cast_signed())))
        }
        (&SESSION_COMMIT, []) => Some((*id, None)),
        _ => None,
    }
}

/// Longest key of a document or index entry, in bytes: half of what the store allows, so that anything that has to be
/// put around a key later finds room.
pub(crate) const KEY_BYTES_MAX: usize = 32 * 1024;

/// Bytes in front of an encoded `_id` or of the fields of an index entry: the keyspace and an identifier.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Identity of a collection, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CollectionId(pub(crate) u32);

/// Identity of an index, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IndexId(pub(crate) u32);

const META_FORMAT: u8 = 1;
const META_SEQUENCE: u8 = 2;
const META_COLLECTION: u8 = 3;
const META_MULTIKEY: u8 = 4;
const META_CONSTRUCTION: u8 = 5;
const META_CAPPED: u8 = 6;
const META_COPY: u8 = 7;

fn with_id(prefix: &[u8], id: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 4 + 16);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// Key of the format record.
pub(crate) fn format() -> Vec<u8> {
    vec![META.0, META_FORMAT]
}

/// Key of the sequence of identifiers.
pub(crate) fn sequence() -> Vec<u8> {
    vec![META.0, META_SEQUENCE]
}

/// Key of a collection's record.
pub(crate) fn collection(id: CollectionId) -> Vec<u8> {
    with_id(&[META.0, META_COLLECTION], id.0)
}

/// Bounds of all collection records.
pub(crate) fn collections() -> KeyRange {
    KeyRange { lower: vec![META.0, META_COLLECTION], upper: vec![META.0, META_COLLECTION + 1] }
}

/// Key of an index's multikey paths.
pub(crate) fn multikey(id: IndexId) -> Vec<u8> {
    with_id(&[META.0, META_MULTIKEY], id.0)
}

/// Key of the mark of an index that is being built.
pub(crate) fn construction(id: IndexId) -> Vec<u8> {
    with_id(&[META.0, META_CONSTRUCTION], id.0)
}

/// Bounds of all such marks.
pub(crate) fn constructions() -> KeyRange {
    KeyRange { lower: vec![META.0, META_CONSTRUCTION], upper: vec![META.0, META_CONSTRUCTION + 1] }
}

/// Key of the state of a capped collection.
pub(crate) fn capped(id: CollectionId) -> Vec<u8> {
    with_id(&[META.0, META_CAPPED], id.0)
}

/// Key of the mark of a collection that is being written as a copy of another.
pub(crate) fn copy(id: CollectionId) -> Vec<u8> {
    with_id(&[META.0, META_COPY], id.0)
}

/// Bounds of all such marks.
pub(crate) fn copies() -> KeyRange {
    KeyRange { lower: vec![META.0, META_COPY], upper: vec![META.0, META_COPY + 1] }
}

/// The identifier at the end of a catalog key.
pub(crate) fn id_of_meta_key(key: &[u8]) -> Option<u32> {
    key.get(2..)?.try_into().ok().map(u32::from_be_bytes)
}

/// Keys from `lower` to in front of `upper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) lower: Vec<u8>,
    pub(crate) upper: Vec<u8>,
}

/// What all documents of a collection begin with.
pub(crate) fn documents_prefix(id: CollectionId) -> Vec<u8> {
    with_id(&[DOCUMENTS.0], id.0)
}

/// All documents of a collection.
pub(crate) fn documents(id: CollectionId) -> KeyRange {
    prefix_range(documents_prefix(id))
}

/// Key of the document with this document key.
pub(crate) fn document(id: CollectionId, document_key: &[u8]) -> Vec<u8> {
    let mut key = documents_prefix(id);
    key.extend_from_slice(document_key);
    key
}

/// The document key of a document at this position of a capped collection.
pub(crate) fn position_key(position: u64) -> [u8; 8] {
    position.to_be_bytes()
}

/// The position that such a key stands for.
pub(crate) fn position_of(document_key: &[u8]) -> Option<u64> {
    document_key.try_into().ok().map(u64::from_be_bytes)
}

/// What all entries of an index begin with.
pub(crate) fn entries_prefix(id: IndexId) -> Vec<u8> {
    with_id(&[INDEXES.0], id.0)
}

/// All entries of an index.
pub(crate) fn entries(id: IndexId) -> KeyRange {
    prefix_range(entries_prefix(id))
}

/// All keys that begin with `prefix`, which must not be all ones.
pub(crate) fn prefix_range(prefix: Vec<u8>) -> KeyRange {
    let upper = successor(&prefix);
    KeyRange { lower: prefix, upper }
}

/// The first key behind all keys that begin with `prefix`. A prefix of ones only has none within its keyspace; it
/// cannot occur, because the keyspace byte is below 0xFF.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut upper = prefix.to_vec();
    while let Some(last) = upper.pop() {
        if last < u8::MAX {
            upper.push(last + 1);
            break;
        }
    }
    upper
}

/// The document key of an `_id`, by the collection's collation.
pub(crate) fn document_key(id: ValueRef<'_>, collator: Option<&dyn Collate>) -> Result<Vec<u8>> {
    let mut key = Vec::with_capacity(24);
    sheaf_document::key::encode(id, false, collator, &mut key);
    check_key_len(key.len(), "_id")?;
    Ok(key)
}

/// Refuses a key that is too long; `what` names it in the message.
pub(crate) fn check_key_len(len: usize, what: &str) -> Result<()> {
    if len <= KEY_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        error_code::KEY_TOO_LONG,
        format!("the key of {what} has {len} bytes, the limit is {KEY_BYTES_MAX}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_exactly_their_prefix() {
        let range = documents(CollectionId(0x00FF_FFFF));
        assert_eq!(range.lower, [0x20, 0x00, 0xFF, 0xFF, 0xFF]);
        assert_eq!(range.upper, [0x20, 0x01]);
        assert!(range.lower < document(CollectionId(0x00FF_FFFF), &[0xFF, 0xFF]));
        assert!(range.upper > document(CollectionId(0x00FF_FFFF), &[0xFF, 0xFF]));
        assert!(range.upper <= documents(CollectionId(0x0100_0000)).lower);
        assert_eq!(id_of_meta_key(&collection(CollectionId(7))), Some(7));
        assert_eq!(id_of_meta_key(&format()), None);
    }

    #[test]
    fn session_keys_are_read_back_and_in_the_order_of_statements() {
        let id = [7; 16];
        for statement in [i32::MIN, -1, 0, 5, i32::MAX] {
            let key = session_statement(&id, statement);
            assert_eq!(read_session_key(&key), Some((id, Some(statement))));
            assert!(session(&id).lower < key && key < session(&id).upper);
        }
        assert!(session_statement(&id, -1) < session_statement(&id, 0));
        assert_eq!(read_session_key(&session_commit(&id)), Some((id, None)));
        assert_eq!(read_session_key(&session(&id).lower), None);
    }
}
