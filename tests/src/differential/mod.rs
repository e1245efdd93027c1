//! Two evaluators must agree: the compiled one, and a naive one written here from MongoDB's documentation.
//!
//! The naive one works on decoded values of the `bson` crate by plain recursion and shares nothing with the other:
//! neither its values nor its order, neither its paths nor its parser. Filters must give the same answer; updates the
//! same document to the byte, or fail both.
//!
//! Not here, for being another's or random: regular expressions beyond literals, places, text, `$jsonSchema`,
//! collations, `$currentDate`.

#![expect(clippy::cast_possible_truncation, reason = "the numbers that are made up are small")]

mod generate;
mod order;
mod path;
mod reference_filter;
mod reference_update;

use bson::{Bson, Document, doc};
use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::Filter;
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::update::{Update, UpdateArguments, UpdateContext};

use crate::random::Random;
use generate::Generator;

/// Pairs of a document and a filter, or an update, in an ordinary run and in a deep one.
const PAIRS: usize = 20_000;
const PAIRS_DEEP: usize = 1_000_000;

fn pairs() -> usize {
    if std::env::var_os("SHEAF_DEEP").is_some() { PAIRS_DEEP } else { PAIRS }
}

fn raw(document: &Document) -> RawDocumentBuf {
    let bytes = bson::serialize_to_vec(document).expect("a document serializes");
    RawDocument::validate(&bytes).expect("what bson writes is valid").to_buf()
}

fn decoded(document: RawDocument<'_>) -> Document {
    bson::deserialize_from_slice(document.as_bytes()).expect("what we write is valid")
}

fn compiled_filter(filter: &Document, documents: &[Document]) -> Result<Vec<bool>, i32> {
    let filter = raw(filter);
    let filter = Filter::parse(filter.as_raw(), &mut Scope::new()).map_err(|error| error.code.0)?;
    let mut environment = Environment::new(0, 0);
    let matches = |document: &Document| {
        filter.matches(raw(document).as_raw(), &mut environment).map_err(|error| error.code.0)
    };
    documents.iter().map(matches).collect()
}

#[test]
fn deep_differential_filters() {
    let mut generator = Generator(Random(1));
    let (mut compared, mut matched) = (0, 0);
    while compared < pairs() {
        let documents: Vec<Document> = (0..20).map(|_| generator.document()).collect();
        let filter = generator.filter(3);
        let found = compiled_filter(&filter, &documents);
        let found = found.unwrap_or_else(|code| panic!("{filter} is refused with {code}"));
        for (document, found) in documents.iter().zip(found) {
            let expected = reference_filter::matches(&filter, document);
            assert_eq!(
                found, expected,
                "the naive evaluator says {expected}\nfilter {filter}\non {document}"
            );
            compared += 1;
            matched += usize::from(found);
        }
    }
    println!("stage differential filters: {compared} pairs agree, {matched} of them match");
    assert!(matched * 20 > compared && matched * 20 < compared * 19, "{matched} of {compared} match");
}

fn compiled_update(
    update: &Document,
    filters: &[Document],
    document: &Document,
    matched_index: Option<usize>,
) -> Result<(Document, bool), i32> {
    let (update, document) = (raw(update), raw(document));
    let filters: Vec<RawDocumentBuf> = filters.iter().map(raw).collect();
    let filters: Vec<RawDocument<'_>> = filters.iter().map(RawDocumentBuf::as_raw).collect();
    let scope = Scope::new();
    let context = UpdateContext { array_filters: &filters, scope: &scope };
    let update = Update::parse(update.as_raw(), &context).map_err(|error| error.code.0)?;
    let mut environment = Environment::new(0, 0);
    let mut arguments = UpdateArguments { matched_index, is_insert: false, environment: &mut environment };
    let updated = update.apply(document.as_raw(), &mut arguments).map_err(|error| error.code.0)?;
    RawDocument::validate(updated.document.as_bytes()).expect("an update writes well-formed documents");
    Ok((decoded(updated.document.as_raw()), updated.modified))
}

#[test]
fn deep_differential_updates() {
    let mut generator = Generator(Random(2));
    let (mut changed, mut failed) = (0, 0);
    for pair in 0..pairs() {
        let document = generator.document();
        let (update, filters) = generator.update(&document);
        let matched_index = (pair % 3).checked_sub(1);
        let found = compiled_update(&update, &filters, &document, matched_index);
        let expected = reference_update::apply(&update, &filters, &document, matched_index);
        let told = format!("update {update:?} with {filters:?} at {matched_index:?}\non {document:?}");
        match (found, expected) {
            (_, Err(reference_update::UNSURE)) => {}
            (Ok((found, modified)), Ok(expected)) => {
                assert_eq!(bytes(&found), bytes(&expected), "found {found}\nexpected {expected}\n{told}");
                // An element of an array that is unset becomes null, even if it was.
                let differs = bytes(&found) != bytes(&document);
                assert!(modified == differs || update.contains_key("$unset"), "modified: {modified}\n{told}");
                changed += usize::from(modified);
            }
            (Err(found), Err(expected)) => {
                // Of several things that are wrong either may be told first.
                let is_alone =
                    update.values().filter_map(Bson::as_document).map(Document::len).sum::<usize>() == 1;
                assert!(found == expected || !is_alone, "found {found}, expected {expected}\n{told}");
                failed += 1;
            }
            (found, expected) => panic!("found {found:?}\nexpected {expected:?}\n{told}"),
        }
    }
    let pairs = pairs();
    println!("stage differential updates: {pairs} pairs agree, {changed} changed, {failed} refused");
    assert!(changed * 5 > pairs && failed * 50 > pairs, "{changed} changed and {failed} refused of {pairs}");
}

fn bytes(document: &Document) -> Vec<u8> {
    bson::serialize_to_vec(document).expect("a document serializes")
}

#[test]
fn the_naive_evaluator_knows_the_documented_examples() {
    let matches = |filter: Document, document: Document| reference_filter::matches(&filter, &document);
    assert!(matches(doc! {"a": 5}, doc! {"a": [1, 5]}));
    assert!(matches(doc! {"a": {"$gt": 1, "$lt": 4}}, doc! {"a": [0, 9]}));
    assert!(!matches(doc! {"a": {"$elemMatch": {"$gt": 1, "$lt": 4}}}, doc! {"a": [0, 9]}));
    assert!(matches(doc! {"a": null}, doc! {"b": 1}));
    assert!(!matches(doc! {"a": {"$ne": 1}}, doc! {"a": [1, 2]}));
    let update =
        |update: Document, document: Document| reference_update::apply(&update, &[], &document, None);
    assert_eq!(update(doc! {"$set": {"a.b": 1}}, doc! {}), Ok(doc! {"a": {"b": 1}}));
    assert_eq!(update(doc! {"$inc": {"a": 1}, "$set": {"a": 1}}, doc! {}), Err(40));
}
