//! Expressions that want more than there is: each ends in a named error, in bounded time and memory.

#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use std::time::Duration;

use sheaf_document::{RawDocument, RawDocumentBuf, json};
use sheaf_language::expression::{Environment, Expression, Scope};

/// The code of the error that an expression ends with; 0 if it has a value. A value may take a mebibyte.
fn code(expression: &str) -> i32 {
    code_within(expression, 1 << 20)
}

/// As [`code`], for values of up to so many bytes.
fn code_within(expression: &str, value_bytes_max: usize) -> i32 {
    let document = json::parse_value(expression).unwrap().to_bytes_form();
    let mut scope = Scope::new();
    let compiled = match Expression::parse(document.as_ref().unwrap(), &mut scope) {
        Ok(compiled) => compiled,
        Err(error) => return error.code.0,
    };
    let mut environment = Environment::new(0, 0);
    environment.value_bytes_max = value_bytes_max;
    compiled.evaluate(RawDocument::EMPTY, &mut environment).map_or_else(|error| error.code.0, |_| 0)
}

const EXCEEDED_MEMORY_LIMIT: i32 = 146;

#[test]
fn ranges_and_doublings_are_refused() {
    let thousand = "{\"$range\": [0, 1000]}";
    // A field that is not there keeps the expression from being computed while it is read.
    let reduce = |initial: &str, body: &str| {
        let initial = format!("{{\"$ifNull\": [\"$nothing\", {initial}]}}");
        format!("{{\"$reduce\": {{\"input\": {thousand}, \"initialValue\": {initial}, \"in\": {body}}}}}")
    };
    let cases = [
        "{\"$range\": [-2147483648, 2147483647]}".to_owned(),
        reduce("\"ab\"", "{\"$concat\": [\"$$value\", \"$$value\"]}"),
        reduce("[1]", "{\"$concatArrays\": [\"$$value\", \"$$value\"]}"),
        reduce("[1]", "{\"$setUnion\": [\"$$value\", [\"$$value\"]]}"),
        reduce("{\"a\": 1}", "{\"x\": \"$$value\", \"y\": \"$$value\"}"),
    ];
    for case in cases {
        let found = code(&case);
        assert!([EXCEEDED_MEMORY_LIMIT, 15].contains(&found), "{found}: {case}");
    }
}

#[test]
fn values_do_not_nest_without_end() {
    let nested =
        "{\"$reduce\": {\"input\": {\"$range\": [0, 100000]}, \"initialValue\": 1, \"in\": [\"$$value\"]}}";
    assert_eq!(code(nested), 15);
}

#[test]
fn deep_expressions_fit_the_stack() {
    let mut expression = "1".to_owned();
    for _ in 0..48 {
        expression = format!("{{\"$add\": [{expression}, 1]}}");
    }
    assert_eq!(code(&expression), 0);
    let mut lets = "\"$$x\"".to_owned();
    for _ in 0..30 {
        lets = format!("{{\"$let\": {{\"vars\": {{\"x\": 1}}, \"in\": {lets}}}}}");
    }
    assert_eq!(code(&lets), 0);
}

#[test]
fn a_hundred_thousand_elements_through_nested_maps() {
    let expression = "{\"$size\": {\"$map\": {\"input\": {\"$range\": [0, 1000]}, \"as\": \"x\", \"in\": \
        {\"$map\": {\"input\": {\"$range\": [0, 100]}, \"as\": \"y\", \"in\": {\"$add\": [\"$$x\", \"$$y\"]}}}}}}";
    assert_eq!(code_within(expression, 1 << 24), 0);
}

#[test]
fn regular_expressions_that_backtrack_are_stopped() {
    let text = "a".repeat(300);
    let expression = format!("{{\"$regexMatch\": {{\"input\": \"{text}!\", \"regex\": \"^(a+)+$\"}}}}");
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(code(&expression)));
    assert_eq!(finished.recv_timeout(Duration::from_secs(20)).unwrap(), 51156);
}

#[test]
fn mutated_expressions_never_panic() {
    let seeds = [
        "{\"$dateTrunc\": {\"date\": {\"$date\": {\"$numberLong\": \"1\"}}, \"unit\": \"week\", \"binSize\": 3}}",
        "{\"$substrBytes\": [\"åøæ\", 1, 3]}",
        "{\"$convert\": {\"input\": \"1e400\", \"to\": {\"type\": \"binData\", \"subtype\": 4}, \"format\": \"uuid\"}}",
        "{\"$zip\": {\"inputs\": [[1, 2], [\"x\"]], \"useLongestLength\": true}}",
        "{\"$dateFromString\": {\"dateString\": \"2024-02-30T25:61:00+99\", \"format\": \"%Y-%m\"}}",
        "{\"$slice\": [[1, 2, 3], -2147483648, 2147483647]}",
    ];
    let mut state: u64 = 7;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut evaluated = 0;
    for seed in seeds {
        let original = json::parse_document(seed).unwrap().into_bytes();
        for _ in 0..3_000 {
            let mut bytes = original.clone();
            for _ in 0..=next() % 3 {
                let place = usize::try_from(next()).unwrap_or(0) % bytes.len();
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = next().to_le_bytes()[0];
                }
            }
            if RawDocument::validate(&bytes).is_err() {
                continue;
            }
            let document = RawDocumentBuf::from_bytes(bytes).unwrap();
            let value = sheaf_document::ValueRef::Document(document.as_raw());
            if let Ok(expression) = Expression::parse(value, &mut Scope::new()) {
                let value = expression.evaluate(RawDocument::EMPTY, &mut Environment::new(0, 0));
                evaluated += usize::from(value.is_ok());
            }
        }
    }
    assert!(evaluated > 100, "only {evaluated} mutations had a value");
}
