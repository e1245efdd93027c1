//! Values of every type, biased to where orders break: equal and nearly equal numbers of different types, the borders
//! of their ranges, strings with zero bytes, empty and nested documents.

use sheaf_document::{
    ArrayBuilder, ArrayValue, Decimal128, DocumentBuilder, DocumentValue, ObjectId, RawDocumentBuf,
    Timestamp, Value,
};

use crate::random::Random;

pub fn value(random: &mut Random, depth: usize) -> Value<'static> {
    match random.below(if depth < 3 { 32 } else { 26 }) {
        0..12 => number(random),
        12..16 => Value::String(text(random).into()),
        16 => Value::Symbol(text(random).into()),
        17 => random.pick(&[Value::Null, Value::Undefined, Value::MinKey, Value::MaxKey]).clone(),
        18 => Value::Boolean(random.below(2) == 1),
        19 => Value::DateTime(border(random)),
        20 => Value::Timestamp(Timestamp::from_u64(border(random).cast_unsigned())),
        21 => {
            let mut id = [0; 12];
            id[random.below(12)] = random.pick(&[0, 1, 0xFF]).to_owned();
            Value::ObjectId(ObjectId(id))
        }
        22 => binary(random),
        23 => {
            let options = *random.pick(&["", "i", "im", "imsx"]);
            Value::Regex { pattern: name(random).into(), options: options.into() }
        }
        24 => Value::DbPointer { namespace: text(random).into(), id: ObjectId([random.below(2) as u8; 12]) },
        25 => match random.below(2) {
            0 => Value::JavaScript(text(random).into()),
            _ => Value::JavaScriptWithScope {
                code: text(random).into(),
                scope: DocumentValue::Owned(document(random, depth + 1)),
            },
        },
        26..29 => document(random, depth).into(),
        29..31 => {
            let mut array = ArrayBuilder::new();
            for _ in 0..random.below(4) {
                array.push(value(random, depth + 1));
            }
            Value::Array(ArrayValue::Owned(array.build()))
        }
        _ => Value::array((0..random.below(4)).map(|_| value(random, depth + 1)).collect()),
    }
}

pub fn document(random: &mut Random, depth: usize) -> RawDocumentBuf {
    let mut document = DocumentBuilder::new();
    for _ in 0..random.below(4) {
        let name = name(random);
        document.append(&name, value(random, depth + 1));
    }
    document.build()
}

/// A name of a field: no zero bytes.
fn name(random: &mut Random) -> String {
    (*random.pick(&["", "a", "b", "ab", "\u{1}", "a\u{1}", "a\u{2}", "ß", "\u{10FFFF}"])).to_owned()
}

fn text(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(4) {
        text.push_str(random.pick::<&str>(&[
            "\0",
            "\u{1}",
            "\u{2}",
            "a",
            "b",
            "ü",
            "\u{10FFFF}",
            "longer text",
        ]));
    }
    text
}

fn binary(random: &mut Random) -> Value<'static> {
    let len = *random.pick(&[0, 1, 2, 3, 254, 255, 256]);
    let byte = *random.pick(&[0u8, 1, 255]);
    Value::Binary { subtype: *random.pick(&[0, 2, 4, 128, 255]), bytes: vec![byte; len].into() }
}

/// An integer near a border of a type or of exactness.
fn border(random: &mut Random) -> i64 {
    let exponent = *random.pick(&[0, 1, 7, 8, 14, 15, 31, 32, 52, 53, 54, 55, 62, 63]);
    let base = if exponent == 63 { i64::MIN } else { 1i64 << exponent };
    let near = base.wrapping_add(i64::try_from(random.below(5)).unwrap() - 2);
    if random.below(2) == 0 { near } else { near.wrapping_neg() }
}

fn number(random: &mut Random) -> Value<'static> {
    match random.below(8) {
        0 => Value::Int32(i32::try_from(border(random)).unwrap_or(i32::MAX)),
        1 => Value::Int64(border(random)),
        2 => Value::Double(border(random) as f64),
        3 => Value::Decimal128(border(random).into()),
        4 => Value::Double(double(random)),
        5 => Value::Decimal128(near_double(random)),
        6 => Value::Decimal128(decimal(random)),
        _ => {
            let small = i32::try_from(random.below(7)).unwrap() - 3;
            match random.below(4) {
                0 => Value::Int32(small),
                1 => Value::Int64(small.into()),
                2 => Value::Double(f64::from(small) / 2.0),
                _ => Value::Decimal128(Decimal128::from(small) / Decimal128::from(2)),
            }
        }
    }
}

fn double(random: &mut Random) -> f64 {
    let base = *random.pick(&[
        0.0,
        -0.0,
        0.1,
        0.3,
        1.5,
        1e15,
        1e23,
        1e300,
        5e-324,
        2.2e-308,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
        9_223_372_036_854_775_808.0,
    ]);
    let step = u64::try_from(random.below(3)).unwrap();
    let near = if base.is_finite() { f64::from_bits(base.to_bits().wrapping_add(step)) } else { base };
    if random.below(2) == 0 { near } else { -near }
}

/// A decimal beside a double: rounded to many or few digits.
fn near_double(random: &mut Random) -> Decimal128 {
    let digits = *random.pick(&[1, 2, 15, 17, 30, 34]);
    Decimal128::from_f64_digits(double(random), digits)
}

fn decimal(random: &mut Random) -> Decimal128 {
    let coefficient = *random.pick(&[
        "0",
        "1",
        "9",
        "10",
        "15",
        "100",
        "1500",
        "9223372036854775807",
        "9223372036854775808",
        "9999999999999999999999999999999999",
        "1000000000000000000000000000000000",
        "1000000000000000000000000000000001",
        "5404319552844595",
    ]);
    let exponent =
        *random.pick(&[0, 0, 0, -1, -2, 1, -15, -16, -33, -34, 18, 19, 300, -324, 6111, -6176, -6150]);
    let sign = random.pick(&["", "-"]);
    match random.below(40) {
        0 => Decimal128([0xFF; 16]),
        1 => Decimal128::NEGATIVE_INFINITY,
        // Bits that are not canonical: they mean zero.
        2 => Decimal128(((6176u128 << 113) | 10u128.pow(34)).to_le_bytes()),
        _ => Decimal128::parse_rounded(&format!("{sign}{coefficient}E{exponent}")).unwrap().0,
    }
}
