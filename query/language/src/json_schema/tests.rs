//! Schemas by example.

use sheaf_document::{DocumentBuilder, RawDocumentBuf};

use super::*;
use crate::ErrorCode;

fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    write(&mut builder);
    builder.build()
}

/// A schema with one rule for the field "x".
fn of_x(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    document(|d| {
        d.document("properties", |d| {
            d.document("x", write);
        });
    })
}

fn parse(schema: &RawDocumentBuf) -> Result<Schema> {
    Schema::parse(ValueRef::Document(schema.as_raw()))
}

fn accepts(schema: &RawDocumentBuf, x: impl Into<Value<'static>>) -> bool {
    let subject = document(|d| {
        d.append("x", x);
    });
    parse(schema).unwrap().matches(subject.as_raw()).unwrap()
}

#[test]
fn rules_speak_of_their_own_type_only() {
    let minimum = of_x(|d| {
        d.append("minimum", 5).append("exclusiveMinimum", true);
    });
    assert!(accepts(&minimum, 6) && !accepts(&minimum, 5) && accepts(&minimum, "1"));
    let lengths = of_x(|d| {
        d.append("maxLength", 2);
    });
    assert!(accepts(&lengths, "åß") && !accepts(&lengths, "abc") && accepts(&lengths, 1234));
}

#[test]
fn multiples_are_decimal() {
    let tenth = of_x(|d| {
        d.append("multipleOf", 0.1);
    });
    assert!(accepts(&tenth, 0.3) && !accepts(&tenth, 0.25));
}

#[test]
fn items_are_unique_whatever_the_order_of_fields() {
    let unique = of_x(|d| {
        d.append("uniqueItems", true);
    });
    let pair = |first: &str, second: &str| {
        Value::from(document(|d| {
            d.append(first, 1).append(second, 1);
        }))
    };
    assert!(!accepts(&unique, vec![pair("a", "b"), pair("b", "a")]));
    assert!(accepts(&unique, vec![pair("a", "b"), pair("a", "c")]));
}

#[test]
fn refusals_have_their_codes() {
    let code = |write: fn(&mut DocumentBuilder)| parse(&of_x(write)).unwrap_err().code;
    assert_eq!(
        code(|d| {
            d.append("minimum", "a");
        }),
        ErrorCode::TYPE_MISMATCH
    );
    assert_eq!(
        code(|d| {
            d.append("minLength", -1);
        }),
        ErrorCode::FAILED_TO_PARSE
    );
    assert_eq!(
        code(|d| {
            d.append("type", "int");
        }),
        ErrorCode::BAD_VALUE
    );
    assert_eq!(
        code(|d| {
            d.append("$ref", "#");
        }),
        ErrorCode::FAILED_TO_PARSE
    );
    assert_eq!(
        code(|d| {
            d.append("pattern", "(");
        }),
        ErrorCode(51091)
    );
}
