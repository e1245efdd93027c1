//! Projections by example.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use super::*;
use crate::ErrorCode;
use crate::expression::Scope;

fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    write(&mut builder);
    builder.build()
}

fn flags(flags: &[(&str, i32)]) -> RawDocumentBuf {
    document(|d| {
        for (path, flag) in flags {
            d.append(path, *flag);
        }
    })
}

fn numbers(items: &[i32]) -> Value<'static> {
    Value::array(items.iter().map(|item| Value::Int32(*item)).collect())
}

fn subject() -> RawDocumentBuf {
    document(|d| {
        d.append("_id", 1).append("x", 2);
        d.array("a", |array| {
            array.push(5);
            array.document(|d| {
                d.append("b", 1).append("c", 2);
            });
        });
        d.append("n", numbers(&[1, 2, 3]));
    })
}

fn show(projection: &RawDocumentBuf, position: Option<usize>) -> Result<String> {
    let projection = Projection::parse(projection.as_raw(), ProjectionKind::Find, &mut Scope::new())?;
    let result =
        projection.apply(subject().as_raw(), &mut Environment::new(0, 0), MatchedPosition(position))?;
    RawDocument::validate(result.as_bytes()).expect("a projection writes well-formed documents");
    Ok(format!("{result:?}"))
}

#[test]
fn inclusion_keeps_what_is_named_and_the_id() {
    assert_eq!(show(&flags(&[("x", 1)]), None).unwrap(), r#"{"_id": Int32(1), "x": Int32(2)}"#);
    let nested = r#"{"_id": Int32(1), "a": Array([Document({"b": Int32(1)})])}"#;
    assert_eq!(show(&flags(&[("a.b", 1)]), None).unwrap(), nested);
    assert_eq!(show(&flags(&[("x", 1), ("_id", 0)]), None).unwrap(), r#"{"x": Int32(2)}"#);
}

#[test]
fn exclusion_drops_what_is_named() {
    let rest = r#"{"_id": Int32(1), "a": Array([Int32(5), Document({"c": Int32(2)})])}"#;
    assert_eq!(show(&flags(&[("a.b", 0), ("x", 0), ("n", 0)]), None).unwrap(), rest);
}

#[test]
fn the_positional_mark_leaves_the_matched_element() {
    let matched = r#"{"_id": Int32(1), "n": Array([Int32(2)])}"#;
    assert_eq!(show(&flags(&[("n.$", 1)]), Some(1)).unwrap(), matched);
    assert_eq!(show(&flags(&[("n.$", 1)]), None).unwrap_err().code, ErrorCode(51246));
}

#[test]
fn slices_count_from_both_ends() {
    let slice = |operand: Value<'static>| {
        document(|d| {
            d.document("n", |d| {
                d.append("$slice", operand);
            });
            d.append("x", 1);
        })
    };
    let shown = |n: &str| format!(r#"{{"_id": Int32(1), "x": Int32(2), "n": Array([{n}])}}"#);
    assert_eq!(show(&slice(Value::Int32(-1)), None).unwrap(), shown("Int32(3)"));
    assert_eq!(show(&slice(numbers(&[1, 1])), None).unwrap(), shown("Int32(2)"));
}

#[test]
fn contradictions_have_their_codes() {
    let code = |list: &[(&str, i32)]| show(&flags(list), None).unwrap_err().code;
    assert_eq!(code(&[("a", 1), ("b", 0)]), ErrorCode(31254));
    assert_eq!(code(&[("a", 0), ("b", 1)]), ErrorCode(31253));
    assert_eq!(code(&[("a", 1), ("a.b", 1)]), ErrorCode(31249));
    assert_eq!(code(&[("a.b", 1), ("a", 1)]), ErrorCode(31250));
}
