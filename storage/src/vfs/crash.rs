//! What a power cut leaves of a [`MemoryVfs`].
//!
//! Each block of a file beyond its synced length, and each change of names since a directory's sync, survives by
//! itself with the given probability, in no order: disks and file systems promise none. A lost block that lies before
//! a surviving one reads as zeros; behind the last survivor the file ends, or (as when a file system wrote the new
//! length before the bytes) goes on with zeros. A rename survives or is lost as a whole.

use std::sync::{Arc, PoisonError};

use super::memory::{Content, Directory, Inode, MemoryVfs, Tree};

/// Bytes that a disk writes whole or not at all.
const TORN_BLOCK_BYTES: usize = 512;

/// A small generator of random numbers (splitmix64): same seed, same numbers.
struct Dice {
    /// Where the sequence stands.
    state: u64,
}

impl Dice {
    /// The next number.
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in `percent` of 100 cases.
    fn happens(&mut self, percent: u8) -> bool {
        self.roll() % 100 < u64::from(percent)
    }
}

impl MemoryVfs {
    /// A file system as this one might look after a power cut now. Each unsynced piece survives with
    /// `survive_percent`; 0 keeps exactly what was synced, 100 keeps everything (as a killed process does).
    pub fn crash_clone(&self, seed: u64, survive_percent: u8) -> MemoryVfs {
        let _moment = self.shared.moment.write().unwrap_or_else(PoisonError::into_inner);
        let mut dice = Dice { state: seed };
        let clone = MemoryVfs::new();
        let tree = self.shared.tree();
        let mut surviving = Tree::default();
        // One inode may have several names; each is torn once.
        let mut torn: Vec<(*const Inode, Arc<Inode>)> = Vec::new();
        // Removals that are lost bring their directories back; a name is either there or removed, never both.
        let removed = tree.removed.iter().filter(|_| !dice.happens(survive_percent)).collect::<Vec<_>>();
        let mut directories: Vec<_> = tree.directories.iter().chain(removed).collect();
        // Parents before what is in them.
        directories.sort_by_key(|(path, _)| *path);
        for (path, directory) in directories {
            let parent_survived = path.parent().is_none_or(|parent| {
                parent.as_os_str().is_empty() || surviving.directories.contains_key(parent)
            });
            if !parent_survived || !(directory.durable || dice.happens(survive_percent)) {
                continue;
            }
            let mut names = directory.synced.clone();
            for change in &directory.pending {
                if dice.happens(survive_percent) {
                    change.apply_to(&mut names);
                }
            }
            let mut copy = Directory { durable: true, ..Directory::default() };
            for (name, inode) in names {
                let known = torn.iter().find(|(original, _)| *original == Arc::as_ptr(&inode));
                let after = match known {
                    Some((_, after)) => Arc::clone(after),
                    None => {
                        let after = Arc::new(tear(&inode, &mut dice, survive_percent));
                        torn.push((Arc::as_ptr(&inode), Arc::clone(&after)));
                        after
                    }
                };
                copy.live.insert(name.clone(), Arc::clone(&after));
                copy.synced.insert(name, after);
            }
            surviving.directories.insert(path.clone(), copy);
        }
        drop(tree);
        *clone.shared.tree() = surviving;
        clone.shared.identities.store(seed | 1, std::sync::atomic::Ordering::Relaxed);
        clone
    }
}

