//! The cases of Meteor's minimongo, an emulation of MongoDB in the browser. Where it differs from MongoDB 8, MongoDB
//! is right; those cases are listed with the reason.

use serde_json::Value as Json;
use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::Filter;
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::update::{Update, UpdateArguments, UpdateContext};

use crate::extended;

/// What went wrong.
type Failure = String;

/// Cases in which minimongo differs from MongoDB 8, by the reason.
const DIFFERENCES: &[(&str, &[u64])] = &[
    ("minimongo refuses an empty or zero _id; MongoDB stores and finds them", &[10, 11]),
    (
        "JavaScript has one type of number and looks into arrays for type 4; in MongoDB 1 is double, and an array is one",
        &[278, 318, 319, 320, 322, 325],
    ),
    ("options both in the pattern and in $options are an error (51075) in MongoDB", &[345, 346]),
    ("$where needs JavaScript, which is refused", &[608, 609, 610, 611, 612, 613, 614, 615, 616]),
    (
        "fields below the top, and in replacements, may start with a dollar or contain a dot since MongoDB 5",
        &[663, 664, 809, 810, 812, 856, 857, 858, 862, 906, 907, 908, 910, 912, 913, 914, 916, 978, 981, 982],
    ),
    (
        "a key with a zero byte cannot be written in BSON; the doors refuse it",
        &[665, 811, 859, 909, 911, 983],
    ),
    ("the positional $ works with $or", &[708]),
    ("the nearest element decides in minimongo, the first match in MongoDB", &[714, 717, 720, 721]),
    ("a stored document always has an _id, which these have not", &[738, 759, 772, 796, 806, 828, 1028]),
    ("$currentDate takes any boolean, and a $type", &[739, 741]),
    (
        "$min and $max compare across types in MongoDB",
        &[745, 746, 747, 748, 749, 750, 751, 752, 782, 783, 784, 785, 786, 787, 788, 789],
    ),
    ("$position may be negative since MongoDB 3.6", &[844]),
    (
        "$pushAll is gone since MongoDB 3.6",
        &[870, 871, 872, 873, 874, 875, 876, 877, 878, 881, 882, 883, 884],
    ),
    ("$addToSet takes nothing beside $each", &[915]),
    ("$pop takes 1 and -1 only", &[922, 923, 924, 925, 927, 928]),
    (
        "a replacement takes nothing but _id from the filter",
        &[1015, 1018, 1019, 1020, 1021, 1022, 1023, 1025],
    ),
    ("the expectation leaves out the _id that the filter gives", &[1026]),
];

fn environment() -> Environment {
    Environment::new(1_700_000_000_000, 1)
}

fn filter(json: &Json) -> Result<Filter, Failure> {
    let document = extended::document(json).ok_or("the filter is no document")?;
    Filter::parse(document.as_raw(), &mut Scope::new()).map_err(|error| error.to_string())
}

fn apply(
    json: &Json,
    document: RawDocument<'_>,
    matched_index: Option<usize>,
    is_insert: bool,
) -> Result<RawDocumentBuf, Failure> {
    let update = extended::value(json);
    let update = update.as_ref().ok_or("no update")?;
    let scope = Scope::new();
    let context = UpdateContext { array_filters: &[], scope: &scope };
    let update = Update::parse_value(update, &context).map_err(|error| error.to_string())?;
    let mut environment = environment();
    let mut arguments = UpdateArguments { matched_index, is_insert, environment: &mut environment };
    let updated = update.apply(document, &mut arguments).map_err(|error| error.to_string())?;
    Ok(updated.document)
}

fn run(case: &Json) -> Result<(), Failure> {
    let expect = |actual: &RawDocumentBuf| {
        let expected = extended::document(&case["expected"]).ok_or("nothing expected")?;
        if *actual == expected { Ok(()) } else { Err(format!("{actual:?} instead of {expected:?}")) }
    };
    match case["kind"].as_str().unwrap() {
        "match" => {
            let document = extended::document(&case["doc"]).ok_or("no document")?;
            let matched = filter(&case["filter"])?
                .matches(document.as_raw(), &mut environment())
                .map_err(|error| error.to_string())?;
            if Some(matched) == case["match"].as_bool() { Ok(()) } else { Err(format!("matched: {matched}")) }
        }
        "update" => {
            let document = extended::document(&case["doc"]).ok_or("no document")?;
            let position = filter(&case["query"])?
                .match_position(document.as_raw(), &mut environment())
                .map_err(|error| error.to_string())?
                .ok_or("not matched")?;
            expect(&apply(&case["update"], document.as_raw(), position.0, false)?)
        }
        "update_error" => {
            let document = extended::document(&case["doc"]).ok_or("no document")?;
            let Ok(filter) = filter(&case["query"]) else { return Ok(()) };
            let position = filter
                .match_position(document.as_raw(), &mut environment())
                .map_err(|error| error.to_string())?
                .unwrap_or_default();
            match apply(&case["update"], document.as_raw(), position.0, false) {
                Err(_) => Ok(()),
                Ok(after) => Err(format!("should fail, but became {after:?}")),
            }
        }
        "upsert" => {
            // minimongo promises no order of fields here.
            let (made, expected) =
                (upsert(case)?, extended::document(&case["expected"]).ok_or("nothing expected")?);
            if sorted(&made) == sorted(&expected) { Ok(()) } else { Err(format!("{made:?}")) }
        }
        "upsert_error" => match upsert(case) {
            Err(_) => Ok(()),
            Ok(after) => Err(format!("should fail, but made {after:?}")),
        },
        "upsert_existing" => {
            let document = extended::document(&case["existing"]).ok_or("no document")?;
            expect(&apply(&case["update"], document.as_raw(), None, false)?)
        }
        other => Err(format!("unknown kind {other}")),
    }
}

/// The fields in an order of our own.
fn sorted(document: &RawDocumentBuf) -> Vec<String> {
    let mut fields: Vec<String> = document.as_raw().iter().map(|element| format!("{element:?}")).collect();
    fields.sort();
    fields
}

fn upsert(case: &Json) -> Result<RawDocumentBuf, Failure> {
    let filter = filter(&case["query"])?;
    let is_replacement = case["update"]
        .as_object()
        .is_some_and(|update| update.keys().next().is_none_or(|first| !first.starts_with('$')));
    let seed = if is_replacement { filter.upsert_id() } else { filter.upsert_document() };
    let seed = seed.map_err(|error| error.to_string())?;
    apply(&case["update"], seed.as_raw(), None, true)
}

#[test]
fn filters_and_updates_agree_with_minimongo() {
    let Some(folder) = crate::suite("minimongo") else { return };
    let text = std::fs::read_to_string(folder.join("minimongo.jsonl")).unwrap();
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let filter = if case["filter"].is_null() { &case["query"] } else { &case["filter"] };
        let id = case["id"].as_u64().unwrap();
        if extended::document(filter).is_none() {
            skipped += 1;
            continue;
        }
        match run(&case) {
            Ok(()) => passed += 1,
            Err(failure) => failed.push((id, format!("{id}: {failure}\n    {line}"))),
        }
    }
    println!("minimongo: {passed} passed, {} failed, {skipped} not applicable", failed.len());
    let known: Vec<u64> = DIFFERENCES.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    let unexpected: Vec<&str> =
        failed.iter().filter(|(id, _)| !known.contains(id)).map(|(_, text)| text.as_str()).collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let agreed: Vec<&u64> = known.iter().filter(|known| failed.iter().all(|(id, _)| id != *known)).collect();
    assert!(agreed.is_empty(), "listed as different, but they agree: {agreed:?}");
}
