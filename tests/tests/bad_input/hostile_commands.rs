//! Commands that ask for more than anybody needs: each is refused by name, soon and in little memory.

use sheaf_command::{Commands, Identity};
use sheaf_document::{Error, RawDocument};
use sheaf_engine::{Database, DatabaseOptions};

use crate::fixture::{contents, document, filled, run};

/// A pipeline that makes its own documents, with these stages behind.
fn pipeline(stages: &str) -> String {
    format!(r#"{{"aggregate":1,"cursor":{{}},"pipeline":[{{"$documents":[{{"_id":1}}]}},{stages}]}}"#)
}

fn project(expression: &str) -> String {
    pipeline(&format!(r#"{{"$project":{{"r":{expression}}}}}"#))
}

#[test]
fn pipelines_of_ten_thousand_stages_are_refused() {
    let session = filled();
    let before = contents(&session);
    let stages = vec![r#"{"$match":{}}"#; 10_000].join(",");
    assert_eq!(run(&session, &pipeline(&stages)), Some(7_749_501));
    let facet = format!(r#"{{"$facet":{{"a":[{stages}]}}}}"#);
    assert_eq!(run(&session, &pipeline(&facet)), Some(7_749_501));
    let update = format!(
        r#"{{"update":"things","updates":[{{"q":{{}},"u":[{}]}}]}}"#,
        stages.replace("$match", "$set")
    );
    assert_eq!(run(&session, &update), Some(7_749_501));
    assert_eq!(contents(&session), before);
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let session = filled();
    assert_eq!(run(&session, &project(r#"{"$range":[0,2147483647]}"#)), Some(146));
    assert_eq!(run(&session, &project(r#"{"$range":[0,{"$numberLong":"2147483648"}]}"#)), Some(34_446));
    let maps = r#"{"$size":{"$map":{"input":{"$range":[0,100000]},"as":"a","in":
        {"$map":{"input":{"$range":[0,100000]},"as":"b","in":"$$a"}}}}}"#;
    assert_eq!(run(&session, &project(maps)), Some(146));
}

#[test]
fn patterns_that_backtrack_are_stopped() {
    let session = filled();
    let text = "a".repeat(5_000);
    let insert = format!(r#"{{"insert":"things","documents":[{{"_id":9,"s":"{text}b"}}]}}"#);
    assert_eq!(run(&session, &insert), None);
    let find = r#"{"find":"things","filter":{"s":{"$regex":"^(a+)+$"}}}"#;
    assert_eq!(run(&session, find), Some(51_156));
    let expression = format!(r#"{{"$regexMatch":{{"input":"{text}b","regex":"^(a+)+$"}}}}"#);
    assert_eq!(run(&session, &project(&expression)), Some(51_156));
}

#[test]
fn views_that_lead_to_themselves_are_refused() {
    let session = filled();
    assert_eq!(run(&session, r#"{"create":"a","viewOn":"b","pipeline":[]}"#), None);
    assert_eq!(run(&session, r#"{"create":"b","viewOn":"a","pipeline":[]}"#), Some(5));
    assert_eq!(run(&session, r#"{"create":"c","viewOn":"c","pipeline":[]}"#), Some(5));
    assert_eq!(run(&session, r#"{"find":"a"}"#), None, "what it reads is not there");
}

#[test]
fn facets_that_hold_too_much_are_refused() {
    let options = DatabaseOptions {
        operator_memory_bytes_max: 64 << 10,
        allow_disk_use: false,
        ..DatabaseOptions::default()
    };
    let session = Commands::new(Database::in_memory(options).unwrap(), Identity::default()).connect();
    let many = r#"{"aggregate":1,"cursor":{},"pipeline":[
        {"$documents":{"$map":{"input":{"$range":[0,5000]},"in":{"a":"a text of some bytes"}}}},
        {"$facet":{"one":[{"$match":{}}],"two":[{"$match":{}}]}}]}"#;
    let code = run(&session, many);
    assert!(matches!(code, Some(146 | 292)), "{code:?}");
}

#[test]
fn names_with_zero_bytes_are_refused() {
    let session = filled();
    let before = contents(&session);
    for (command, expected) in [
        (r#"{"find":"a\u0000b"}"#, 73),
        (r#"{"create":"a\u0000b"}"#, 73),
        (r#"{"createIndexes":"things","indexes":[{"key":{"x":1},"name":"a\u0000b"}]}"#, 2),
        (r#"{"distinct":"things","key":"a\u0000b"}"#, 31_032),
    ] {
        assert_eq!(run(&session, command), Some(expected), "{command}");
    }
    assert_eq!(run(&session, &project(r#""$a\u0000b""#)), Some(16_411));
    assert_eq!(contents(&session), before);
}

#[test]
fn names_that_are_no_utf8_are_malformed() {
    for (place, text) in [("find", "things"), ("findx", "name")] {
        let mut bytes = document(&format!(r#"{{"{place}":"{text}"}}"#)).into_bytes();
        for needle in [place, text] {
            let position = bytes.windows(needle.len()).position(|part| part == needle.as_bytes()).unwrap();
            let kept = std::mem::replace(&mut bytes[position], 0xff);
            assert!(matches!(RawDocument::validate(&bytes), Err(Error::Malformed { .. })), "{needle}");
            bytes[position] = kept;
        }
        assert!(RawDocument::validate(&bytes).is_ok());
    }
}

#[test]
fn dates_out_of_range_are_refused() {
    let session = filled();
    for expression in [
        r#"{"$dateAdd":{"startDate":{"$date":"2000-01-01T00:00:00Z"},"unit":"year","amount":{"$numberLong":"9000000000000000000"}}}"#,
        r#"{"$dateFromParts":{"year":1000000}}"#,
        r#"{"$toDate":1e300}"#,
        r#"{"$dateToString":{"date":{"$date":{"$numberLong":"9223372036854775807"}},"format":"%Y"}}"#,
        r#"{"$add":[{"$date":{"$numberLong":"9223372036854775807"}},1]}"#,
    ] {
        let code = run(&session, &project(expression));
        assert!(code.is_some_and(|code| code != 1), "{expression}: {code:?}");
    }
}

#[test]
fn expressions_and_filters_that_nest_without_end_are_refused() {
    let session = filled();
    let before = contents(&session);
    let expression = format!("{}1{}", r#"{"$not":["#.repeat(40), "]}".repeat(40));
    assert_eq!(run(&session, &project(&expression)), None, "what fits into a document is evaluated");
    let filter = format!("{}{{}}{}", r#"{"$and":["#.repeat(2_000), "]}".repeat(2_000));
    let find = format!(r#"{{"find":"things","filter":{filter}}}"#);
    // The door refuses it already: a document has an end to its nesting.
    assert!(sheaf_document::json::parse_document(&find).is_err());
    let mut pipeline = r#"[{"$match":{}}]"#.to_owned();
    for _ in 0..25 {
        pipeline = format!(r#"[{{"$lookup":{{"from":"things","as":"a","pipeline":{pipeline}}}}}]"#);
    }
    let nested = format!(r#"{{"aggregate":"things","cursor":{{}},"pipeline":{pipeline}}}"#);
    assert_eq!(run(&session, &nested), Some(232));
    assert_eq!(contents(&session), before);
}
