//! Running one case and judging it.

use bson::{Bson, Document, doc};

use super::case::{Assert, Case, Expectation, ReplyPath, fill_cursors};
use super::compare::{Difference, Rules, compare, show};
use super::target::Target;

/// Fields that every reply of a replica set may carry and that no recording keeps.
const GOSSIP: [&str; 4] = ["$clusterTime", "operationTime", "electionId", "opTime"];

/// First and last millisecond of the years 1 to 9999, which the recording driver can decode.
const DECODABLE_MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// What was sent and what came back.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// Commands with their databases, and replies.
    pub steps: Vec<(String, Document, Document)>,
}

/// Runs every step, then judges every assert. `Err` says what is wrong with the first one that fails.
pub fn run(case: &Case, target: &dyn Target, exchanged: &mut Exchanged) -> Result<(), String> {
    let mut exchange = target.open(case.topology)?;
    for (index, step) in case.steps.iter().enumerate() {
        let command = {
            let cursor_of = |step: i64| cursor_id(&exchanged.steps, step);
            with_session(step.command(&cursor_of), step.session)
        };
        let bytes = command.to_vec().map_err(|error| format!("step {index} cannot be sent: {error}"))?;
        let reply = exchange.run(&step.database, &bytes)?;
        let reply = Document::from_reader(reply.as_slice())
            .map_err(|error| format!("the reply to step {index} is not BSON: {error}"))?;
        exchanged.steps.push((step.database.clone(), command, reply));
    }
    case.asserts.iter().try_for_each(|assert| {
        let (_, _, reply) = exchanged.steps.get(assert.step).ok_or("no such step")?;
        let cursor_of = |step: i64| cursor_id(&exchanged.steps, step);
        judge(assert, reply, &cursor_of)
            .map_err(|reason| format!("step {}: {reason} [{}]", assert.step, assert.message))
    })
}

fn cursor_id(steps: &[(String, Document, Document)], step: i64) -> i64 {
    let reply = usize::try_from(step).ok().and_then(|step| steps.get(step)).map(|(_, _, reply)| reply);
    let cursor = reply.and_then(|reply| reply.get_document("cursor").ok());
    cursor.and_then(|cursor| cursor.get_i64("id").ok()).unwrap_or(0)
}

/// Supplies the session id that the recording left out.
fn with_session(mut command: Document, session: Option<i64>) -> Document {
    if let Some(number) = session {
        let mut bytes = vec![0x5e; 8];
        bytes.extend_from_slice(&number.to_be_bytes());
        let id = bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes };
        command.insert("lsid", doc! {"id": id});
    }
    command
}

/// What is expected, with the cursors of this exchange in it.
fn with_cursors(expected: &Bson, cursor_of: &dyn Fn(i64) -> i64) -> Bson {
    let mut expected = expected.clone();
    fill_cursors(&mut expected, cursor_of);
    expected
}

fn judge(assert: &Assert, reply: &Document, cursor_of: &dyn Fn(i64) -> i64) -> Result<(), String> {
    match &assert.expectation {
        Expectation::Result { path, expected, rules } => {
            if !matches!(expected, Bson::Document(expected) if expected.contains_key("ok")) {
                succeeded(reply)?;
            }
            compare(&part(reply, *path)?, &with_cursors(expected, cursor_of), rules).map_err(describe)
        }
        Expectation::Partial(expected) => expected.iter().try_for_each(|(key, expected)| {
            let actual = reply.get(key).ok_or_else(|| format!("{key} is missing; {}", summary(reply)))?;
            compare(
                actual,
                &with_cursors(expected, cursor_of),
                &Rules { nan_equal: true, partial: true, ..Rules::default() },
            )
            .map_err(|difference| format!("{key}: {}; {}", describe(difference), summary(reply)))
        }),
        Expectation::ErrorCode(code) => match error_code(reply) {
            Some(actual) if actual == i64::from(*code) => Ok(()),
            Some(_) => Err(format!("should fail with {code}; {}", summary(reply))),
            None => Err(format!("should fail with {code}, but succeeded; {}", summary(reply))),
        },
        Expectation::Properties { path, checks } => {
            if !checks.mentions("ok") {
                succeeded(reply)?;
            }
            match (part(reply, *path)?, checks) {
                (Bson::Array(documents), super::check::Checks::At(_) | super::check::Checks::All(_)) => {
                    checks.judge(documents.first())
                }
                (value, _) => checks.judge(Some(&value)),
            }
            .map_err(|reason| format!("{reason}; {}", summary(reply)))
        }
        Expectation::NotError => match error_code(reply) {
            None => succeeded(reply),
            Some(_) => Err(format!("should succeed; {}", summary(reply))),
        },
        Expectation::UndecodableDate => {
            succeeded(reply)?;
            if has_undecodable_date(&Bson::Document(reply.clone())) {
                Ok(())
            } else {
                Err(format!("no date outside the years 1 to 9999; {}", summary(reply)))
            }
        }
    }
}

fn describe(difference: Difference) -> String {
    if difference.path.is_empty() {
        difference.what
    } else {
        format!("{}: {}", difference.path, difference.what)
    }
}

fn part(reply: &Document, path: ReplyPath) -> Result<Bson, String> {
    match path {
        ReplyPath::Whole => {
            let mut reply = reply.clone();
            for field in GOSSIP {
                reply.remove(field);
            }
            Ok(Bson::Document(reply))
        }
        ReplyPath::FirstBatch => {
            let batch = reply.get_document("cursor").ok().and_then(|cursor| cursor.get("firstBatch"));
            batch.cloned().ok_or_else(|| format!("no first batch; {}", summary(reply)))
        }
    }
}

fn is_ok(reply: &Document) -> bool {
    match reply.get("ok") {
        Some(Bson::Double(ok)) => *ok == 1.0,
        Some(Bson::Int32(ok)) => *ok == 1,
        _ => false,
    }
}

fn succeeded(reply: &Document) -> Result<(), String> {
    if is_ok(reply) { Ok(()) } else { Err(summary(reply)) }
}

/// The code of the command, or of its first write error.
fn error_code(reply: &Document) -> Option<i64> {
    let code = |document: &Document| match document.get("code") {
        Some(Bson::Int32(code)) => Some(i64::from(*code)),
        _ => None,
    };
    if !is_ok(reply) {
        return code(reply).or(Some(-1));
    }
    let first = reply.get_array("writeErrors").ok().and_then(|errors| errors.first());
    first.and_then(Bson::as_document).and_then(code)
}

/// A reply for a person: its error, or its beginning.
fn summary(reply: &Document) -> String {
    match reply.get("errmsg") {
        Some(message) => format!("failed with {}: {message}", error_code(reply).unwrap_or_default()),
        None => format!("reply {}", show(&Bson::Document(reply.clone()))),
    }
}

fn has_undecodable_date(value: &Bson) -> bool {
    match value {
        Bson::DateTime(date) => !DECODABLE_MILLIS.contains(&date.timestamp_millis()),
        Bson::Document(document) => document.iter().any(|(_, value)| has_undecodable_date(value)),
        Bson::Array(items) => items.iter().any(has_undecodable_date),
        _ => false,
    }
}
