//! Extended JSON both ways.

use super::{parse_document, parse_value, to_canonical, to_relaxed};

#[test]
fn canonical_text_comes_back_unchanged() {
    for text in [
        r#"{"a":{"$numberInt":"1"},"b":{"$numberLong":"2"},"a":{"$numberDouble":"1.5"}}"#,
        r#"{"d":{"$numberDecimal":"1.10"},"o":{"$oid":"0123456789abcdef01234567"},"t":true,"n":null}"#,
        r#"{"d":{"$date":{"$numberLong":"-1"}},"r":{"$regularExpression":{"pattern":"^a\"","options":"im"}}}"#,
        r#"{"b":{"$binary":{"base64":"AAEC","subType":"80"}},"s":{"$timestamp":{"t":1,"i":4294967295}}}"#,
        r#"{"c":{"$code":"x","$scope":{"y":{"$numberInt":"1"}}},"u":{"$undefined":true},"k":[{"$minKey":1},{"$maxKey":1}]}"#,
        r#"{"e":"\u0000\u0001\n\t\"\\é","f":{"$numberDouble":"1.0E+16"},"g":{"$numberDouble":"-0.0"}}"#,
        r#"{"p":{"$dbPointer":{"$ref":"a.b","$id":{"$oid":"0123456789abcdef01234567"}}},"y":{"$symbol":"s"}}"#,
    ] {
        let document = parse_document(text).unwrap();
        assert_eq!(to_canonical(document.as_raw()), text);
    }
}

#[test]
fn relaxed_text_is_for_people() {
    let text = r#"{"i":1,"l":9007199254740993,"d":1.5,"w":1.0,"at":{"$date":"2012-12-24T12:15:30.501Z"},"x":{"$numberDouble":"NaN"}}"#;
    let document = parse_document(text).unwrap();
    assert_eq!(to_relaxed(document.as_raw()), text);
    let old = parse_document(r#"{"at":{"$date":"1969-12-31T23:59:59.999Z"}}"#).unwrap();
    assert_eq!(to_relaxed(old.as_raw()), r#"{"at":{"$date":{"$numberLong":"-1"}}}"#);
    let offset = parse_document(r#"{"at":{"$date":"2020-02-29T01:00:00+01:00"}}"#).unwrap();
    assert_eq!(to_relaxed(offset.as_raw()), r#"{"at":{"$date":"2020-02-29T00:00:00Z"}}"#);
}

#[test]
fn operators_are_no_wrappers() {
    let text = r#"{"a":{"$regex":"^x","$options":"i"},"b":{"$type":"date"},"c":{"$gt":1}}"#;
    assert_eq!(to_relaxed(parse_document(text).unwrap().as_raw()), text);
}

#[test]
fn what_is_wrong_is_refused_and_located() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":tru}"#,
        r#"{"a":1} x"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{'a':1}"#,
        r#"{"a\u0000b":1}"#,
        r#"{"a":{"$oid":"xyz"}}"#,
        r#"{"a":{"$oid":"0123456789abcdef01234567","b":1}}"#,
        r#"{"a":{"$numberInt":"2147483648"}}"#,
        r#"{"a":{"$numberInt":1}}"#,
        r#"{"a":{"$numberLong":"+1"}}"#,
        r#"{"a":{"$date":"yesterday"}}"#,
        r#"{"a":{"$date":"2021-02-29T00:00:00Z"}}"#,
        r#"{"a":{"$binary":{"base64":"AA","subType":"00"}}}"#,
        r#"{"a":{"$binary":{"base64":"AA=="}}}"#,
        r#"{"a":{"$timestamp":{"t":-1,"i":0}}}"#,
        r#"{"a":{"$minKey":2}}"#,
        r#"{"a":{"$numberDouble":"1.5x"}}"#,
    ] {
        assert!(parse_document(text).is_err(), "{text}");
    }
    let error = parse_document("{\n  \"a\": nope}").unwrap_err().to_string();
    assert!(error.contains("line 2, column 8"), "{error}");
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(parse_document(&nested(crate::DEPTH_MAX)).is_ok());
    assert!(parse_document(&nested(crate::DEPTH_MAX + 1)).is_err());
    assert!(parse_value(&"[".repeat(100_000)).is_err());
}
