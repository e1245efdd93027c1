//! The BSON corpus of the drivers: documents as bytes and as extended JSON, and input that must be refused.

use serde_json::Value as Json;
use sheaf_document::json::{parse_document, to_canonical, to_relaxed};
use sheaf_document::{
    ArrayBuilder, Decimal128, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, ValueRef,
};

use crate::stage::suite;

/// Cases of the corpus as it was when this was written. A corpus that lost some is not the corpus.
const VALID_COUNT: usize = 728;
const DECODE_ERROR_COUNT: usize = 75;
const PARSE_ERROR_COUNT: usize = 180;

/// The bytes that a case gives in hexadecimal digits.
pub fn bytes(case: &Json, name: &str) -> Option<Vec<u8>> {
    let digits = case[name].as_str()?;
    Some(
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect(),
    )
}

/// The document decoded value by value and written again: what a program that reads and writes it makes of it.
fn rewritten(document: RawDocument<'_>) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for element in document {
        match element.value_checked().unwrap() {
            ValueRef::Document(inner) => builder.append(element.key(), rewritten(inner)),
            ValueRef::Array(inner) => builder.append(element.key(), rewritten_array(inner)),
            value => builder.append_ref(element.key(), value),
        };
    }
    builder.build()
}

fn rewritten_array(array: RawArray<'_>) -> sheaf_document::Value<'static> {
    let mut builder = ArrayBuilder::new();
    for item in array.iter() {
        match item {
            ValueRef::Document(inner) => builder.push(rewritten(inner)),
            ValueRef::Array(inner) => builder.push(rewritten_array(inner)),
            value => builder.push_ref(value),
        };
    }
    sheaf_document::Value::Array(sheaf_document::ArrayValue::Owned(builder.build()))
}

/// Without the spaces between tokens, so that texts compare as sequences of tokens: order and duplicates count.
fn tight(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let mut out = String::new();
    for letter in text.chars() {
        let ends = letter == '"' && !escaped;
        escaped = inside && letter == '\\' && !escaped;
        inside ^= ends;
        if inside || !letter.is_whitespace() {
            out.push(letter);
        }
    }
    out
}

/// Says what is wrong with a case, if anything.
fn valid(case: &Json) -> Result<(), String> {
    let canonical = bytes(case, "canonical_bson").unwrap();
    let text = case["canonical_extjson"].as_str().unwrap();
    let document = RawDocument::validate(&canonical).map_err(|error| format!("canonical bytes: {error}"))?;
    let same = |what: &str, actual: &[u8]| {
        if actual == canonical {
            Ok(())
        } else {
            Err(format!("{what}: {actual:02X?} instead of {canonical:02X?}"))
        }
    };
    same("bytes written again", rewritten(document).as_bytes())?;
    same_text("canonical text", &to_canonical(document), text)?;
    let parsed = parse_document(text).map_err(|error| format!("canonical text: {error}"))?;
    if case["lossy"] != Json::Bool(true) {
        same("canonical text read", parsed.as_bytes())?;
    }
    if let Some(degenerate) = bytes(case, "degenerate_bson") {
        let document =
            RawDocument::validate(&degenerate).map_err(|error| format!("degenerate bytes: {error}"))?;
        same("degenerate bytes written again", rewritten(document).as_bytes())?;
    }
    if let Some(text) = case["degenerate_extjson"].as_str() {
        let parsed = parse_document(text).map_err(|error| format!("degenerate text: {error}"))?;
        if case["lossy"] != Json::Bool(true) {
            same("degenerate text read", parsed.as_bytes())?;
        }
    }
    if let Some(text) = case["relaxed_extjson"].as_str() {
        same_text("relaxed text", &to_relaxed(document), text)?;
        let parsed = parse_document(text).map_err(|error| format!("relaxed text: {error}"))?;
        same_text("relaxed text read", &to_relaxed(parsed.as_raw()), text)?;
    }
    Ok(())
}

fn same_text(what: &str, actual: &str, expected: &str) -> Result<(), String> {
    // Characters and numbers have several spellings in JSON; those are settled by a JSON parser.
    let spelled_alike = tight(actual) == tight(expected);
    let same =
        spelled_alike || serde_json::from_str::<Json>(actual).ok() == serde_json::from_str(expected).ok();
    if same { Ok(()) } else { Err(format!("{what}: {actual} instead of {expected}")) }
}

fn cases<'j>(file: &'j Json, kind: &str) -> &'j [Json] {
    file[kind].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn every_case_of_the_bson_corpus() {
    let files = suite("unified/bson_corpus");
    if files.is_empty() {
        return;
    }
    let mut failures = Vec::new();
    let (mut valid_count, mut decode_error_count, mut parse_error_count) = (0, 0, 0);
    for (name, file) in &files {
        let mut fail =
            |case: &Json, reason: String| failures.push(format!("{name}: {}: {reason}", case["description"]));
        for case in cases(file, "valid") {
            valid_count += 1;
            if let Err(reason) = valid(case) {
                fail(case, reason);
            }
        }
        for case in cases(file, "decodeErrors") {
            decode_error_count += 1;
            if RawDocument::validate(&bytes(case, "bson").unwrap()).is_ok() {
                fail(case, "malformed bytes are accepted".to_owned());
            }
        }
        for case in cases(file, "parseErrors") {
            parse_error_count += 1;
            let text = case["string"].as_str().unwrap();
            let accepted = match file["bson_type"].as_str() {
                Some("0x13") => Decimal128::parse(text).is_ok(),
                _ => parse_document(text).is_ok(),
            };
            if accepted {
                fail(case, format!("malformed text is accepted: {text}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(
        valid_count >= VALID_COUNT
            && decode_error_count >= DECODE_ERROR_COUNT
            && parse_error_count >= PARSE_ERROR_COUNT
    );
    println!(
        "stage bson_corpus: {valid_count} valid, {decode_error_count} decode errors, {parse_error_count} parse errors, all pass"
    );
}
