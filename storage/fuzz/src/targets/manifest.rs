//! A version edit's bytes: what is decoded encodes to an edit that decodes to the same.

use sheaf_storage::manifest::edit_codec;

/// One input.
pub fn run(data: &[u8]) {
    if let Some(edit) = edit_codec::decode(data) {
        let again = edit_codec::encode(&edit);
        assert_eq!(edit_codec::decode(&again).as_ref(), Some(&edit), "an edit that does not come back");
    }
}
