//! The hash that hashed indexes order by, and that `$toHashedIndexKey` shows.

use sheaf_document::ValueRef;

/// The hash of a value. Numbers that are equal hash alike, whatever their types: the hash is that of the bytes by
/// which an index would order the value (XXH3, Collet 2019).
pub fn hashed_index_key(value: ValueRef<'_>) -> i64 {
    let mut bytes = Vec::with_capacity(32);
    sheaf_document::key::encode(value, false, None, &mut bytes);
    xxhash_rust::xxh3::xxh3_64(&bytes).cast_signed()
}
