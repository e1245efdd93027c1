//! The documents of the suites: about 1 KB each, the same for the same number, and what queries find among them.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use crate::meter::mix;

/// Distinct values of `city`, evenly used.
pub const CITIES: u64 = 50;
/// Distinct values of `profile.level`, evenly used.
pub const LEVELS: u64 = 100;
/// Documents of an account.
pub const ACCOUNT_DOCUMENTS: u64 = 10;
/// `score` is below this.
pub const SCORES: u64 = 1_000_000;

/// A number that is known to be small, as BSON has it.
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Which account the document is of, if there are so many documents.
pub fn account(number: u64, documents: u64) -> u64 {
    number % accounts(documents)
}

/// How many accounts so many documents have.
pub fn accounts(documents: u64) -> u64 {
    (documents / ACCOUNT_DOCUMENTS).max(1)
}

/// How many of the numbers below `documents` are congruent to `remainder` (which is below `modulus`).
pub fn congruent(documents: u64, remainder: u64, modulus: u64) -> u64 {
    documents.saturating_sub(remainder).div_ceil(modulus)
}

/// Document `number` of so many.
pub fn document(number: u64, documents: u64) -> RawDocumentBuf {
    let random = mix(number);
    let mut builder = DocumentBuilder::with_capacity(1_200);
    builder.append("_id", integer(number));
    builder.append("account", integer(account(number, documents)));
    builder.append("name", format!("person {:016x}", mix(random)));
    builder.append("city", format!("city {}", number % CITIES));
    builder.append("score", integer(random % SCORES));
    builder.append("balance", f64::from(u32::try_from(random >> 40).unwrap_or_default()) / 100.0);
    builder.append("active", random & 1 == 1);
    builder.append("visits", 0_i64);
    builder.document("profile", |profile| {
        profile.append("level", integer(number % LEVELS));
        profile.append("language", if random & 2 == 0 { "en" } else { "no" });
        profile.document("address", |address| {
            address.append("street", format!("{} Long Street", random % 500));
            address.append("zip", integer(random % 10_000));
        });
    });
    builder.array("tags", |tags| {
        for tag in 0..5 {
            tags.push(format!("tag{}", mix(random ^ tag) % 200));
        }
    });
    builder.append("notes", prose(random));
    builder.build()
}

/// Half random letters, half words, so that it compresses as text does.
fn prose(seed: u64) -> String {
    let mut text = String::with_capacity(700);
    let mut at = seed;
    while text.len() < 650 {
        at = mix(at);
        text.push_str(&format!("{at:016x} and then some "));
    }
    text
}

/// A document of one field.
pub fn one<'v>(key: &str, value: impl Into<Value<'v>>) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    builder.append(key, value);
    builder.build()
}

/// `{outer: {inner: value}}`.
pub fn nested<'v>(outer: &str, inner: &str, value: impl Into<Value<'v>>) -> RawDocumentBuf {
    one(outer, one(inner, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_about_a_kilobyte_and_repeatable() {
        for number in [0, 1, 999, 123_456] {
            let made = document(number, 1_000_000);
            assert!((900..1_150).contains(&made.as_bytes().len()), "{}", made.as_bytes().len());
            assert_eq!(made.as_bytes(), document(number, 1_000_000).as_bytes());
        }
    }

    #[test]
    fn congruent_counts_what_a_loop_counts() {
        for documents in [0, 1, 7, 100, 1_003] {
            for remainder in 0..7 {
                let counted = (0..documents).filter(|number| number % 7 == remainder).count();
                assert_eq!(congruent(documents, remainder, 7), u64::try_from(counted).unwrap());
            }
        }
    }
}
