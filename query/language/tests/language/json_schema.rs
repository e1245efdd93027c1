//! The draft 4 part of the JSON Schema test suite, as far as MongoDB speaks it.

use sheaf_document::{RawArray, RawDocument, ValueRef, json};
use sheaf_language::json_schema::Schema;

/// Keywords that MongoDB refuses.
const REFUSED: [&str; 7] = ["$comment", "$ref", "definitions", "format", "id", "default", "$schema"];

/// Cases of the patterns of ECMA 262; MongoDB's are PCRE's.
const OTHER_PATTERNS: &str = "ecmascript-regex.json";

/// Whether a schema uses what MongoDB's dialect does not have.
fn is_applicable(schema: ValueRef<'_>) -> bool {
    match schema {
        ValueRef::Document(fields) => fields.iter().all(|field| {
            let integer = field.key() == "type" && format!("{:?}", field.value()).contains("integer");
            !integer && !REFUSED.contains(&field.key()) && is_applicable(field.value())
        }),
        ValueRef::Array(items) => items.iter().all(is_applicable),
        _ => true,
    }
}

fn documents(value: Option<ValueRef<'_>>) -> impl Iterator<Item = RawDocument<'_>> {
    value.and_then(ValueRef::as_array).unwrap_or(RawArray::EMPTY).iter().filter_map(ValueRef::as_document)
}

#[test]
fn every_applicable_schema_accepts_and_refuses_what_it_should() {
    let Some(folder) = crate::suite("json-schema-draft4") else { return };
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    let mut folders = vec![folder.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // A document that cannot be written in BSON, such as a number beyond its range, tests the parser.
            let Ok(file) = json::parse_document(&format!("{{\"groups\": {text}}}")) else {
                skipped += 1;
                continue;
            };
            for group in documents(file.as_raw().get("groups")) {
                let schema = group.get("schema").unwrap();
                let is_applicable = is_applicable(schema) && !path.ends_with(OTHER_PATTERNS);
                for test in documents(group.get("tests")) {
                    if !is_applicable {
                        skipped += 1;
                        continue;
                    }
                    let outcome = accepts(schema, test.get("data").unwrap());
                    match (&outcome, test.get("valid")) {
                        (Ok(accepted), Some(ValueRef::Boolean(valid))) if *accepted == valid => passed += 1,
                        _ => failed.push(format!("{}: {test:?}: {outcome:?}", path.display())),
                    }
                }
            }
        }
    }
    println!("json-schema-draft4: {passed} passed, {} failed, {skipped} not applicable", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed > 400, "only {passed} cases were run");
}

fn accepts(schema: ValueRef<'_>, data: ValueRef<'_>) -> Result<bool, sheaf_language::Error> {
    Schema::parse(schema)?.matches_value(data)
}
