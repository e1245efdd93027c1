use bson::bson;
use serde_json::json;

use super::Checks;

fn holds(checks: serde_json::Value, value: bson::Bson) -> bool {
    Checks::parse(checks).unwrap().judge(Some(&value)).is_ok()
}

fn one(name: &str, args: serde_json::Value) -> serde_json::Value {
    json!({"v": {"$check": name, "args": args}})
}

#[test]
fn every_check_can_hold_and_fail() {
    let int = |number: i32| json!({"$numberInt": number.to_string()});
    for (name, args, good, bad) in [
        ("Exists", json!({}), bson!({"v": 1}), bson!({"w": 1})),
        ("NotExists", json!({}), bson!({"w": 1}), bson!({"v": null})),
        ("IsType", json!({"bson_type": "long"}), bson!({"v": 1_i64}), bson!({"v": 1})),
        ("Eq", json!({"expected": int(1)}), bson!({"v": 1}), bson!({"v": 1_i64})),
        ("Ne", json!({"rejected": int(1)}), bson!({"v": 2}), bson!({"v": 1})),
        ("Gt", json!({"minimum": int(1)}), bson!({"v": 2_i64}), bson!({"v": 1})),
        ("Gte", json!({"minimum": int(1)}), bson!({"v": 1}), bson!({"v": 0.5})),
        ("Lt", json!({"maximum": int(1)}), bson!({"v": 0}), bson!({"v": 1})),
        ("Lte", json!({"maximum": int(1)}), bson!({"v": 1}), bson!({"v": 2})),
        ("Len", json!({"expected": int(2)}), bson!({"v": [1, 2]}), bson!({"v": [1]})),
        ("LenGt", json!({"minimum": int(1)}), bson!({"v": [1, 2]}), bson!({"v": [1]})),
        ("LenLte", json!({"maximum": int(1)}), bson!({"v": [1]}), bson!({"v": [1, 2]})),
        (
            "Contains",
            json!({"key": "n", "value": int(1)}),
            bson!({"v": [{"n": 2}, {"n": 1}]}),
            bson!({"v": [{"n": 2}]}),
        ),
        (
            "NotContains",
            json!({"key": "n", "value": int(1)}),
            bson!({"v": [{"n": 2}]}),
            bson!({"v": [{"n": 1}]}),
        ),
        ("ContainsElement", json!({"element": int(1)}), bson!({"v": [2, 1]}), bson!({"v": [2]})),
        ("HasKey", json!({"key": "a.b"}), bson!({"v": {"a.b": 1}}), bson!({"v": {"a": {"b": 1}}})),
        ("NonEmptyStr", json!({}), bson!({"v": "x"}), bson!({"v": ""})),
        (
            "OrderedKeys",
            json!({"expected": ["a", "b"]}),
            bson!({"v": {"a": 1, "b": 1}}),
            bson!({"v": {"b": 1, "a": 1}}),
        ),
    ] {
        assert!(holds(one(name, args.clone()), good), "{name} should hold");
        assert!(!holds(one(name, args), bad), "{name} should fail");
    }
    let binary = |len: usize| {
        bson::Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0; len] })
    };
    let byte_len = one("ByteLen", json!({"expected": int(2)}));
    assert!(holds(byte_len.clone(), bson!({"v": binary(2)})));
    assert!(!holds(byte_len, bson!({"v": binary(3)})));
}

#[test]
fn paths_go_through_arrays_and_dotted_keys() {
    let exists = |path: &str| json!({path: {"$check": "Exists", "args": {}}});
    let value = bson!({"a": [{"b.c": {"d": 1}}]});
    assert!(holds(exists("a.0.b.c.d"), value.clone()));
    assert!(!holds(exists("a.1"), value.clone()));
    assert!(holds(json!({"a.0": exists("b.c.d")}), value));
}

#[test]
fn per_document_wants_as_many_documents() {
    let checks = json!({"$perDoc": [{"a": {"$check": "Exists", "args": {}}}]});
    assert!(holds(checks.clone(), bson!([{"a": 1}])));
    assert!(!holds(checks.clone(), bson!([{"a": 1}, {"a": 1}])));
    assert!(!holds(checks, bson!([{"b": 1}])));
}

#[test]
fn unknown_checks_are_refused() {
    assert!(Checks::parse(one("Maybe", json!({}))).is_err());
    assert!(Checks::parse(one("Exists", json!({"extra": true}))).is_err());
    assert!(Checks::parse(one("Eq", json!({}))).is_err());
}
