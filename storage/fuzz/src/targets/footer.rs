//! A footer with a right checksum over the fuzzer's fields, and sealed blocks with a right checksum over the fuzzer's
//! bytes: refused, or within the file and of the length they claim.

use std::path::Path;

use sheaf_storage::coding::block_checksum;
use sheaf_storage::sstable::footer::{FOOTER_BYTES, Footer, SSTABLE_MAGIC};
use sheaf_storage::sstable::sealed::{BlockType, unseal};

use super::choices::Choices;

const FILE: u64 = 7;

fn footer(choices: &mut Choices<'_>) {
    let file_bytes = choices.short() as u64;
    let mut bytes = choices.rest().to_vec();
    bytes.resize(FOOTER_BYTES - 16, 0);
    let checksum = block_checksum(FILE, 0, &bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&SSTABLE_MAGIC);
    let Ok(footer) = Footer::read(&bytes, Path::new("x.sst"), file_bytes, FILE) else { return };
    for handle in [footer.index, footer.filter, footer.range_tombstones, footer.properties] {
        assert!(handle.end().is_some_and(|end| end <= file_bytes), "a block outside of its file");
    }
    let mut again = Vec::new();
    footer.put(&mut again);
    assert_eq!(again, bytes, "a footer that does not come back");
}

fn sealed(choices: &mut Choices<'_>) {
    let offset = choices.short() as u64;
    let mut bytes = choices.rest().to_vec();
    // What a block claims to be long is bounded, so that the fuzzer does not spend its time on clearing memory.
    if let Some(high) = bytes.len().checked_sub(3).and_then(|at| bytes.get_mut(at)) {
        *high = 0;
    }
    bytes.extend_from_slice(&block_checksum(FILE, offset, &bytes).to_le_bytes());
    for kind in [BlockType::Data, BlockType::Index, BlockType::Blob] {
        let _ = unseal(&bytes, kind, FILE, offset, None);
    }
}

/// One input.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.byte().is_multiple_of(2) { footer(&mut choices) } else { sealed(&mut choices) }
}
