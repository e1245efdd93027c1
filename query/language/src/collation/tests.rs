//! What collations say of strings, by the rules ICU publishes for each locale.

use std::cmp::Ordering::{self, Equal, Greater, Less};

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use super::Collation;

fn document(fields: &[(&str, Value<'static>)]) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for (key, value) in fields {
        builder.append_value(key, value);
    }
    builder.build()
}

fn parse(fields: &[(&str, Value<'static>)]) -> Result<Collation, i32> {
    Collation::parse(document(fields).as_raw()).map_err(|error| error.code.0)
}

fn compare(fields: &[(&str, Value<'static>)], left: &str, right: &str) -> Ordering {
    let collation = parse(fields).unwrap();
    let collator = collation.collator().unwrap();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    collator.sort_key(left, &mut a);
    collator.sort_key(right, &mut b);
    assert_eq!(a.cmp(&b), collator.compare(left, right), "sort keys order as the comparison does");
    collator.compare(left, right)
}

#[test]
fn strength_decides_what_counts() {
    let with = |strength: i32| [("locale", Value::from("en")), ("strength", Value::from(strength))];
    assert_eq!(compare(&with(1), "Résumé", "resume"), Equal);
    assert_eq!(compare(&with(2), "Resume", "resume"), Equal);
    assert_eq!(compare(&with(2), "résumé", "resume"), Greater);
    assert_eq!(compare(&with(3), "Resume", "resume"), Greater);
    assert_eq!(compare(&with(4), "a\u{200b}b", "ab"), Equal);
    assert_ne!(compare(&with(5), "a\u{200b}b", "ab"), Equal);
}

#[test]
fn options_refine_the_locale() {
    let numeric = [("locale", Value::from("en")), ("numericOrdering", Value::from(true))];
    assert_eq!(compare(&numeric, "item 9", "item 10"), Less);
    let upper = [("locale", Value::from("en")), ("caseFirst", Value::from("upper"))];
    assert_eq!(compare(&upper, "A", "a"), Less);
    let level =
        [("locale", Value::from("en")), ("strength", Value::from(1)), ("caseLevel", Value::from(true))];
    assert_eq!(compare(&level, "e", "é"), Equal);
    assert_eq!(compare(&level, "e", "E"), Less);
    let shifted = [("locale", Value::from("en")), ("alternate", Value::from("shifted"))];
    assert_eq!(compare(&shifted, "a-b", "ab"), Equal);
}

#[test]
fn locales_have_their_own_order() {
    assert_eq!(compare(&[("locale", Value::from("sv"))], "ö", "z"), Greater);
    assert_eq!(compare(&[("locale", Value::from("de"))], "ö", "z"), Less);
    assert_eq!(compare(&[("locale", Value::from("fr"))], "coté", "côte"), Less);
    assert_eq!(compare(&[("locale", Value::from("fr_CA"))], "coté", "côte"), Greater);
    let backwards = |on: bool| [("locale", Value::from("fr")), ("backwards", Value::from(on))];
    assert_eq!(compare(&backwards(true), "coté", "côte"), Greater);
    assert_eq!(compare(&backwards(false), "coté", "côte"), Less);
    let thai = [("locale", Value::from("th")), ("strength", Value::from(1))];
    assert_eq!(compare(&thai, "a b", "ab"), Equal, "Thai passes over spaces unless told otherwise");
    assert!(parse(&[("locale", Value::from("de@collation=phonebook"))]).is_ok());
}

#[test]
fn simple_is_binary() {
    let simple = parse(&[("locale", Value::from("simple")), ("strength", Value::from(1))]).unwrap();
    assert!(simple.is_simple() && simple.collator().is_none());
    assert_eq!(format!("{:?}", simple.to_document()), r#"{"locale": String("simple")}"#);
}

#[test]
fn bad_documents_are_refused_with_their_codes() {
    let en = ("locale", Value::from("en"));
    for (fields, code) in [
        (vec![], 40_414),
        (vec![("strength", Value::from(2))], 40_414),
        (vec![("locale", Value::from(1))], 14),
        (vec![("locale", Value::from("zzz"))], 2),
        (vec![("locale", Value::from(""))], 2),
        (vec![("locale", Value::from("en@collation=nonsense"))], 2),
        (vec![en.clone(), ("strength", Value::from(0))], 2),
        (vec![en.clone(), ("strength", Value::from(6))], 2),
        (vec![en.clone(), ("strength", Value::from("2"))], 14),
        (vec![en.clone(), ("caseFirst", Value::from("sideways"))], 2),
        (vec![en.clone(), ("caseFirst", Value::from("upper")), ("strength", Value::from(1))], 2),
        (vec![en.clone(), ("backwards", Value::from(true)), ("strength", Value::from(1))], 2),
        (vec![en.clone(), ("colour", Value::from(1))], 40_415),
        (vec![en.clone(), ("version", Value::from("1.0"))], 161),
        (vec![("locale", Value::from("sv")), ("backwards", Value::from(true))], 2),
    ] {
        assert_eq!(parse(&fields).map(|_| ()), Err(code), "{fields:?}");
    }
}

#[test]
fn the_specification_is_shown_whole_and_reads_back() {
    let collation = parse(&[("locale", Value::from("en")), ("strength", Value::from(2))]).unwrap();
    let shown = collation.to_document();
    assert_eq!(shown.as_raw().iter().count(), 10);
    assert_eq!(Collation::parse(shown.as_raw()).unwrap(), collation);
}
