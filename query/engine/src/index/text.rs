//! Text indexes: the terms that stand in their entries.

use std::borrow::Cow;

/// Longest term that is kept as it is, in bytes. Text without white space, such as an encoded picture, makes longer
/// ones.
const TERM_BYTES_MAX: usize = 128;

/// Bytes of a longer term that are kept, in front of its hash.
const TERM_PREFIX_BYTES: usize = 96;

/// A term as entries have it. Two long terms that fall together cost a look at a document, no more: the text decides.
pub(crate) fn term_key(term: &str) -> Cow<'_, str> {
    if term.len() <= TERM_BYTES_MAX {
        return Cow::Borrowed(term);
    }
    let mut end = TERM_PREFIX_BYTES;
    while !term.is_char_boundary(end) {
        end -= 1;
    }
    let hash = xxhash_rust::xxh3::xxh3_128(term.as_bytes());
    Cow::Owned(format!("{}{hash:032x}", term.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_terms_are_cut_and_stay_apart() {
        assert_eq!(term_key("fox"), "fox");
        let (one, other) = ("é".repeat(5_000), "é".repeat(5_001));
        assert_ne!(term_key(&one), term_key(&other));
        assert!(term_key(&one).len() <= TERM_BYTES_MAX);
        assert_eq!(term_key(&one), term_key(&one.clone()));
    }
}
