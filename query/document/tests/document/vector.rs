//! The drivers' suite of binary vectors.

use serde_json::Value as Json;
use sheaf_document::vector::{SUBTYPE, Vector};
use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use crate::bson_corpus::bytes;
use crate::stage::suite;

/// The vector of a case; nothing where its numbers do not even fit the element type.
fn vector(case: &Json) -> Option<Vector> {
    let numbers = case["vector"].as_array()?;
    let padding = case["padding"].as_i64().unwrap_or(0);
    match case["dtype_alias"].as_str()? {
        "FLOAT32" if padding == 0 => {
            let float = |number: &Json| match number["$numberDouble"].as_str() {
                Some(text) => text.replace("Infinity", "inf").parse().ok(),
                None => number.as_f64().map(|number| number as f32),
            };
            numbers.iter().map(float).collect::<Option<_>>().map(Vector::Float32)
        }
        "INT8" if padding == 0 => {
            let integer = |number: &Json| i8::try_from(number.as_i64()?).ok();
            numbers.iter().map(integer).collect::<Option<_>>().map(Vector::Int8)
        }
        "PACKED_BIT" => {
            let integer = |number: &Json| u8::try_from(number.as_i64()?).ok();
            let bits = numbers.iter().map(integer).collect::<Option<_>>()?;
            Vector::packed_bit(bits, u8::try_from(padding).ok()?).ok()
        }
        _ => None,
    }
}

#[test]
fn every_case_of_the_vector_suite() {
    let mut count = 0;
    for (name, file) in suite("unified/bson_binary_vector") {
        let key = file["test_key"].as_str().unwrap();
        for case in file["tests"].as_array().unwrap() {
            count += 1;
            let description = format!("{name}: {}", case["description"]);
            let stored = bytes(case, "canonical_bson");
            let decoded = stored.as_deref().map(|stored| {
                let document = RawDocument::validate(stored).expect(&description);
                let Some(ValueRef::Binary(binary)) = document.get(key) else {
                    panic!("{description}: no binary")
                };
                assert_eq!(binary.subtype, SUBTYPE, "{description}");
                Vector::from_bytes(binary.bytes)
            });
            if case["valid"] == Json::Bool(true) {
                let expected = vector(case).expect(&description);
                assert_eq!(decoded.expect(&description), Ok(expected.clone()), "{description}");
                let mut document = DocumentBuilder::new();
                document.append(key, expected.to_value());
                assert_eq!(Some(document.build().into_bytes()), stored, "{description}");
                assert_eq!(expected.dimensions(), dimensions(case), "{description}");
            } else {
                assert!(
                    decoded.is_none_or(|decoded| decoded.is_err()),
                    "{description}: the bytes are accepted"
                );
                assert_eq!(vector(case), None, "{description}: the numbers are accepted");
            }
        }
    }
    if count > 0 {
        println!("stage bson_binary_vector: {count} cases, all pass");
    }
}

fn dimensions(case: &Json) -> usize {
    let elements = case["vector"].as_array().unwrap().len();
    let padding = usize::try_from(case["padding"].as_u64().unwrap()).unwrap();
    if case["dtype_alias"] == "PACKED_BIT" { elements * 8 - padding } else { elements }
}
