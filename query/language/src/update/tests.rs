//! What updates make of documents. Documents are written in extended JSON and shown in relaxed extended JSON.

use sheaf_document::{RawDocument, RawDocumentBuf, json};

use super::{Update, UpdateArguments, UpdateContext};
use crate::expression::{Environment, Scope};

fn document(text: &str) -> RawDocumentBuf {
    json::parse_document(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

struct Case<'c> {
    filters: &'c [&'c str],
    matched: Option<usize>,
    is_insert: bool,
}

const PLAIN: Case<'static> = Case { filters: &[], matched: None, is_insert: false };

impl Case<'_> {
    /// The new document, or the code of the error.
    fn run(&self, before: &str, update: &str) -> Result<(String, bool), i32> {
        let filters: Vec<RawDocumentBuf> = self.filters.iter().map(|filter| document(filter)).collect();
        let filters: Vec<RawDocument<'_>> = filters.iter().map(RawDocumentBuf::as_raw).collect();
        let scope = Scope::new();
        let context = UpdateContext { array_filters: &filters, scope: &scope };
        let update = Update::parse(document(update).as_raw(), &context).map_err(|error| error.code.0)?;
        let mut environment = Environment::new(1_700_000_000_000, 1);
        let mut arguments = UpdateArguments {
            matched_index: self.matched,
            is_insert: self.is_insert,
            environment: &mut environment,
        };
        let updated =
            update.apply(document(before).as_raw(), &mut arguments).map_err(|error| error.code.0)?;
        Ok((json::to_relaxed(updated.document.as_raw()), updated.modified))
    }
}

#[track_caller]
fn becomes(before: &str, update: &str, after: &str) {
    let (text, modified) = PLAIN.run(before, update).unwrap_or_else(|code| panic!("{update}: code {code}"));
    assert_eq!(text, json::to_relaxed(document(after).as_raw()), "{update}");
    let same = json::to_canonical(document(before).as_raw()) == json::to_canonical(document(after).as_raw());
    assert_eq!(modified, !same, "{update}: modified");
}

#[track_caller]
fn fails(before: &str, update: &str, code: i32) {
    assert_eq!(PLAIN.run(before, update), Err(code), "{update} on {before}");
}

