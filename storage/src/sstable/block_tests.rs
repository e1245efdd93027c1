//! Blocks against a sorted vector, and against bytes that are wrong.

#![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

use super::*;
use crate::sstable::block_builder::{BlockBuilder, shortest_separator};

type Entry = (Vec<u8>, u64, ValueKind, Vec<u8>);

fn build(entries: &[Entry]) -> Vec<u8> {
    let mut builder = BlockBuilder::new();
    for (key, timestamp, kind, value) in entries {
        builder.add(key, Timestamp(*timestamp), *kind, value);
    }
    let mut out = Vec::new();
    builder.finish(&mut out).unwrap();
    out
}

fn parse(bytes: &[u8]) -> Result<Block, Malformed> {
    Block::parse(BlockBytes::Heap(bytes.into()))
}

/// A small generator with a fixed seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }
}

fn generate(numbers: &mut Numbers) -> Vec<Entry> {
    let span = [1, 200, 70_000, u64::MAX >> 1][usize::try_from(numbers.below(4)).unwrap()];
    let alphabet = 1 + numbers.below(4);
    let fixed = numbers.below(3) == 0;
    let mut entries = Vec::new();
    for _ in 0..numbers.below(90) {
        let length = numbers.below(9);
        let key: Vec<u8> =
            (0..length).map(|_| [0, 1, 0xfe, 0xff][numbers.below(alphabet) as usize]).collect();
        let kind = if numbers.below(5) == 0 { ValueKind::Delete } else { ValueKind::Put };
        let length = if fixed { 3 } else { numbers.below(40) };
        let value = (0..length).map(|_| numbers.below(256) as u8).collect();
        entries.push((key, numbers.below(span), kind, value));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    entries.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
    entries
}

#[test]
fn entries_come_back_and_seeks_find_them() {
    let mut numbers = Numbers(1);
    for _ in 0..300 {
        let entries = generate(&mut numbers);
        let block = parse(&build(&entries)).unwrap();
        assert_eq!(block.entries(), entries.len());
        let as_index = parse(&build(&entries)).unwrap().into_index();
        for (index, (key, timestamp, kind, value)) in entries.iter().enumerate() {
            let mut built = Vec::new();
            block.append_key(index, &mut built);
            assert_eq!(&built, key);
            assert!(block.key_equals(index, key));
            assert_eq!(block.timestamp(index), Timestamp(*timestamp));
            assert_eq!(block.kind(index), *kind);
            assert_eq!(block.value(index), value);
        }
        for _ in 0..60 {
            let length = numbers.below(9);
            let key: Vec<u8> =
                (0..length).map(|_| [0, 1, 2, 0xfe, 0xff][numbers.below(5) as usize]).collect();
            let timestamp = Timestamp(numbers.below(300));
            let target = Position { key: &key, timestamp };
            let expected =
                entries.partition_point(|e| Position { key: &e.0, timestamp: Timestamp(e.1) } < target);
            assert_eq!(block.seek(target), expected, "{target:?} in {entries:?}");
            assert_eq!(as_index.seek(target), expected, "{target:?} in {entries:?}");
        }
    }
}

#[test]
fn a_large_value_uses_wide_offsets() {
    let entries = vec![
        (b"a".to_vec(), 1, ValueKind::Put, vec![7; 70_000]),
        (b"b".to_vec(), 1, ValueKind::Put, vec![8; 3]),
    ];
    let block = parse(&build(&entries)).unwrap();
    assert_eq!(block.value(0).len(), 70_000);
    assert_eq!(block.value(1), [8; 3]);
}

#[test]
fn any_flipped_byte_or_lost_tail_is_an_error_or_stays_within_the_block() {
    let mut numbers = Numbers(2);
    for _ in 0..20 {
        let bytes = build(&generate(&mut numbers));
        for length in 0..bytes.len() {
            read_everything(&bytes[..length]);
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                read_everything(&damaged);
            }
        }
    }
}

fn read_everything(bytes: &[u8]) {
    let Ok(block) = parse(bytes) else { return };
    let mut key = Vec::new();
    for index in 0..block.entries() {
        key.clear();
        block.append_key(index, &mut key);
        assert!(key.len() + block.value(index).len() <= 2 * bytes.len());
        let _ = block.seek(Position { key: &key, timestamp: block.timestamp(index) });
    }
}

#[test]
fn a_separator_stands_between_and_is_never_longer() {
    let mut numbers = Numbers(3);
    let mut out = Vec::new();
    for _ in 0..20_000 {
        let mut key = || -> Vec<u8> {
            let length = numbers.below(6);
            (0..length).map(|_| [0, 1, 2, 0xfe, 0xff][numbers.below(5) as usize]).collect()
        };
        let (a, b) = (key(), key());
        let (left, right) = if a < b { (a, b) } else { (b, a) };
        if left == right {
            continue;
        }
        shortest_separator(&left, &right, &mut out);
        assert!(out >= left && out < right && out.len() <= left.len(), "{left:?} {out:?} {right:?}");
    }
}

#[test]
fn the_worked_example_of_the_format_is_what_is_written() {
    let entries = vec![
        (b"ab".to_vec(), 7, ValueKind::Put, b"x".to_vec()),
        (b"ac".to_vec(), 5, ValueKind::Put, b"y".to_vec()),
    ];
    let document = include_str!("../../FORMAT-SSTABLE.md");
    let (_, example) = document.split_once("group_entries 16:\n\n```\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let mut expected = Vec::new();
    for line in example.lines() {
        let bytes = line.split("  ").next().unwrap();
        expected.extend(bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    assert_eq!(build(&entries), expected);
}
