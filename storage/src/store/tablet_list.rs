//! The file `TABLETS`: which tablets a store has beside the first, and which it had. See FORMAT.md, "TABLETS".
//!
//! It is replaced whole, by rename, whenever a tablet comes or goes, and that is the moment at which it does: a directory it
//! does not name is no tablet yet, or none any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::coding::{put_varint, take, take_u32, take_u64, take_varint, u32_at};
use crate::error::{Error, Result};
use crate::limits::{TABLET_LIST_BYTES_MAX, TABLETS_MAX};
use crate::manifest::current::write_by_rename;
use crate::tablet::TabletId;
use crate::vfs::Vfs;
use crate::wal::header::FORMAT_VERSION_TABLETS;

/// Its name.
pub(crate) const TABLETS_FILE: &str = "TABLETS";
/// Its first bytes.
pub(crate) const TABLETS_MAGIC: [u8; 8] = *b"SHEAFTAB";

/// The tablets of a store, the first aside, which is always there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TabletList {
    /// Those that exist.
    live: BTreeSet<TabletId>,
    /// Those that did, as runs of ids that follow each other: the first of a run, and its last.
    dropped: BTreeMap<u64, u64>,
}

impl TabletList {
    /// Those that exist, the first aside.
    pub(crate) fn live(&self) -> impl Iterator<Item = TabletId> + '_ {
        self.live.iter().copied()
    }

    /// Runs of dropped ids, each with its last.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (TabletId, TabletId)> + '_ {
        self.dropped.iter().map(|(&first, &last)| (TabletId(first), TabletId(last)))
    }

    /// Whether a tablet exists.
    pub(crate) fn is_live(&self, id: TabletId) -> bool {
        id == TabletId::FIRST || self.live.contains(&id)
    }

    /// Whether a tablet was dropped.
    pub(crate) fn is_dropped(&self, id: TabletId) -> bool {
        self.dropped.range(..=id.0).next_back().is_some_and(|(_, &last)| id.0 <= last)
    }

    /// The list with one tablet more; refused if there is or was one of this id, or there are too many.
    pub(crate) fn with(&self, id: TabletId) -> Result<TabletList> {
        if self.is_live(id) {
            return Err(Error::TabletExists(id));
        }
        if self.is_dropped(id) {
            return Err(Error::TabletDropped(id));
        }
        if self.live.len() + 1 >= TABLETS_MAX {
            return Err(Error::invalid(format!("a store has at most {TABLETS_MAX} tablets")));
        }
        let mut next = self.clone();
        next.live.insert(id);
        Ok(next)
    }

    /// The list with one tablet dropped.
    pub(crate) fn without(&self, id: TabletId) -> Result<TabletList> {
        if id == TabletId::FIRST {
            return Err(Error::invalid("the first tablet of a store cannot be dropped"));
        }
        self.require(id)?;
        let mut next = self.clone();
        next.live.remove(&id);
        next.add_dropped(id.0, id.0);
        Ok(next)
    }

    /// Fails if a tablet does not exist, and says whether it ever did.
    pub(crate) fn require(&self, id: TabletId) -> Result<()> {
        match (self.is_live(id), self.is_dropped(id)) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::TabletDropped(id)),
            (false, false) => Err(Error::TabletUnknown(id)),
        }
    }

    /// Adds a run of dropped ids, joined with those it touches.
    fn add_dropped(&mut self, mut first: u64, mut last: u64) {
        if let Some((&before, &end)) = self.dropped.range(..first).next_back()
            && end.saturating_add(1) >= first
        {
            (first, last) = (before, last.max(end));
        }
        if let Some(end) = last.checked_add(1).and_then(|next| self.dropped.remove(&next)) {
            last = end;
        }
        self.dropped.insert(first, last);
    }

    /// The stored form.
    pub(crate) fn encode(&self, identity: u128) -> Vec<u8> {
        let mut out = TABLETS_MAGIC.to_vec();
        out.extend_from_slice(&FORMAT_VERSION_TABLETS.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&identity.to_le_bytes());
        put_varint(&mut out, self.live.len() as u64);
        self.live.iter().for_each(|id| put_varint(&mut out, id.0));
        put_varint(&mut out, self.dropped.len() as u64);
        for (&first, &last) in &self.dropped {
            put_varint(&mut out, first);
            put_varint(&mut out, last);
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads the stored form and the identity in it; `None` if it is none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(u128, TabletList)> {
        let (mut rest, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if u32_at(sum, 0) != Some(crc32c::crc32c(rest)) || take(&mut rest, 8)? != TABLETS_MAGIC {
            return None;
        }
        if take_u32(&mut rest)? != FORMAT_VERSION_TABLETS || take_u32(&mut rest)? != 0 {
            return None;
        }
        let (low, high) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
        let mut list = TabletList::default();
        let mut previous = 0;
        for _ in 0..take_varint(&mut rest)? {
            let id = take_varint(&mut rest)?;
            // Ascending, so that a list has one form only; the first tablet is not in it.
            (id > previous && list.live.len() < TABLETS_MAX).then_some(())?;
            list.live.insert(TabletId(id));
            previous = id;
        }
        let mut free = 1;
        for _ in 0..take_varint(&mut rest)? {
            let (first, last) = (take_varint(&mut rest)?, take_varint(&mut rest)?);
            let apart = list.live.range(TabletId(first)..).next().is_none_or(|live| live.0 > last);
            (first >= free && first <= last && apart).then_some(())?;
            list.dropped.insert(first, last);
            free = last.saturating_add(2);
        }
        rest.is_empty().then_some(((u128::from(high) << 64) | u128::from(low), list))
    }

    /// Replaces the file in a store's directory, durably.
    pub(crate) fn write(&self, vfs: &dyn Vfs, directory: &Path, identity: u128) -> Result<()> {
        write_by_rename(vfs, directory, TABLETS_FILE, &self.encode(identity))
    }

    /// Reads the file in a store's directory, which must be there.
    pub(crate) fn read(vfs: &dyn Vfs, directory: &Path, identity: u128) -> Result<TabletList> {
        let path = directory.join(TABLETS_FILE);
        let file = match vfs.open_read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::corruption(
                    &path,
                    0,
                    "the file is missing, and the store has several tablets",
                ));
            }
            opened => opened.map_err(|error| Error::io("open", &path, error))?,
        };
        let length = file.len().map_err(|error| Error::io("measure", &path, error))?;
        let damaged = || Error::corruption(&path, 0, "it is not a list of tablets");
        let size = usize::try_from(length).ok().filter(|_| length <= TABLET_LIST_BYTES_MAX);
        let mut bytes = vec![0; size.ok_or_else(damaged)?];
        file.read_exact_at(0, &mut bytes).map_err(|error| Error::io("read", &path, error))?;
        match TabletList::decode(&bytes) {
            Some((found, list)) if found == identity => Ok(list),
            Some(_) => Err(Error::corruption(&path, 16, "the file belongs to another store")),
            None => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_and_every_flipped_bit_is_noticed() {
        let mut list = TabletList::default();
        for id in [1, 2, 3, 5, 900, u64::MAX].map(TabletId) {
            list = list.with(id).unwrap();
        }
        for id in [2, 1, 5, u64::MAX].map(TabletId) {
            list = list.without(id).unwrap();
        }
        let bytes = list.encode(9);
        assert_eq!(TabletList::decode(&bytes), Some((9, list)));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(TabletList::decode(&damaged), None);
        }
        for length in 0..bytes.len() {
            assert_eq!(TabletList::decode(&bytes[..length]), None);
        }
    }

    #[test]
    fn a_list_has_one_form_only() {
        let encoded = |live: &[u64], dropped: &[(u64, u64)]| {
            let list = TabletList {
                live: live.iter().copied().map(TabletId).collect(),
                dropped: dropped.iter().copied().collect(),
            };
            TabletList::decode(&list.encode(7)).map(|(_, found)| found == list)
        };
        assert_eq!(encoded(&[4, 9], &[(1, 3), (5, 5), (7, 8)]), Some(true));
        assert_eq!(encoded(&[4], &[(1, 2), (3, 3)]), None, "they adjoin, and are one");
        assert_eq!(encoded(&[4], &[(1, 2), (2, 3)]), None, "they overlap");
        assert_eq!(encoded(&[4], &[(3, 2)]), None, "it ends before it begins");
        assert_eq!(encoded(&[4], &[(3, 4)]), None, "what is there is not gone");
        assert_eq!(encoded(&[0], &[]), None, "the first is not in it");
        assert_eq!(encoded(&[], &[(0, 1)]), None, "nor ever dropped");
    }

    #[test]
    fn ids_are_given_once() {
        let mut list = TabletList::default();
        for id in 1..=20 {
            list = list.with(TabletId(id)).unwrap();
        }
        assert!(matches!(list.with(TabletId(7)), Err(Error::TabletExists(TabletId(7)))));
        assert!(matches!(list.with(TabletId::FIRST), Err(Error::TabletExists(TabletId::FIRST))));
        assert!(matches!(list.without(TabletId::FIRST), Err(Error::InvalidInput(_))));
        assert!(matches!(list.without(TabletId(21)), Err(Error::TabletUnknown(TabletId(21)))));
        for id in [3, 5, 4, 9, 8, 20, 1, 2] {
            list = list.without(TabletId(id)).unwrap();
            assert!(matches!(list.with(TabletId(id)), Err(Error::TabletDropped(_))));
            assert!(matches!(list.without(TabletId(id)), Err(Error::TabletDropped(_))));
        }
        let runs: Vec<_> = list.dropped().map(|(first, last)| (first.0, last.0)).collect();
        assert_eq!(runs, [(1, 5), (8, 9), (20, 20)]);
    }

    #[test]
    fn there_are_no_more_tablets_than_the_limit() {
        let mut list = TabletList::default();
        for id in 1..TABLETS_MAX as u64 {
            list.live.insert(TabletId(id));
        }
        assert!(matches!(list.with(TabletId(1 << 40)), Err(Error::InvalidInput(_))));
        list.without(TabletId(8)).unwrap().with(TabletId(1 << 40)).unwrap();
    }
}
