//! The promises of the key encoding: keys order as values do, in both directions and concatenated; nothing is the
//! beginning of something else; a key with its type bits gives the very value back.

use std::cmp::Ordering;

use sheaf_document::key::{decode, encode, type_bits};
use sheaf_document::{Collate, DocumentBuilder, Value, compare};

use crate::generate;
use crate::random::Random;
use crate::stage::rounds;

/// Appends the key of a value and its type bits.
fn append(
    value: &Value<'_>,
    descending: bool,
    collation: Option<&dyn Collate>,
    key: &mut Vec<u8>,
    bits: &mut Vec<u8>,
) {
    let value = value.clone().to_bytes_form();
    let value = value.as_ref().unwrap();
    encode(value, descending, collation, key);
    type_bits(value, bits);
}

fn key(value: &Value<'_>, descending: bool) -> (Vec<u8>, Vec<u8>) {
    let (mut key, mut bits) = (Vec::new(), Vec::new());
    append(value, descending, None, &mut key, &mut bits);
    (key, bits)
}

/// The value as the bytes it has in a document: equal only if nothing at all differs.
fn image(value: &Value<'_>) -> Vec<u8> {
    let mut document = DocumentBuilder::new();
    document.append_value("v", value);
    document.build().into_bytes()
}

#[test]
fn deep_generated_key_order() {
    let pairs = rounds(1_000_000, 3_000_000);
    let mut random = Random(0x5EAF);
    let (mut equal, mut last) = (0usize, Value::Null);
    for _ in 0..pairs {
        let left = generate::value(&mut random, 0);
        // Every other pair is a value and a near relative of it; the rest is any two values.
        let right = if random.below(2) == 0 { generate::value(&mut random, 0) } else { last };
        let order = compare(&left, &right, None);
        for descending in [false, true] {
            let ((left_key, _), (right_key, _)) = (key(&left, descending), key(&right, descending));
            let expected = if descending { order.reverse() } else { order };
            assert_eq!(
                left_key.cmp(&right_key),
                expected,
                "{left:?} and {right:?}, descending: {descending}"
            );
            if order.is_ne() {
                assert!(!left_key.starts_with(&right_key), "{right:?} begins {left:?}");
                assert!(!right_key.starts_with(&left_key), "{left:?} begins {right:?}");
            }
        }
        equal += usize::from(order == Ordering::Equal);
        last = left;
    }
    assert!(equal > pairs / 1000, "the generator makes too few equal pairs: {equal}");
    println!("stage generated_key_order: {pairs} pairs, {equal} of them equal");
}

#[test]
fn deep_generated_key_round_trip() {
    let fields = rounds(100_000, 1_000_000);
    let mut random = Random(0xD0C5);
    for _ in 0..fields / 3 {
        let values: Vec<_> =
            (0..3).map(|_| (generate::value(&mut random, 0), random.below(2) == 1)).collect();
        let (mut key, mut bits) = (Vec::new(), Vec::new());
        for (value, descending) in &values {
            append(value, *descending, None, &mut key, &mut bits);
        }
        let (mut rest, mut bits) = (key.as_slice(), bits.as_slice());
        for (value, descending) in &values {
            let decoded = decode(&mut rest, *descending, &mut bits)
                .unwrap_or_else(|error| panic!("{value:?}: {error}"));
            assert_eq!(image(&decoded), image(value), "{decoded:?} came back for {value:?}");
        }
        assert_eq!((rest, bits), (&[][..], &[][..]));
    }
    println!("stage generated_key_round_trip: {fields} fields");
}

#[test]
fn compound_keys_order_field_by_field() {
    let mut random = Random(0xC0);
    for _ in 0..20_000 {
        let mut row = || [generate::value(&mut random, 2), generate::value(&mut random, 2)];
        let (left, right) = (row(), row());
        let encoded = |row: &[Value<'_>; 2]| {
            let (mut key, mut bits) = key(&row[0], false);
            append(&row[1], true, None, &mut key, &mut bits);
            key
        };
        let expected = compare(&left[0], &right[0], None).then_with(|| compare(&right[1], &left[1], None));
        assert_eq!(encoded(&left).cmp(&encoded(&right)), expected, "{left:?} and {right:?}");
    }
}

#[test]
fn damaged_keys_are_refused_and_never_panic() {
    let mut random = Random(0xBAD);
    for _ in 0..60_000 {
        let (mut key, mut bits) = key(&generate::value(&mut random, 0), false);
        for _ in 0..=random.below(3) {
            let at = random.below(key.len());
            key[at] = random.next() as u8;
        }
        key.truncate(random.below(key.len()) + 1);
        if let Some(byte) = bits.first_mut() {
            *byte = random.next() as u8;
        }
        let mut rest = key.as_slice();
        if decode(&mut rest, false, &mut bits.as_slice()).is_ok() {
            assert!(key.ends_with(rest));
        }
    }
    for first in 0..=u8::MAX {
        let deep = vec![first; 1_000_000];
        let decoded = decode(&mut deep.as_slice(), false, &mut [].as_slice());
        assert!(decoded.is_err() || decoded.is_ok_and(|value| value.as_document().is_none()), "{first}");
    }
}

#[test]
fn collated_keys_order_by_the_collation() {
    struct IgnoreCase;
    impl Collate for IgnoreCase {
        fn compare(&self, left: &str, right: &str) -> Ordering {
            left.to_lowercase().cmp(&right.to_lowercase())
        }
        fn sort_key(&self, text: &str, out: &mut Vec<u8>) {
            out.extend_from_slice(text.to_lowercase().as_bytes());
        }
    }
    let mut random = Random(0xABC);
    let collated = |value: &Value<'_>| {
        let (mut key, mut bits) = (Vec::new(), Vec::new());
        append(value, false, Some(&IgnoreCase), &mut key, &mut bits);
        key
    };
    for _ in 0..20_000 {
        let (left, right) = (generate::value(&mut random, 1), generate::value(&mut random, 1));
        let expected = compare(&left, &right, Some(&IgnoreCase));
        assert_eq!(collated(&left).cmp(&collated(&right)), expected, "{left:?} and {right:?}");
    }
    assert_eq!(collated(&"A".into()), collated(&"a".into()));
}
