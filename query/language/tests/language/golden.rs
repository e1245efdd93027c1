//! Golden lines: an expression, an arrow, and the value or the error it has. Values are compared to the type.
//!
//! ```text
//! # A comment.
//! document {"a": 2}
//! {"$add": ["$a", 1]} => 3
//! {"$divide": [1, 0]} => error 2
//! {"$exp": 1} ~> 2.718281828459045
//! ```
//!
//! `document` says what later lines are evaluated over; `~>` compares doubles to 13 digits.

#![expect(clippy::panic, reason = "a test says where it fails")]

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, json};
use sheaf_language::expression::{Environment, Expression, Scope};

/// The files and their text.
const FILES: &[(&str, &str)] = &[
    ("arrays", include_str!("golden/arrays.txt")),
    ("bitwise", include_str!("golden/bitwise.txt")),
    ("conversions", include_str!("golden/conversions.txt")),
    ("dates", include_str!("golden/dates.txt")),
    ("trigonometry", include_str!("golden/trigonometry.txt")),
    ("variables", include_str!("golden/variables.txt")),
];

/// 2024-02-29T12:34:56.789Z.
const NOW_MILLIS: i64 = 1_709_210_096_789;

fn shown(value: &Value<'_>) -> String {
    let mut document = DocumentBuilder::new();
    document.append_value("r", value);
    json::to_canonical(document.build().as_raw())
}

fn evaluate(expression: &str, document: &RawDocumentBuf) -> Result<Value<'static>, i32> {
    let code = |error: sheaf_language::Error| error.code.0;
    let parsed = json::parse_value(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let parsed = parsed.to_bytes_form();
    let Some(value) = parsed.as_ref() else { panic!("{expression}: nothing to evaluate") };
    let compiled = Expression::parse(value, &mut Scope::new()).map_err(code)?;
    let mut environment = Environment::new(NOW_MILLIS, 1);
    compiled.evaluate(document.as_raw(), &mut environment).map(Value::into_owned).map_err(code)
}

fn is_near(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Double(left), Value::Double(right)) => {
            (left - right).abs() <= 1e-13 * left.abs().max(right.abs()).max(1.0)
        }
        _ => false,
    }
}

/// What is wrong with a line, if anything.
fn check(line: &str, document: &RawDocumentBuf) -> Option<String> {
    let (exact, (expression, expected)) = match (line.split_once(" ~> "), line.split_once(" => ")) {
        (Some(parts), None) => (false, parts),
        (None, Some(parts)) => (true, parts),
        _ => return Some("a line has one arrow".to_owned()),
    };
    let found = evaluate(expression, document);
    if let Some(code) = expected.strip_prefix("error ") {
        return match found {
            Err(found) if code.parse() == Ok(found) => None,
            Err(found) => Some(format!("error {found}")),
            Ok(value) => Some(shown(&value)),
        };
    }
    let expected = match expected {
        "missing" => Value::Missing,
        text => json::parse_value(text).unwrap_or_else(|error| panic!("{text}: {error}")),
    };
    match found {
        Err(code) => Some(format!("error {code}")),
        Ok(value) if exact && shown(&value) == shown(&expected) => None,
        Ok(value) if !exact && is_near(&value, &expected) => None,
        Ok(value) => Some(shown(&value)),
    }
}

#[test]
fn golden_lines_hold() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, text) in FILES {
        let mut document = RawDocumentBuf::new();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{name}.txt:{}", index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(text) = line.strip_prefix("document ") {
                document = json::parse_document(text).unwrap_or_else(|error| panic!("{place}: {error}"));
                continue;
            }
            count += 1;
            if let Some(found) = check(line, &document) {
                failures.push(format!("{place}: {line}\n    found {found}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} lines:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 150, "only {count} lines");
}
