//! What an sstable says about itself: figures for pickers, checks and people.
//!
//! A list of (tag varint, length varint, bytes). A reader skips tags it does not know; a tag is never used again for
//! something else. FORMAT.md, "Properties", lists them.

use std::collections::BTreeMap;

use crate::coding::{Malformed, put_bytes, put_varint, take_bytes, take_u8, take_varint};
use crate::keyspace::{Keyspace, PrefixRule};
use crate::timestamp::Timestamp;

const ENTRIES: u64 = 1;
const DELETES: u64 = 2;
const RANGE_TOMBSTONES: u64 = 3;
const KEY_BYTES: u64 = 4;
const VALUE_BYTES: u64 = 5;
const TIMESTAMP_MIN: u64 = 6;
const TIMESTAMP_MAX: u64 = 7;
const SMALLEST: u64 = 8;
const LARGEST: u64 = 9;
const DATA_BLOCKS: u64 = 10;
const PREFIXES: u64 = 11;
const DENSE_BLOCKS: u64 = 12;

/// The figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Point entries, tombstones included.
    pub entries: u64,
    /// Point tombstones.
    pub deletes: u64,
    /// Range tombstones, as fragments times timestamps.
    pub range_tombstones: u64,
    /// Sum of the lengths of all keys.
    pub key_bytes: u64,
    /// Sum of the lengths of all values, a blob handle counting as itself.
    pub value_bytes: u64,
    /// The oldest version.
    pub timestamp_min: Timestamp,
    /// The newest version.
    pub timestamp_max: Timestamp,
    /// The first key, or the first start of a range tombstone.
    pub smallest: Vec<u8>,
    /// The last key, or the last end of a range tombstone (which itself is not covered).
    pub largest: Vec<u8>,
    /// Data blocks.
    pub data_blocks: u64,
    /// Data blocks of which at least half the entries, or a hundred, are tombstones.
    pub dense_blocks: u64,
    /// The keyspaces whose prefixes are in the filter beside whole keys, by which rule.
    pub prefixes: BTreeMap<Keyspace, PrefixRule>,
}

impl Properties {
    /// The block's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers = [
            (ENTRIES, self.entries),
            (DELETES, self.deletes),
            (RANGE_TOMBSTONES, self.range_tombstones),
            (KEY_BYTES, self.key_bytes),
            (VALUE_BYTES, self.value_bytes),
            (TIMESTAMP_MIN, self.timestamp_min.0),
            (TIMESTAMP_MAX, self.timestamp_max.0),
            (DATA_BLOCKS, self.data_blocks),
            (DENSE_BLOCKS, self.dense_blocks),
        ];
        let mut number = Vec::new();
        for (tag, value) in numbers {
            number.clear();
            put_varint(&mut number, value);
            put_varint(&mut out, tag);
            put_bytes(&mut out, &number);
        }
        for (tag, bytes) in [(SMALLEST, &self.smallest), (LARGEST, &self.largest)] {
            put_varint(&mut out, tag);
            put_bytes(&mut out, bytes);
        }
        if !self.prefixes.is_empty() {
            put_varint(&mut out, PREFIXES);
            put_bytes(&mut out, &encode_prefixes(&self.prefixes));
        }
        out
    }

    /// Reads the block.
    pub fn parse(mut bytes: &[u8]) -> Result<Properties, Malformed> {
        let mut properties = Properties::default();
        while !bytes.is_empty() {
            let pair = take_varint(&mut bytes).and_then(|tag| Some((tag, take_bytes(&mut bytes)?)));
            let (tag, value) = pair.ok_or(Malformed("properties end early"))?;
            properties.set(tag, value).ok_or(Malformed("a property has another form"))?;
        }
        Ok(properties)
    }

    fn set(&mut self, tag: u64, value: &[u8]) -> Option<()> {
        match tag {
            ENTRIES => self.entries = number(value)?,
            DELETES => self.deletes = number(value)?,
            RANGE_TOMBSTONES => self.range_tombstones = number(value)?,
            KEY_BYTES => self.key_bytes = number(value)?,
            VALUE_BYTES => self.value_bytes = number(value)?,
            TIMESTAMP_MIN => self.timestamp_min = Timestamp(number(value)?),
            TIMESTAMP_MAX => self.timestamp_max = Timestamp(number(value)?),
            DATA_BLOCKS => self.data_blocks = number(value)?,
            DENSE_BLOCKS => self.dense_blocks = number(value)?,
            SMALLEST => self.smallest = value.to_vec(),
            LARGEST => self.largest = value.to_vec(),
            PREFIXES => self.prefixes = parse_prefixes(value)?,
            _ => {}
        }
        Some(())
    }
}

fn number(mut bytes: &[u8]) -> Option<u64> {
    let value = take_varint(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

fn encode_prefixes(prefixes: &BTreeMap<Keyspace, PrefixRule>) -> Vec<u8> {
    let mut out = Vec::new();
    for (keyspace, rule) in prefixes {
        if let PrefixRule::Fixed(length) = rule {
            out.push(keyspace.0);
            put_varint(&mut out, *length as u64);
        }
    }
    out
}

fn parse_prefixes(mut bytes: &[u8]) -> Option<BTreeMap<Keyspace, PrefixRule>> {
    let mut prefixes = BTreeMap::new();
    while !bytes.is_empty() {
        let keyspace = Keyspace(take_u8(&mut bytes)?);
        let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
        prefixes.insert(keyspace, PrefixRule::Fixed(length));
    }
    Some(prefixes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_back_and_unknown_tags_are_skipped() {
        let properties = Properties {
            entries: 300,
            deletes: 7,
            timestamp_max: Timestamp(u64::MAX),
            smallest: b"a".to_vec(),
            largest: b"zz".to_vec(),
            prefixes: [(Keyspace(3), PrefixRule::Fixed(9))].into(),
            ..Properties::default()
        };
        let mut bytes = properties.encode();
        assert_eq!(Properties::parse(&bytes).unwrap(), properties);
        for length in 0..bytes.len() {
            assert_ne!(Properties::parse(&bytes[..length]), Ok(properties.clone()));
        }
        put_varint(&mut bytes, 9_999);
        put_bytes(&mut bytes, b"from the future");
        assert_eq!(Properties::parse(&bytes).unwrap(), properties);
    }
}
