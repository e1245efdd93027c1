use bson::{Bson, Decimal128, bson};

use super::{Rules, compare};

fn exact(actual: Bson, expected: Bson) -> bool {
    compare(&actual, &expected, &Rules::default()).is_ok()
}

#[test]
fn numbers_of_different_types_differ() {
    assert!(exact(Bson::Int32(1), Bson::Int32(1)));
    assert!(!exact(Bson::Int32(1), Bson::Int64(1)));
    assert!(!exact(Bson::Int32(1), Bson::Double(1.0)));
    assert!(!exact(Bson::Double(-0.0), Bson::Double(0.0)));
    let decimal = |text: &str| Bson::Decimal128(text.parse::<Decimal128>().unwrap());
    assert!(!exact(decimal("1.0"), decimal("1.00")));
    assert!(exact(decimal("1.0"), decimal("1.0")));
}

#[test]
fn nan_equals_nan_only_on_request() {
    let nan = Bson::Double(f64::NAN);
    assert!(!exact(nan.clone(), nan.clone()));
    let rules = Rules { nan_equal: true, ..Rules::default() };
    assert!(compare(&nan, &nan, &rules).is_ok());
}

#[test]
fn keys_are_a_set() {
    assert!(exact(bson!({"a": 1, "b": 2}), bson!({"b": 2, "a": 1})));
    assert!(!exact(bson!({"a": 1, "b": 2}), bson!({"a": 1})));
    assert!(!exact(bson!({"a": 1}), bson!({"a": 1, "b": 2})));
}

#[test]
fn order_counts_unless_told() {
    let (actual, expected) = (bson!([1, 2, 2]), bson!([2, 1, 2]));
    assert!(!exact(actual.clone(), expected.clone()));
    let unordered = Rules { unordered: true, ..Rules::default() };
    assert!(compare(&actual, &expected, &unordered).is_ok());
    assert!(compare(&bson!([1, 1, 2]), &expected, &unordered).is_err());
    let fields = Rules { sort_fields: vec!["x".to_owned()], ..Rules::default() };
    assert!(compare(&bson!([{"x": [1, 2]}]), &bson!([{"x": [2, 1]}]), &fields).is_ok());
    assert!(compare(&bson!([{"y": [1, 2]}]), &bson!([{"y": [2, 1]}]), &fields).is_err());
}

#[test]
fn approximations_have_a_tolerance() {
    let about = |value: f64, rel: Bson, abs: Bson| bson!({"$approx": value, "rel": rel, "abs": abs});
    assert!(exact(Bson::Double(1.000_000_1), about(1.0, Bson::Null, Bson::Null)));
    assert!(!exact(Bson::Double(1.000_01), about(1.0, Bson::Null, Bson::Null)));
    assert!(exact(Bson::Double(1.05), about(1.0, Bson::Double(0.1), Bson::Null)));
    assert!(!exact(Bson::Double(1.05), about(1.0, Bson::Null, Bson::Double(0.01))));
    assert!(exact(Bson::Double(f64::NAN), about(f64::NAN, Bson::Null, Bson::Null)));
    assert!(exact(Bson::Double(f64::INFINITY), about(f64::INFINITY, Bson::Null, Bson::Null)));
    assert!(!exact(Bson::Double(1.0), about(f64::INFINITY, Bson::Null, Bson::Null)));
    assert!(!exact(Bson::String("1".to_owned()), about(1.0, Bson::Null, Bson::Null)));
}

#[test]
fn the_difference_names_its_path() {
    let difference =
        compare(&bson!([{"a": {"b": 1}}]), &bson!([{"a": {"b": 2}}]), &Rules::default()).unwrap_err();
    assert_eq!(difference.path, "0.a.b");
}
