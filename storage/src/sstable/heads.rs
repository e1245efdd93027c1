//! The start of every group's first key, as numbers side by side, for blocks that are searched over and over.
//!
//! The index of a table has a thousand groups and more, and a search touches a cache line or two for each it looks at. What
//! the keys of an index share is cut off once; of what follows, the first eight bytes nearly always decide. Those are a
//! few kilobytes in one array. Where they do not decide, the keys themselves are compared.

use std::ops::Range;

/// The starts of sorted keys behind their common prefix.
pub struct Heads {
    common: Box<[u8]>,
    heads: Box<[u64]>,
}

/// The first eight bytes as a number that sorts like them; zeros where there are fewer.
#[inline]
fn head(bytes: &[u8]) -> u64 {
    if let Some(start) = bytes.first_chunk() {
        return u64::from_be_bytes(*start);
    }
    let mut start = [0; 8];
    start.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(start)
}

impl Heads {
    /// Of `keys`, which ascend; the last of them is `last`.
    pub fn new<'a>(mut keys: impl Iterator<Item = &'a [u8]> + Clone, last: &[u8]) -> Heads {
        let first = keys.clone().next().unwrap_or_default();
        let length = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let common = first.get(..length).unwrap_or_default();
        let heads = keys.by_ref().map(|key| head(key.get(length..).unwrap_or_default())).collect();
        Heads { common: common.into(), heads }
    }

    /// Of the keys, those that may be `key`: all before are smaller, all behind are larger.
    #[inline]
    pub fn near(&self, key: &[u8]) -> Range<usize> {
        let Some(rest) = key.strip_prefix(&*self.common) else {
            let all = if *key < *self.common { 0 } else { self.heads.len() };
            return all..all;
        };
        let head = head(rest);
        let start = self.heads.partition_point(|&other| other < head);
        let same = self.heads.get(start..).unwrap_or_default().iter().take_while(|&&other| other == head);
        start..start + same.count()
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Heads>() + self.common.len() + self.heads.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&[u8]]) {
        let heads = Heads::new(keys.iter().copied(), keys.last().copied().unwrap_or_default());
        let mut probes: Vec<Vec<u8>> = vec![Vec::new(), vec![0xff; 20]];
        for key in keys {
            probes.push(key.to_vec());
            probes.push([key, &[0][..]].concat());
            probes.push([key, &[0xff; 9][..]].concat());
            probes.push(key.get(..key.len() / 2).unwrap_or_default().to_vec());
        }
        for probe in probes {
            let near = heads.near(&probe);
            assert!(keys[..near.start].iter().all(|key| *key < probe.as_slice()), "{probe:?} in {keys:?}");
            assert!(keys[near.end..].iter().all(|key| *key > probe.as_slice()), "{probe:?} in {keys:?}");
        }
    }

    #[test]
    fn what_is_not_near_is_smaller_or_larger() {
        check(&[]);
        check(&[b""]);
        check(&[b"", b"\0", b"\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0", b"a"]);
        check(&[b"one key alone"]);
        check(&[b"pre", b"pre\0", b"prefix", b"prefix\0", b"prefix12345678", b"prefix123456789", b"prex"]);
        check(&[b"same", b"same", b"same", b"samf"]);
        check(&[
            b"a",
            b"b",
            b"c\xff\xff\xff\xff\xff\xff\xff\xff",
            b"c\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"d",
        ]);
    }
}
