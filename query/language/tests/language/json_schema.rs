//! The draft 4 part of the JSON Schema test suite, as far as MongoDB speaks it.

use serde_json::Value as Json;
use sheaf_language::json_schema::Schema;

use crate::extended;

/// Keywords that MongoDB refuses.
const REFUSED: [&str; 7] = ["$comment", "$ref", "definitions", "format", "id", "default", "$schema"];

/// Cases of the patterns of ECMA 262; MongoDB's are PCRE's.
const OTHER_PATTERNS: &str = "ecmascript-regex.json";

/// Whether a schema uses what MongoDB's dialect does not have.
fn is_applicable(schema: &Json) -> bool {
    match schema {
        Json::Object(fields) => fields.iter().all(|(name, inner)| {
            let integer = name == "type" && inner.to_string().contains("integer");
            !integer && !REFUSED.contains(&name.as_str()) && is_applicable(inner)
        }),
        Json::Array(items) => items.iter().all(is_applicable),
        _ => true,
    }
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
            let groups: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for group in groups.as_array().unwrap() {
                let (schema, tests) = (&group["schema"], group["tests"].as_array().unwrap());
                if !is_applicable(schema) || path.ends_with(OTHER_PATTERNS) {
                    skipped += tests.len();
                    continue;
                }
                for test in tests {
                    let name =
                        format!("{}: {}: {}", path.display(), group["description"], test["description"]);
                    match accepts(schema, &test["data"]) {
                        Ok(accepted) if accepted == test["valid"].as_bool().unwrap() => passed += 1,
                        outcome => failed.push(format!("{name}: {outcome:?}")),
                    }
                }
            }
        }
    }
    println!("json-schema-draft4: {passed} passed, {} failed, {skipped} not applicable", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed > 200, "only {passed} cases were run");
}

fn accepts(schema: &Json, data: &Json) -> Result<bool, sheaf_language::Error> {
    let schema = extended::value(schema);
    let schema = Schema::parse(schema.as_ref().unwrap())?;
    schema.matches_value(extended::value(data).as_ref().unwrap())
}
