//! A writer and readers in every order that the memory model allows: what is published is found, whole, in its place.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{NewEntry, Skiplist};
use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::timestamp::Timestamp;

/// What the writer inserts: two versions of one key and a key before it.
const INSERTS: [(&[u8], u64, &[u8]); 3] = [(b"m", 1, b"one"), (b"a", 2, b"two"), (b"m", 3, b"three")];

/// The value that a reader at `visible` has to find.
fn expected(key: &[u8], visible: u64) -> Option<&'static [u8]> {
    let of_key = INSERTS.iter().filter(|(inserted, at, _)| *inserted == key && *at <= visible);
    of_key.max_by_key(|(_, at, _)| *at).map(|(_, _, value)| *value)
}

fn explore(read: impl Fn(&Skiplist, u64) + Send + Sync + Clone + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let (list, published) = (Arc::new(Skiplist::new(0)), Arc::new(AtomicU64::new(0)));
        let (of_reader, seen, read) = (Arc::clone(&list), Arc::clone(&published), read.clone());
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                read(&of_reader, seen.load(Ordering::Acquire));
            }
        });
        for (key, timestamp, value) in INSERTS {
            list.insert_all(
                Timestamp(timestamp),
                [NewEntry { key: key, kind: ValueKind::Put, value: value }],
            );
            published.store(timestamp, Ordering::Release);
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_lookup_by_hash_finds_what_is_published() {
    explore(|list, visible| {
        for key in [&b"m"[..], b"a"] {
            let found = list.get(key, key_hash(key), Timestamp(visible)).map(|entry| entry.value());
            assert_eq!(found, expected(key, visible), "{key:?} at {visible}");
        }
    });
}

#[test]
fn a_search_finds_what_is_published() {
    explore(|list, visible| {
        for key in [&b"m"[..], b"a"] {
            let found = list.seek(key, Timestamp(visible)).filter(|entry| entry.key() == key);
            assert_eq!(found.map(|entry| entry.value()), expected(key, visible), "{key:?} at {visible}");
        }
    });
}
