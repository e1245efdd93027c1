//! Filters by example: what matches, and what is refused.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use super::*;
use crate::ErrorCode;

fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    write(&mut builder);
    builder.build()
}

fn nested<'a>(write: impl FnOnce(&mut DocumentBuilder)) -> Value<'a> {
    Value::from(document(write))
}

fn parse(filter: &RawDocumentBuf) -> Result<Filter> {
    Filter::parse(filter.as_raw(), &mut Scope::new())
}

fn matches(filter: &RawDocumentBuf, subject: &RawDocumentBuf) -> bool {
    parse(filter).unwrap().matches(subject.as_raw(), &mut Environment::new(0, 0)).unwrap()
}

/// `{path: {operator: operand}}`.
fn test<'v>(path: &str, operator: &str, operand: impl Into<Value<'v>>) -> RawDocumentBuf {
    let operand = operand.into();
    document(|d| {
        d.document(path, |inner| {
            inner.append_value(operator, &operand);
        });
    })
}

fn list(items: &[i32]) -> Value<'static> {
    Value::array(items.iter().map(|item| Value::Int32(*item)).collect())
}

#[test]
fn null_stands_for_a_missing_field_but_not_inside_arrays_of_scalars() {
    let null = test("a.b", "$eq", Value::Null);
    assert!(matches(&null, &document(|_| {})));
    assert!(matches(
        &null,
        &document(|d| {
            d.append("a", 5);
        })
    ));
    assert!(!matches(
        &null,
        &document(|d| {
            d.append("a", list(&[1, 2]));
        })
    ));
    let mixed = document(|d| {
        d.append(
            "a",
            vec![nested(|d| {
                d.append("c", 1);
            })],
        );
    });
    assert!(matches(&null, &mixed));
}

#[test]
fn comparisons_stay_within_their_bracket() {
    let greater = test("a", "$gt", 5);
    let subject = |value: Value<'_>| {
        document(|d| {
            d.append("a", value);
        })
    };
    assert!(matches(&greater, &subject(Value::Double(5.5))));
    assert!(matches(&greater, &subject(list(&[1, 6]))));
    assert!(!matches(&greater, &subject(Value::from("9"))));
    assert!(!matches(&greater, &subject(Value::Double(f64::NAN))));
    assert!(matches(&test("a", "$gte", f64::NAN), &subject(Value::Double(f64::NAN))));
}

#[test]
fn numeric_names_are_positions_and_fields() {
    let second = test("a.1", "$eq", 7);
    assert!(matches(
        &second,
        &document(|d| {
            d.append("a", list(&[1, 7]));
        })
    ));
    assert!(!matches(
        &second,
        &document(|d| {
            d.append("a", list(&[7, 1]));
        })
    ));
    assert!(matches(
        &second,
        &document(|d| {
            d.document("a", |d| {
                d.append("1", 7);
            });
        })
    ));
}

#[test]
fn positions_are_of_the_outermost_array() {
    let filter = parse(&test("a.b", "$eq", 2)).unwrap();
    let subject = document(|d| {
        d.append(
            "a",
            vec![
                nested(|d| {
                    d.append("b", list(&[1]));
                }),
                nested(|d| {
                    d.append("b", list(&[0, 0, 2]));
                }),
            ],
        );
    });
    let position = filter.match_position(subject.as_raw(), &mut Environment::new(0, 0)).unwrap();
    assert_eq!(position, Some(MatchedPosition(Some(1))));
}

#[test]
fn negation_means_no_value_matches() {
    let subject = document(|d| {
        d.append("a", list(&[1, 2]));
    });
    assert!(!matches(&test("a", "$ne", 1), &subject));
    assert!(matches(&test("a", "$ne", 3), &subject));
    assert!(!matches(&test("a", "$nin", list(&[2, 3])), &subject));
    assert!(matches(&test("b", "$exists", false), &subject));
}

#[test]
fn element_match_asks_for_one_element_that_fulfils_all() {
    let subject = document(|d| {
        d.append("a", list(&[3, 12]));
    });
    let both = |operators: Value<'static>| test("a", "$elemMatch", operators);
    let between = nested(|d| {
        d.append("$gt", 5).append("$lt", 10);
    });
    assert!(!matches(&both(between), &subject));
    let above = nested(|d| {
        d.append("$gt", 5).append("$lt", 20);
    });
    assert!(matches(&both(above), &subject));
}

#[test]
fn malformed_filters_have_their_codes() {
    let code = |filter: RawDocumentBuf| parse(&filter).unwrap_err().code;
    assert_eq!(code(test("a", "$unknown", 1)), ErrorCode::BAD_VALUE);
    assert_eq!(code(test("a", "$type", true)), ErrorCode::TYPE_MISMATCH);
    assert_eq!(code(test("a", "$type", Value::array(vec![]))), ErrorCode::FAILED_TO_PARSE);
    assert_eq!(code(test("a", "$bitsAllSet", -1)), ErrorCode::FAILED_TO_PARSE);
    assert_eq!(code(test("a", "$in", 1)), ErrorCode::BAD_VALUE);
    assert_eq!(code(test("a", "$regex", "(")), ErrorCode(51091));
    assert_eq!(
        code(document(|d| {
            d.append("$or", Value::array(vec![]));
        })),
        ErrorCode::BAD_VALUE
    );
}

#[test]
fn bits_of_negative_numbers_and_of_bytes() {
    let subject = |value: Value<'_>| {
        document(|d| {
            d.append("a", value);
        })
    };
    assert!(matches(&test("a", "$bitsAllSet", list(&[200])), &subject(Value::Int32(-1))));
    assert!(matches(&test("a", "$bitsAllClear", list(&[200])), &subject(Value::Int32(1))));
    let bytes = Value::Binary { subtype: 0, bytes: vec![0, 1].into() };
    assert!(matches(&test("a", "$bitsAllSet", list(&[8])), &subject(bytes)));
}
