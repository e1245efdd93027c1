//! The raw bytes of a block, filter or properties, as they are behind the checksum: what is accepted can be walked and
//! searched, and agrees with itself.

use sheaf_storage::Timestamp;
use sheaf_storage::sstable::block::{Block, BlockBytes, Position};
use sheaf_storage::sstable::filter::Filter;
use sheaf_storage::sstable::properties::Properties;

fn walk(block: &Block) {
    let mut key = Vec::new();
    for index in 0..block.entries().min(10_000) {
        key.clear();
        block.append_key(index, &mut key);
        assert!(block.key_equals(index, &key), "a key that is not itself");
        assert_eq!(block.value(index).len(), block.value_range(index).len());
        let _ = block.kind(index);
        let found = block.seek(Position { key: &key, timestamp: block.timestamp(index) });
        assert!(found <= block.entries());
    }
    for key in [&b""[..], b"m", &[0xff; 9]] {
        let at = block.seek(Position { key, timestamp: Timestamp::MAX });
        assert!(at <= block.entries());
    }
}

/// One input.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 3 {
        0 => {
            if let Ok(block) = Block::parse(BlockBytes::Heap(bytes.into())) {
                walk(&block);
            }
        }
        1 => {
            if let Ok(Some(filter)) = Filter::parse(bytes) {
                let _ = (0..64_u64)
                    .filter(|hash| filter.may_contain(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                    .count();
            }
        }
        _ => {
            if let Ok(properties) = Properties::parse(bytes) {
                let again = properties.encode();
                assert!(Properties::parse(&again).is_ok(), "properties that do not come back");
            }
        }
    }
}
