//! The cases of Meteor's minimongo, an emulation of MongoDB in the browser. Where it differs from MongoDB 8, MongoDB
//! is right; those cases are listed with the reason.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef, json};
use sheaf_language::Filter;
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::MatchedPosition;
use sheaf_language::update::{Update, UpdateArguments, UpdateContext};

/// What went wrong.
type Failure = String;

/// Cases in which minimongo differs from MongoDB 8, by the reason.
const DIFFERENCES: &[(&str, &[i32])] = &[
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

/// A document of the case.
fn document<'c>(case: RawDocument<'c>, name: &str) -> Result<RawDocument<'c>, Failure> {
    case.get(name).and_then(ValueRef::as_document).ok_or_else(|| format!("there is no document '{name}'"))
}

fn filter(case: RawDocument<'_>, name: &str) -> Result<Filter, Failure> {
    Filter::parse(document(case, name)?, &mut Scope::new()).map_err(|error| error.to_string())
}

fn apply(
    case: RawDocument<'_>,
    document: RawDocument<'_>,
    matched_index: Option<usize>,
    is_insert: bool,
) -> Result<RawDocumentBuf, Failure> {
    let update = self::document(case, "update")?;
    let scope = Scope::new();
    let context = UpdateContext { array_filters: &[], scope: &scope };
    let update = Update::parse(update, &context).map_err(|error| error.to_string())?;
    let mut environment = environment();
    let mut arguments = UpdateArguments { matched_index, is_insert, environment: &mut environment };
    let updated = update.apply(document, &mut arguments).map_err(|error| error.to_string())?;
    Ok(updated.document)
}

fn expect(actual: &RawDocumentBuf, expected: RawDocument<'_>) -> Result<(), Failure> {
    if actual.as_raw() == expected { Ok(()) } else { Err(format!("{actual:?} instead of {expected:?}")) }
}

fn refuse(outcome: Result<RawDocumentBuf, Failure>) -> Result<(), Failure> {
    match outcome {
        Err(_) => Ok(()),
        Ok(after) => Err(format!("should fail, but became {after:?}")),
    }
}

fn run(case: RawDocument<'_>) -> Result<(), Failure> {
    match case.get("kind").and_then(ValueRef::as_str).unwrap_or_default() {
        "match" => {
            let matched = filter(case, "filter")?
                .matches(document(case, "doc")?, &mut environment())
                .map_err(|error| error.to_string())?;
            let agrees = case.get("match") == Some(ValueRef::Boolean(matched));
            if agrees { Ok(()) } else { Err(format!("matched: {matched}")) }
        }
        "update" => {
            let before = document(case, "doc")?;
            let position = position(&filter(case, "query")?, before)?.ok_or("not matched")?;
            expect(&apply(case, before, position.0, false)?, document(case, "expected")?)
        }
        "update_error" => {
            let Ok(filter) = filter(case, "query") else { return Ok(()) };
            let before = document(case, "doc")?;
            let position = position(&filter, before)?.unwrap_or_default();
            refuse(apply(case, before, position.0, false))
        }
        "upsert" => {
            // minimongo promises no order of fields here.
            let (made, expected) = (upsert(case)?, document(case, "expected")?);
            if sorted(made.as_raw()) == sorted(expected) { Ok(()) } else { Err(format!("{made:?}")) }
        }
        "upsert_error" => refuse(upsert(case)),
        "upsert_existing" => {
            let after = apply(case, document(case, "existing")?, None, false)?;
            expect(&after, document(case, "expected")?)
        }
        other => Err(format!("unknown kind {other}")),
    }
}

fn position(filter: &Filter, document: RawDocument<'_>) -> Result<Option<MatchedPosition>, Failure> {
    filter.match_position(document, &mut environment()).map_err(|error| error.to_string())
}

/// The fields in an order of our own.
fn sorted(document: RawDocument<'_>) -> Vec<String> {
    let mut fields: Vec<String> = document.iter().map(|element| format!("{element:?}")).collect();
    fields.sort();
    fields
}

fn upsert(case: RawDocument<'_>) -> Result<RawDocumentBuf, Failure> {
    let filter = filter(case, "query")?;
    let is_replacement = document(case, "update")?.first().is_none_or(|first| !first.key().starts_with('$'));
    let seed = if is_replacement { filter.upsert_id() } else { filter.upsert_document() };
    let seed = seed.map_err(|error| error.to_string())?;
    apply(case, seed.as_raw(), None, true)
}

#[test]
fn filters_and_updates_agree_with_minimongo() {
    let Some(folder) = crate::suite("minimongo") else { return };
    let text = std::fs::read_to_string(folder.join("minimongo.jsonl")).unwrap();
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for line in text.lines() {
        // Keys with a zero byte cannot be written in BSON.
        let Ok(case) = json::parse_document(line) else {
            skipped += 1;
            continue;
        };
        let case = case.as_raw();
        let filter = case.get("filter").or_else(|| case.get("query"));
        let Some(ValueRef::Int32(id)) = case.get("id") else { panic!("a case without its number") };
        if filter.and_then(ValueRef::as_document).is_none() {
            skipped += 1;
            continue;
        }
        match run(case) {
            Ok(()) => passed += 1,
            Err(failure) => failed.push((id, format!("{id}: {failure}\n    {line}"))),
        }
    }
    println!("minimongo: {passed} passed, {} failed, {skipped} not applicable", failed.len());
    let known: Vec<i32> = DIFFERENCES.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    let unexpected: Vec<&str> =
        failed.iter().filter(|(id, _)| !known.contains(id)).map(|(_, text)| text.as_str()).collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let agreed: Vec<&i32> = known.iter().filter(|known| failed.iter().all(|(id, _)| id != *known)).collect();
    assert!(agreed.is_empty(), "listed as different, but they agree: {agreed:?}");
    assert!(passed > 900, "only {passed} cases agree");
}