#[test]
fn set_and_unset() {
    becomes(r#"{"a":1}"#, r#"{"$set":{"b":2,"a":5}}"#, r#"{"a":5,"b":2}"#);
    becomes(r#"{"a":1}"#, r#"{"$set":{"a":1}}"#, r#"{"a":1}"#);
    becomes(
        r#"{}"#,
        r#"{"$set":{"z":1,"b.c.d":2,"10":1,"9":1}}"#,
        r#"{"9":1,"10":1,"b":{"c":{"d":2}},"z":1}"#,
    );
    becomes(r#"{"a":[1,2]}"#, r#"{"$set":{"a.3":9}}"#, r#"{"a":[1,2,null,9]}"#);
    becomes(r#"{"a":[1,{"b":2}]}"#, r#"{"$set":{"a.1.b":3}}"#, r#"{"a":[1,{"b":3}]}"#);
    becomes(r#"{"a":{"b":1,"c":2}}"#, r#"{"$unset":{"a.b":"","x.y":1}}"#, r#"{"a":{"c":2}}"#);
    becomes(r#"{"a":[1,2]}"#, r#"{"$unset":{"a.0":1,"a.b":1}}"#, r#"{"a":[null,2]}"#);
    fails(r#"{"a":1}"#, r#"{"$set":{"a.b":1}}"#, 28);
    fails(r#"{"a":null}"#, r#"{"$set":{"a.b":1}}"#, 28);
    fails(r#"{"a":[{"b":1}]}"#, r#"{"$set":{"a.b":1}}"#, 28);
    fails(r#"{"a":[]}"#, r#"{"$set":{"a.2000000":1}}"#, 2);
}

#[test]
fn paths_that_make_no_sense() {
    for (update, code) in [
        (r#"{"$set":{"":1}}"#, 56),
        (r#"{"$set":{"a..b":1}}"#, 56),
        (r#"{"$set":{"$x":1}}"#, 52),
        (r#"{"$set":{"$":1}}"#, 2),
        (r#"{"$set":{"a.$.b.$":1}}"#, 2),
        (r#"{"$set":{"a":1,"a.b":2}}"#, 40),
        (r#"{"$set":{"a":1},"$inc":{"a":2}}"#, 40),
        (r#"{"$set":{"a.$[]":1,"a.0":2}}"#, 40),
        (r#"{"$set":5}"#, 9),
        (r#"{"$nonsense":{"a":1}}"#, 9),
        (r#"{"$set":{"a":1},"b":2}"#, 9),
        (r#"{"$set":{"a.$[x]":1}}"#, 2),
    ] {
        fails(r#"{"a":[1]}"#, update, code);
    }
}

#[test]
fn arithmetic_keeps_types() {
    becomes(r#"{"a":1}"#, r#"{"$inc":{"a":2}}"#, r#"{"a":3}"#);
    becomes(r#"{}"#, r#"{"$inc":{"a":2},"$mul":{"b":7}}"#, r#"{"a":2,"b":0}"#);
    becomes(r#"{"a":2147483647}"#, r#"{"$inc":{"a":1}}"#, r#"{"a":{"$numberLong":"2147483648"}}"#);
    becomes(r#"{"a":{"$numberLong":"5"}}"#, r#"{"$mul":{"a":2}}"#, r#"{"a":{"$numberLong":"10"}}"#);
    becomes(r#"{"a":1}"#, r#"{"$inc":{"a":0.5}}"#, r#"{"a":1.5}"#);
    becomes(
        r#"{"a":{"$numberDecimal":"1.10"}}"#,
        r#"{"$inc":{"a":1}}"#,
        r#"{"a":{"$numberDecimal":"2.10"}}"#,
    );
    becomes(r#"{"a":12}"#, r#"{"$bit":{"a":{"and":10,"or":1}}}"#, r#"{"a":9}"#);
    fails(r#"{"a":{"$numberLong":"9223372036854775807"}}"#, r#"{"$inc":{"a":1}}"#, 2);
    fails(r#"{"a":"x"}"#, r#"{"$inc":{"a":1}}"#, 14);
    fails(r#"{"a":1}"#, r#"{"$mul":{"a":"x"}}"#, 14);
    fails(r#"{"a":1.5}"#, r#"{"$bit":{"a":{"and":1}}}"#, 2);
}

#[test]
fn extremes_and_dates() {
    becomes(r#"{"a":5}"#, r#"{"$min":{"a":3},"$max":{"b":1}}"#, r#"{"a":3,"b":1}"#);
    becomes(r#"{"a":5}"#, r#"{"$max":{"a":3}}"#, r#"{"a":5}"#);
    becomes(r#"{"a":5}"#, r#"{"$max":{"a":"x"}}"#, r#"{"a":"x"}"#);
    becomes(r#"{}"#, r#"{"$currentDate":{"d":true}}"#, r#"{"d":{"$date":"2023-11-14T22:13:20Z"}}"#);
    // Without a clock of the cluster, a timestamp has the seconds of the update's own.
    becomes(
        r#"{}"#,
        r#"{"$currentDate":{"d":{"$type":"timestamp"}}}"#,
        r#"{"d":{"$timestamp":{"t":1700000000,"i":1}}}"#,
    );
    fails(r#"{}"#, r#"{"$currentDate":{"d":{"$type":"Date"}}}"#, 2);
}

#[test]
fn arrays_grow_and_shrink() {
    becomes(r#"{"a":[1]}"#, r#"{"$push":{"a":2,"b":1}}"#, r#"{"a":[1,2],"b":[1]}"#);
    becomes(r#"{"a":[5,1]}"#, r#"{"$push":{"a":{"$each":[3,4],"$sort":-1,"$slice":3}}}"#, r#"{"a":[5,4,3]}"#);
    becomes(r#"{"a":[1,2]}"#, r#"{"$push":{"a":{"$each":[9],"$position":-1}}}"#, r#"{"a":[1,9,2]}"#);
    becomes(r#"{"a":[1,2,3]}"#, r#"{"$push":{"a":{"$each":[],"$slice":-2}}}"#, r#"{"a":[2,3]}"#);
    becomes(
        r#"{"a":[{"x":2},{"x":1,"y":1}]}"#,
        r#"{"$push":{"a":{"$each":[],"$sort":{"x":1}}}}"#,
        r#"{"a":[{"x":1,"y":1},{"x":2}]}"#,
    );
    becomes(r#"{"a":[1,2]}"#, r#"{"$addToSet":{"a":{"$each":[2,3,3.0]}}}"#, r#"{"a":[1,2,3]}"#);
    becomes(r#"{"a":[1,2]}"#, r#"{"$addToSet":{"a":2}}"#, r#"{"a":[1,2]}"#);
    becomes(r#"{"a":[1,2]}"#, r#"{"$pop":{"a":-1,"b":1}}"#, r#"{"a":[2]}"#);
    becomes(r#"{"a":[1,2,1,3]}"#, r#"{"$pull":{"a":1}}"#, r#"{"a":[2,3]}"#);
    becomes(r#"{"a":[1,5,9]}"#, r#"{"$pull":{"a":{"$gte":5}}}"#, r#"{"a":[1]}"#);
    becomes(r#"{"a":[{"x":1,"y":2},{"x":2}]}"#, r#"{"$pull":{"a":{"x":1}}}"#, r#"{"a":[{"x":2}]}"#);
    becomes(r#"{"a":[1,2,3]}"#, r#"{"$pullAll":{"a":[1,3]}}"#, r#"{"a":[2]}"#);
    for (update, code) in [
        (r#"{"$push":{"b":1}}"#, 2),
        (r#"{"$addToSet":{"b":1}}"#, 2),
        (r#"{"$addToSet":{"a":{"$each":1}}}"#, 14),
        (r#"{"$pop":{"b":1}}"#, 14),
        (r#"{"$pop":{"a":2}}"#, 9),
        (r#"{"$pull":{"b":1}}"#, 2),
        (r#"{"$pullAll":{"a":1}}"#, 2),
        (r#"{"$push":{"a":{"$each":[1],"$slice":"x"}}}"#, 2),
        (r#"{"$push":{"a":{"$each":[1],"$nonsense":1}}}"#, 2),
    ] {
        fails(r#"{"a":[1],"b":7}"#, update, code);
    }
}

#[test]
fn rename_moves_a_value() {
    becomes(r#"{"a":1,"b":2}"#, r#"{"$rename":{"a":"c.d"}}"#, r#"{"b":2,"c":{"d":1}}"#);
    becomes(r#"{"a":1,"b":2}"#, r#"{"$rename":{"a":"b"}}"#, r#"{"b":1}"#);
    becomes(r#"{"a":1}"#, r#"{"$rename":{"x":"a"}}"#, r#"{"a":1}"#);
    // Nothing to rename asks nothing of the new name; what has no fields cannot have the old one.
    becomes(r#"{"a":1}"#, r#"{"$rename":{"x":"a.b"}}"#, r#"{"a":1}"#);
    becomes(r#"{"a":[1]}"#, r#"{"$rename":{"x":"a.b"}}"#, r#"{"a":[1]}"#);
    fails(r#"{"a":1}"#, r#"{"$rename":{"a.b":"c"}}"#, 28);
    fails(r#"{"a":1}"#, r#"{"$rename":{"a":"a"}}"#, 2);
    fails(r#"{"a":1}"#, r#"{"$rename":{"a":"a.b"}}"#, 2);
    fails(r#"{"a":[{"b":1}]}"#, r#"{"$rename":{"a.b":"c"}}"#, 2);
    fails(r#"{"a":1}"#, r#"{"$rename":{"a":1}}"#, 2);
}

#[test]
fn elements_are_chosen() {
    let matched = Case { matched: Some(1), ..PLAIN };
    let run = |case: &Case<'_>, before, update| case.run(before, update).map(|(text, _)| text);
    assert_eq!(run(&matched, r#"{"a":[1,2,3]}"#, r#"{"$set":{"a.$":9}}"#), Ok(r#"{"a":[1,9,3]}"#.into()));
    assert_eq!(run(&PLAIN, r#"{"a":[1,2,3]}"#, r#"{"$set":{"a.$":9}}"#), Err(2));
    assert_eq!(run(&PLAIN, r#"{"a":[1,2]}"#, r#"{"$inc":{"a.$[]":10}}"#), Ok(r#"{"a":[11,12]}"#.into()));
    assert_eq!(run(&PLAIN, r#"{"a":1}"#, r#"{"$inc":{"a.$[]":10}}"#), Err(2));
    assert_eq!(run(&PLAIN, r#"{}"#, r#"{"$inc":{"a.$[]":10}}"#), Err(2));
    let filtered = Case { filters: &[r#"{"big.n":{"$gt":5}}"#], ..PLAIN };
    assert_eq!(
        run(&filtered, r#"{"a":[{"n":1},{"n":9}]}"#, r#"{"$set":{"a.$[big].hit":true}}"#),
        Ok(r#"{"a":[{"n":1},{"n":9,"hit":true}]}"#.into())
    );
    assert_eq!(run(&filtered, r#"{"a":[]}"#, r#"{"$set":{"a":1}}"#), Err(9), "the filter is not used");
    assert_eq!(
        run(&filtered, r#"{"a":[{"n":9}]}"#, r#"{"$set":{"a.$[big].n":1,"a.$[].n":2}}"#),
        Err(40),
        "both choose the same element"
    );
}

#[test]
fn inserts_are_told_apart() {
    let insert = Case { is_insert: true, ..PLAIN };
    assert_eq!(
        insert.run(r#"{"_id":1}"#, r#"{"$setOnInsert":{"a":1}}"#),
        Ok((r#"{"_id":1,"a":1}"#.into(), true))
    );
    becomes(r#"{"_id":1}"#, r#"{"$setOnInsert":{"a":1}}"#, r#"{"_id":1}"#);
}

#[test]
fn the_id_stays() {
    fails(r#"{"_id":1}"#, r#"{"$set":{"_id":2}}"#, 66);
    fails(r#"{"_id":{"a":1}}"#, r#"{"$set":{"_id.a":2}}"#, 66);
    fails(r#"{"_id":1}"#, r#"{"$unset":{"_id":1}}"#, 66);
    fails(r#"{"_id":1}"#, r#"{"_id":2,"a":1}"#, 66);
    becomes(r#"{"_id":1}"#, r#"{"$set":{"_id":1}}"#, r#"{"_id":1}"#);
}

#[test]
fn replacement_keeps_the_id_in_front() {
    becomes(r#"{"_id":7,"a":1}"#, r#"{"b":2}"#, r#"{"_id":7,"b":2}"#);
    becomes(r#"{"_id":7,"a":1}"#, r#"{"b":2,"_id":7}"#, r#"{"_id":7,"b":2}"#);
    becomes(r#"{"_id":7,"a":1}"#, r#"{}"#, r#"{"_id":7}"#);
    fails(r#"{"_id":7}"#, r#"{"a":1,"$set":{"b":1}}"#, 52);
}
