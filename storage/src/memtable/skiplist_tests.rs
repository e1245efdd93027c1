//! The list against a `BTreeMap`, and under readers while it is written.

#![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cursor, NewEntry, Skiplist};
use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::timestamp::Timestamp;

fn entries_forward(list: &Arc<Skiplist>) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let mut cursor = Cursor::new(Arc::clone(list));
    cursor.seek_to_first();
    let mut out = Vec::new();
    while let Some(entry) = cursor.entry() {
        out.push((entry.key().to_vec(), entry.timestamp().0, entry.value().to_vec()));
        cursor.advance();
    }
    out
}

#[test]
fn any_order_of_inserts_reads_back_sorted_both_ways() {
    let count = if cfg!(miri) { 40 } else { 4_000 };
    for seed in 0..4_u64 {
        let list = Arc::new(Skiplist::new(0));
        let mut model = BTreeMap::new();
        for step in 0..count {
            let random = key_hash(&(seed * 1_000_000 + step).to_le_bytes());
            let key = match seed {
                0 => step.to_be_bytes().to_vec(),
                1 => (u64::MAX - step).to_be_bytes().to_vec(),
                _ => (random % 900).to_string().into_bytes(),
            };
            let timestamp = random >> 50;
            let value = vec![step as u8; (random % 60) as usize];
            list.insert_all(
                Timestamp(timestamp),
                [NewEntry { key: &key, kind: ValueKind::Put, value: &value }],
            );
            // The later of two equal versions is found first; the model keeps the later one.
            model.insert((key, Reverse(timestamp)), value);
        }
        let mut forward = entries_forward(&list);
        let mut cursor = Cursor::new(Arc::clone(&list));
        cursor.seek_to_last();
        let mut backward = Vec::new();
        while let Some(entry) = cursor.entry() {
            backward.push((entry.key().to_vec(), entry.timestamp().0, entry.value().to_vec()));
            cursor.retreat();
        }
        backward.reverse();
        assert_eq!(forward, backward);
        forward.dedup_by(|later, first| (&later.0, later.1) == (&first.0, first.1));
        let expected: Vec<_> =
            model.iter().map(|((key, Reverse(t)), value)| (key.clone(), *t, value.clone())).collect();
        assert_eq!(forward, expected);
        for probe in 0..if cfg!(miri) { 8_u64 } else { 200 } {
            let random = key_hash(&probe.to_le_bytes());
            let (key, timestamp) = ((random % 1_000).to_string().into_bytes(), random >> 50);
            let found =
                list.seek(&key, Timestamp(timestamp)).map(|e| (e.key().to_vec(), Reverse(e.timestamp().0)));
            let target = (key.clone(), Reverse(timestamp));
            assert_eq!(found.as_ref(), model.range(target.clone()..).next().map(|(k, _)| k));
            let before = list
                .seek_before(&key, Timestamp(timestamp))
                .map(|e| (e.key().to_vec(), Reverse(e.timestamp().0)));
            assert_eq!(before.as_ref(), model.range(..target).next_back().map(|(k, _)| k));
        }
    }
}

#[test]
fn large_values_take_a_chunk_of_their_own() {
    let list = Skiplist::new(0);
    let count = if cfg!(miri) { 12 } else { 40_u64 };
    for index in 0..count {
        let large = if cfg!(miri) { 9_000 } else { 700_000 };
        let length = if index % 3 == 0 { large } else { 50 };
        let value = vec![index as u8; length];
        list.insert_all(
            Timestamp(1),
            [NewEntry { key: &index.to_be_bytes(), kind: ValueKind::Put, value: &value }],
        );
    }
    let mut entry = list.first();
    for index in 0..count {
        let found = entry.unwrap();
        assert_eq!(found.key(), index.to_be_bytes());
        assert!(found.value().iter().all(|&byte| byte == index as u8));
        entry = list.seek(&(index + 1).to_be_bytes(), Timestamp(u64::MAX));
    }
    assert!(list.memory_bytes() < 14 * 700_000 + (2 << 20));
}

#[test]
fn readers_see_whole_entries_in_order_while_a_writer_inserts() {
    let count = if cfg!(miri) { 24 } else { 20_000 };
    let list = Arc::new(Skiplist::new(0));
    let published = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let floor = published.load(Ordering::Acquire);
                    let seen = entries_forward(&list);
                    assert!(seen.len() as u64 >= floor, "an entry published before the walk is missing");
                    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
                    assert!(seen.iter().all(|(key, _, value)| value.iter().all(|byte| *byte == key[7])));
                    if floor == count {
                        return;
                    }
                }
            });
        }
        for index in 0..count {
            let key = key_hash(&index.to_le_bytes()).to_be_bytes();
            list.insert_all(
                Timestamp(index),
                [NewEntry { key: &key, kind: ValueKind::Put, value: &[key[7]; 33] }],
            );
            published.store(index + 1, Ordering::Release);
        }
    });
}