/// What is left of a file.
fn tear(inode: &Inode, dice: &mut Dice, survive_percent: u8) -> Inode {
    let content = inode.content.read().unwrap_or_else(PoisonError::into_inner);
    let (synced, unsynced) = content.bytes.split_at_checked(content.synced).unwrap_or((&content.bytes, &[]));
    let mut bytes = synced.to_vec();
    let mut end = bytes.len();
    // Blocks are aligned to the file, so the first one may hold synced bytes too.
    let first = TORN_BLOCK_BYTES - synced.len() % TORN_BLOCK_BYTES;
    let (head, rest) = unsynced.split_at_checked(first).unwrap_or((unsynced, &[]));
    for block in std::iter::once(head).chain(rest.chunks(TORN_BLOCK_BYTES)) {
        if dice.happens(survive_percent) {
            bytes.extend_from_slice(block);
            end = bytes.len();
        } else {
            bytes.resize(bytes.len() + block.len(), 0);
        }
    }
    if !dice.happens(survive_percent / 2) {
        bytes.truncate(end.max(content.synced_length));
    }
    Inode { content: Content::durable(bytes).into() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::vfs::Vfs;

    fn with_file(steps: impl FnOnce(&MemoryVfs)) -> MemoryVfs {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/d")).unwrap();
        vfs.sync_dir(Path::new("/")).unwrap();
        steps(&vfs);
        vfs
    }

    #[test]
    fn without_a_directory_sync_the_name_is_lost() {
        let vfs = with_file(|vfs| {
            let file = vfs.create(Path::new("/d/a")).unwrap();
            file.append(b"x").unwrap();
            file.sync().unwrap();
        });
        assert!(vfs.crash_clone(1, 0).open_read(Path::new("/d/a")).is_err());
        assert_eq!(vfs.crash_clone(1, 100).contents(Path::new("/d/a")).unwrap(), b"x");
        vfs.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(vfs.crash_clone(1, 0).contents(Path::new("/d/a")).unwrap(), b"x");
    }

    #[test]
    fn unsynced_bytes_tear_in_blocks() {
        let vfs = with_file(|vfs| {
            let file = vfs.create(Path::new("/d/a")).unwrap();
            vfs.sync_dir(Path::new("/d")).unwrap();
            file.append(&[1; 100]).unwrap();
            file.sync().unwrap();
            file.append(&[2; 5000]).unwrap();
        });
        let path = Path::new("/d/a");
        assert_eq!(vfs.crash_clone(3, 0).contents(path).unwrap(), [1; 100]);
        assert_eq!(vfs.crash_clone(3, 100).contents(path).unwrap().len(), 5100);
        let mut holes = 0;
        for seed in 0..50 {
            let bytes = vfs.crash_clone(seed, 50).contents(path).unwrap();
            assert_eq!(bytes[..100], [1; 100]);
            for (at, byte) in bytes.iter().enumerate().skip(100) {
                let block_start = (at / 512 * 512).max(100);
                assert_eq!(*byte, bytes[block_start], "a block is kept or lost whole");
            }
            holes += u32::from(bytes.windows(2).any(|pair| pair == [0, 2]));
        }
        assert!(holes > 10);
    }

    #[test]
    fn what_was_written_into_synced_room_is_lost_as_zeros() {
        let path = Path::new("/d/a");
        let vfs = with_file(|vfs| {
            let file = vfs.create(path).unwrap();
            vfs.sync_dir(Path::new("/d")).unwrap();
            file.append(&[1; 100]).unwrap();
            file.reserve(2000).unwrap();
            file.sync().unwrap();
            file.append(&[2; 1500]).unwrap();
            assert_eq!(file.len().unwrap(), 2100);
        });
        let lost = vfs.crash_clone(1, 0).contents(path).unwrap();
        assert_eq!((lost.len(), &lost[..100]), (2100, &[1; 100][..]));
        assert!(lost[100..].iter().all(|byte| *byte == 0));
        let kept = vfs.crash_clone(1, 100).contents(path).unwrap();
        assert_eq!((kept[99], kept[100], kept[1599], kept[1600], kept.len()), (1, 2, 2, 0, 2100));
        let file = vfs.open_append(path).unwrap();
        file.append(b"x").unwrap();
        assert_eq!(file.len().unwrap(), 2101);
    }

    #[test]
    fn a_removed_directory_may_come_back_until_its_parent_is_synced() {
        let vfs = with_file(|vfs| vfs.create_dir(Path::new("/d/e")).unwrap());
        vfs.create(Path::new("/d/e/a")).unwrap();
        assert!(vfs.remove_dir(Path::new("/d/e")).is_err());
        vfs.remove(Path::new("/d/e/a")).unwrap();
        let there = |vfs: &MemoryVfs, survive| vfs.crash_clone(1, survive).list(Path::new("/d/e")).is_ok();
        vfs.sync_dir(Path::new("/d")).unwrap();
        vfs.sync_dir(Path::new("/d/e")).unwrap();
        vfs.remove_dir(Path::new("/d/e")).unwrap();
        assert!(vfs.list(Path::new("/d/e")).is_err());
        assert!(there(&vfs, 0) && !there(&vfs, 100));
        vfs.sync_dir(Path::new("/d")).unwrap();
        assert!(!there(&vfs, 0));
    }

    #[test]
    fn a_rename_is_atomic() {
        let vfs = with_file(|vfs| {
            for (name, content) in [("old", b"1"), ("new", b"2")] {
                let file = vfs.create(&Path::new("/d").join(name)).unwrap();
                file.append(content).unwrap();
                file.sync().unwrap();
            }
            vfs.sync_dir(Path::new("/d")).unwrap();
            vfs.rename(Path::new("/d/new"), Path::new("/d/old")).unwrap();
        });
        for seed in 0..40 {
            let clone = vfs.crash_clone(seed, 50);
            let renamed = clone.contents(Path::new("/d/new")).is_err();
            assert_eq!(clone.contents(Path::new("/d/old")).unwrap(), if renamed { b"2" } else { b"1" });
        }
    }
}
