//! `memcmp(encode(a), encode(b))` is `compare(a, b)`, and keys with their type bits give values back.

use std::cmp::Ordering;

use super::{decode, encode, type_bits};
use crate::{
    ArrayBuilder, Decimal128, DocumentBuilder, ObjectId, RawDocumentBuf, Regex, Timestamp, ValueRef,
    compare_refs, scalar::Binary,
};

/// A repeatable stream of choices (splitmix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const INTEGERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    9,
    10,
    255,
    256,
    -256,
    65_535,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    1 << 53,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
    1_000_000_000_000_000_000,
];

const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    0.1,
    0.5,
    1.0,
    1.5,
    2.0,
    -1.5,
    9_007_199_254_740_992.0,
    9_007_199_254_740_993.0,
    9.223372036854776e18,
    -9.223372036854776e18,
    1e19,
    1e300,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    0.1 + 0.2,
    1e-7,
    123_456.789,
    255.99999999999997,
];

const DECIMALS: &[&str] = &[
    "0",
    "-0",
    "0.00",
    "1",
    "1.0",
    "1.00",
    "0.1",
    "0.3",
    "0.30000000000000004",
    "1.5",
    "-1.5",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775807.5",
    "-9223372036854775808",
    "1E+19",
    "1E-7",
    "9.999999999999999999999999999999999E+6144",
    "1E-6176",
    "-1E-6176",
    "NaN",
    "Infinity",
    "-Infinity",
    "255.9",
    "0.1000000000000000055511151231257827",
    "0.1000000000000000055511151231257828",
    "5E-324",
    "4.9E-324",
    "123456.789",
    "1.000000000000000000000000000000001",
    "65536.00000000000000000000000000001",
];

const TEXTS: &[&str] = &["", "a", "A", "ab", "a\0", "a\0b", "\0", "\u{ff}", "é", "z", "\u{10FFFF}", "\u{1}"];

/// Puts one value into a builder under a name.
fn put(builder: &mut DocumentBuilder, name: &str, choices: &mut Choices, depth: u32) {
    let kinds = if depth == 0 { 19 } else { 22 };
    let text = choices.pick(TEXTS);
    let clean = text.replace('\0', "_");
    let value = match choices.below(kinds) {
        0 => ValueRef::MinKey,
        1 => ValueRef::Undefined,
        2 => ValueRef::Null,
        3 => ValueRef::Int32(i32::try_from(choices.pick(INTEGERS)).unwrap_or(7)),
        4 => ValueRef::Int64(choices.pick(INTEGERS)),
        5 => ValueRef::Int64(choices.next().cast_signed() >> choices.below(63)),
        6 => ValueRef::Double(choices.pick(DOUBLES)),
        7 => ValueRef::Double(f64::from_bits(choices.next())),
        8 => ValueRef::Decimal128(Decimal128::parse(choices.pick(DECIMALS)).unwrap()),
        9 => {
            let digits = choices.next().cast_signed() >> choices.below(60);
            let places = choices.below(25);
            ValueRef::Decimal128(Decimal128::parse(&format!("{digits}E-{places}")).unwrap())
        }
        10 => ValueRef::String(text),
        11 => ValueRef::Symbol(text),
        12 => ValueRef::Binary(Binary { subtype: choices.pick(&[0, 4, 128]), bytes: text.as_bytes() }),
        13 => ValueRef::ObjectId(ObjectId([choices.pick(&[0, 1, 255]); 12])),
        14 => ValueRef::Boolean(choices.below(2) == 1),
        15 => ValueRef::DateTime(choices.pick(INTEGERS)),
        16 => ValueRef::Timestamp(Timestamp::from_u64(choices.next())),
        17 => ValueRef::Regex(Regex { pattern: &clean, options: choices.pick(&["", "i"]) }),
        18 => ValueRef::MaxKey,
        19 => {
            builder.document(name, |inner| fill(inner, choices, depth - 1));
            return;
        }
        20 => {
            let mut inner = DocumentBuilder::new();
            fill(&mut inner, choices, depth - 1);
            let mut array = ArrayBuilder::new();
            for element in inner.build().as_raw() {
                array.push_element(element);
            }
            let array = array.build();
            builder.append_ref(name, ValueRef::Array(array.as_raw_array()));
            return;
        }
        _ => {
            let scope = RawDocumentBuf::new();
            builder.append_ref(name, ValueRef::JavaScriptWithScope { code: text, scope: scope.as_raw() });
            return;
        }
    };
    builder.append_ref(name, value);
}

