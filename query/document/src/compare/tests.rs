//! The order on a ladder of values from the lowest to the highest; steps of the ladder hold equal values.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use super::*;
use crate::{ArrayBuilder, Decimal128, DocumentBuilder, ObjectId, Timestamp};

fn decimal(text: &str) -> Value<'static> {
    Value::Decimal128(Decimal128::parse(text).expect("a decimal"))
}

fn document<'v>(fields: &[(&str, Value<'v>)]) -> Value<'v> {
    let mut builder = DocumentBuilder::new();
    for (name, value) in fields {
        builder.append_value(name, value);
    }
    builder.build().into()
}

fn stored_array(items: &[Value<'_>]) -> Value<'static> {
    let mut builder = ArrayBuilder::new();
    for item in items {
        builder.push_value(item);
    }
    Value::Array(ArrayValue::Owned(builder.build()))
}

fn numbers() -> Vec<Vec<Value<'static>>> {
    vec![
        vec![Value::Double(f64::NAN), decimal("NaN"), Value::Double(-f64::NAN)],
        vec![Value::Double(f64::NEG_INFINITY), decimal("-Infinity")],
        vec![decimal("-1E+400")],
        vec![Value::Double(-9_223_372_036_854_775_808.0), Value::Int64(i64::MIN)],
        vec![Value::Int64(i64::MIN + 1)],
        vec![decimal("-0.1000000000000000055511151231257828")],
        vec![Value::Double(-0.1)],
        vec![decimal("-0.1")],
        vec![Value::Double(-5e-324)],
        vec![decimal("-1E-6176")],
        vec![
            Value::Double(-0.0),
            Value::Int32(0),
            Value::Int64(0),
            decimal("-0"),
            decimal("0E+3"),
            Value::Double(0.0),
        ],
        vec![Value::Double(5e-324)],
        vec![decimal("0.1"), decimal("0.10")],
        vec![Value::Double(0.1)],
        vec![Value::Int32(1), Value::Int64(1), Value::Double(1.0), decimal("1.000")],
        vec![Value::Double(1.5), decimal("1.5")],
        vec![Value::Int64(9_007_199_254_740_992), Value::Double(9_007_199_254_740_992.0)],
        vec![Value::Int64(9_007_199_254_740_993), decimal("9007199254740993")],
        vec![Value::Int64(i64::MAX), decimal("9223372036854775807")],
        vec![decimal("9223372036854775807.5")],
        vec![Value::Double(9_223_372_036_854_775_808.0), decimal("9223372036854775808")],
        vec![Value::Double(1e23)],
        vec![decimal("1E+23")],
        vec![decimal("1E+6000")],
        vec![Value::Double(f64::INFINITY), decimal("Infinity")],
    ]
}

fn ladder() -> Vec<Vec<Value<'static>>> {
    let mut steps = vec![vec![Value::MinKey], vec![Value::Missing, Value::Undefined], vec![Value::Null]];
    steps.extend(numbers());
    let one = Value::Int32(1);
    let binary = |subtype, bytes: &'static [u8]| Value::Binary { subtype, bytes: bytes.into() };
    let regex = |pattern: &'static str, options: &'static str| Value::Regex {
        pattern: pattern.into(),
        options: options.into(),
    };
    let id = ObjectId([7; 12]);
    steps.extend([
        vec!["".into(), Value::Symbol("".into())],
        vec!["a".into()],
        vec!["a\0".into()],
        vec!["b".into()],
        vec![document(&[])],
        vec![document(&[("b", one.clone())])],
        vec![document(&[("b", one.clone()), ("a", Value::Null)])],
        vec![document(&[("a", "x".into())])],
        vec![document(&[("b", "x".into())])],
        vec![stored_array(&[]), Value::array(vec![])],
        vec![stored_array(&[Value::Null]), Value::array(vec![Value::Missing])],
        vec![stored_array(std::slice::from_ref(&one)), Value::array(vec![Value::Double(1.0)])],
        vec![stored_array(&[one.clone(), one.clone()]), Value::array(vec![one.clone(), one.clone()])],
        vec![stored_array(&["a".into()]), Value::array(vec!["a".into()])],
        vec![
            Value::array(vec![Value::array(vec![one.clone()])]),
            stored_array(&[stored_array(std::slice::from_ref(&one))]),
        ],
        vec![binary(5, b"a")],
        vec![binary(0, b"aa")],
        vec![binary(5, b"aa")],
        vec![id.into()],
        vec![false.into()],
        vec![true.into()],
        vec![Value::DateTime(-1)],
        vec![Value::DateTime(0)],
        vec![Timestamp { seconds: 1, increment: 9 }.into()],
        vec![Timestamp { seconds: u32::MAX, increment: 0 }.into()],
        vec![regex("a", "i")],
        vec![regex("ab", "")],
        vec![Value::DbPointer { namespace: "z".into(), id }],
        vec![Value::DbPointer { namespace: "aa".into(), id }],
        vec![Value::JavaScript("a".into())],
        vec![Value::JavaScriptWithScope {
            code: "a".into(),
            scope: crate::RawDocumentBuf::new().into_scope(),
        }],
        vec![Value::MaxKey],
    ]);
    steps
}

impl crate::RawDocumentBuf {
    fn into_scope(self) -> crate::DocumentValue<'static> {
        crate::DocumentValue::Owned(self)
    }
}

#[test]
fn every_pair_of_the_ladder_compares_as_it_stands() {
    let steps = ladder();
    for (left_step, left_values) in steps.iter().enumerate() {
        for (right_step, right_values) in steps.iter().enumerate() {
            for left in left_values {
                for right in right_values {
                    assert_eq!(
                        compare(left, right, None),
                        left_step.cmp(&right_step),
                        "{left:?} and {right:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn equal_values_hash_alike_and_others_rarely() {
    let hash = |value: &Value<'_>| {
        let mut hasher = DefaultHasher::new();
        hash_value(value, None, &mut hasher);
        hasher.finish()
    };
    let mut seen = std::collections::HashSet::new();
    for step in ladder() {
        for value in &step {
            assert_eq!(hash(value), hash(&step[0]), "{value:?} and {:?}", step[0]);
        }
        assert!(seen.insert(hash(&step[0])), "{:?} collides", step[0]);
    }
}

#[test]
fn a_collation_reaches_nested_strings_but_no_names() {
    struct Backwards;
    impl Collate for Backwards {
        fn compare(&self, left: &str, right: &str) -> Ordering {
            right.cmp(left)
        }
        fn sort_key(&self, text: &str, out: &mut Vec<u8>) {
            out.extend(text.bytes().map(|byte| !byte));
        }
    }
    let nested = |name: &str, text: &'static str| document(&[(name, Value::array(vec![text.into()]))]);
    assert_eq!(compare(&nested("n", "a"), &nested("n", "b"), Some(&Backwards)), Ordering::Greater);
    assert_eq!(compare(&nested("a", "x"), &nested("b", "x"), Some(&Backwards)), Ordering::Less);
}