fn fill(builder: &mut DocumentBuilder, choices: &mut Choices, depth: u32) {
    for _ in 0..choices.below(4) {
        let name = choices.pick(&["a", "b", "ab", "", "é"]);
        put(builder, name, choices, depth);
    }
}

fn holder(choices: &mut Choices) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    put(&mut builder, "v", choices, 2);
    builder.build()
}

fn encoded(value: ValueRef<'_>, descending: bool) -> Vec<u8> {
    let mut key = Vec::new();
    encode(value, descending, None, &mut key);
    key
}

fn check_pair(left: ValueRef<'_>, right: ValueRef<'_>) {
    let order = compare_refs(left, right, None);
    assert_eq!(encoded(left, false).cmp(&encoded(right, false)), order, "{left:?} against {right:?}");
    assert_eq!(
        encoded(left, true).cmp(&encoded(right, true)),
        order.reverse(),
        "{left:?} against {right:?}, down"
    );
    if order != Ordering::Equal {
        let (up, other) = (encoded(left, false), encoded(right, false));
        assert!(!up.starts_with(&other) && !other.starts_with(&up), "no key is the start of another");
    }
}

#[test]
fn deep_key_order() {
    let pairs = if std::env::var_os("SHEAF_DEEP").is_some() { 1_000_000 } else { 60_000 };
    let mut choices = Choices(7);
    let mut equal = 0u64;
    for _ in 0..pairs {
        let (left, right) = (holder(&mut choices), holder(&mut choices));
        let (left, right) = (left.as_raw().get("v").unwrap(), right.as_raw().get("v").unwrap());
        equal += u64::from(compare_refs(left, right, None).is_eq());
        check_pair(left, right);
    }
    assert!(equal > pairs / 500, "the generator makes equal pairs of different types: {equal}");
    println!("stage key_order: {pairs} pairs, {equal} of them equal");
}

#[test]
fn every_number_against_every_other() {
    let mut numbers: Vec<ValueRef<'_>> = INTEGERS.iter().map(|number| ValueRef::Int64(*number)).collect();
    numbers.extend(
        DOUBLES
            .iter()
            .flat_map(|number| [number.next_down(), *number, number.next_up()].map(ValueRef::Double)),
    );
    numbers.extend(DECIMALS.iter().map(|text| ValueRef::Decimal128(Decimal128::parse(text).unwrap())));
    for left in &numbers {
        for right in &numbers {
            check_pair(*left, *right);
        }
    }
}

#[test]
fn values_come_back_to_the_bit() {
    let mut choices = Choices(11);
    for round in 0..20_000 {
        let document = holder(&mut choices);
        let element = document.as_raw().first().unwrap();
        let descending = round % 2 == 1;
        let (mut key, mut bits) = (encoded(element.value(), descending), Vec::new());
        type_bits(element.value(), &mut bits);
        key.extend_from_slice(b"rest");
        let (mut key_rest, mut bits_rest) = (key.as_slice(), bits.as_slice());
        let value = decode(&mut key_rest, descending, &mut bits_rest).unwrap();
        assert_eq!((key_rest, bits_rest), (&b"rest"[..], &[][..]), "{:?}", element.value());
        let mut again = Vec::new();
        value.as_ref().unwrap().write_to(&mut again);
        assert_eq!(value.kind(), Some(element.kind()));
        assert_eq!(again, element.value_bytes(), "{:?}", element.value());
    }
}

#[test]
fn broken_keys_are_errors() {
    let mut choices = Choices(13);
    for _ in 0..3_000 {
        let document = holder(&mut choices);
        let value = document.as_raw().get("v").unwrap();
        let (mut key, mut bits) = (encoded(value, false), Vec::new());
        type_bits(value, &mut bits);
        // Cut off, it is always an error.
        let cut = usize::try_from(choices.below(key.len() as u64)).unwrap();
        assert!(decode(&mut &key[..cut], false, &mut bits.as_slice()).is_err());
        // Changed, it is another value or an error, but never a panic.
        let place = usize::try_from(choices.below(key.len() as u64)).unwrap();
        key[place] ^= 1 << choices.below(8);
        let _ = decode(&mut key.as_slice(), false, &mut bits.as_slice());
    }
}

#[test]
fn the_worked_examples_of_the_format() {
    assert_eq!(encoded(ValueRef::Int32(300), false), [0x33, 0x01, 0x2C, 0x00]);
    let minus = [0x2E, 0xFE, 0xFE, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(encoded(ValueRef::Double(-1.5), false), minus);
    assert_eq!(encoded(ValueRef::String("a\0b"), false), [0x40, b'a', 0x01, 0x01, b'b', 0x00]);
}
