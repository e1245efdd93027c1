//! One recorded case: its steps and what is asserted about their replies.
//!
//! ```text
//! {"id", "topologies": [..], "marks"?: [..], "steps": [{"db", "cmd", "session"?}], "asserts": [{"kind", "step", ..}]}
//! ```
//!
//! Values are canonical extended JSON. Reading is strict: a kind, a key or a check that is not known is an error of
//! the corpus, never skipped.

use bson::{Bson, Document};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Topology;
use super::extended::to_bson;

/// Result of reading; the text says what is wrong.
pub type Result<T> = std::result::Result<T, String>;

/// One recorded case.
#[derive(Debug)]
pub struct Case {
    /// Path of the test it was recorded from, and its parameters.
    pub id: String,
    /// How the server has to present itself.
    pub topology: Topology,
    /// The commands, in order.
    pub steps: Vec<Step>,
    /// What must hold afterwards.
    pub asserts: Vec<Assert>,
}

/// One command.
#[derive(Debug)]
pub struct Step {
    /// The database it is sent to.
    pub database: String,
    /// The command as it is sent, but for cursor placeholders (see [`Step::command`]).
    command: Document,
    /// Number of the session whose id must be supplied, if the recording had one.
    pub session: Option<i64>,
}

/// What must hold of the reply to a step.
#[derive(Debug)]
pub struct Assert {
    /// Index of the step.
    pub step: usize,
    /// What must hold.
    pub expectation: Expectation,
    /// The recording's own words.
    pub message: String,
}

/// The kinds of assert.
#[derive(Debug)]
pub enum Expectation {
    /// The value at `path` equals `expected`.
    Result {
        /// What is compared.
        path: ReplyPath,
        /// What was recorded.
        expected: Bson,
        /// How strictly.
        rules: super::compare::Rules,
    },
    /// The keys of `expected` have these values; others are not looked at.
    Partial(Document),
    /// The command, or its first write error, failed with this code.
    ErrorCode(i32),
    /// Checks of properties.
    Properties {
        /// What the checks start from.
        path: ReplyPath,
        /// The checks.
        checks: super::check::Checks,
    },
    /// The command succeeded, and so did all its writes.
    NotError,
    /// The reply is fine but the recording driver could not decode it: a date outside the years 1 to 9999.
    UndecodableDate,
}

/// The part of a reply that an assert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyPath {
    /// The whole reply, less what a driver takes off.
    Whole,
    /// The documents of the first batch.
    FirstBatch,
}

impl Case {
    /// Reads one line; nothing if `wanted` does not want its id.
    pub fn parse(line: &str, wanted: impl Fn(&str) -> bool) -> Result<Option<Self>> {
        let Value::Object(mut object) = parse_json(line)? else { return Err("not an object".to_owned()) };
        let id = take_string(&mut object, "id")?;
        if !wanted(&id) {
            return Ok(None);
        }
        let named = |reason: String| format!("{id}: {reason}");
        let topology = topology(&take_array(&mut object, "topologies").map_err(named)?).map_err(named)?;
        object.remove("marks");
        let steps = take_array(&mut object, "steps").map_err(named)?;
        let asserts = take_array(&mut object, "asserts").map_err(named)?;
        nothing_left(&object).map_err(named)?;
        let steps = steps.into_iter().map(parse_step).collect::<Result<Vec<_>>>().map_err(named)?;
        let asserts = asserts
            .into_iter()
            .map(|value| parse_assert(value, steps.len()))
            .collect::<Result<Vec<_>>>()
            .map_err(named)?;
        Ok(Some(Self { id, topology, steps, asserts }))
    }

    /// The case without its steps and asserts.
    pub fn clone_for_report(&self) -> Self {
        Self { id: self.id.clone(), topology: self.topology, steps: Vec::new(), asserts: Vec::new() }
    }

    /// The area: the first three parts of the id.
    pub fn area(&self) -> &str {
        let file = self.id.split("::").next().unwrap_or_default();
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        match folder.match_indices('/').nth(2) {
            Some((end, _)) => folder.get(..end).unwrap_or(folder),
            None => folder,
        }
    }
}

impl Step {
    /// The command with every `{"$cursorOf": k}` replaced by what `cursor_of` says of step k.
    pub fn command(&self, cursor_of: &dyn Fn(i64) -> i64) -> Document {
        let mut command = Bson::Document(self.command.clone());
        fill_cursors(&mut command, cursor_of);
        match command {
            Bson::Document(command) => command,
            _ => Document::new(),
        }
    }
}

/// Replaces every `{"$cursorOf": k}` by what `cursor_of` says of step k.
pub(super) fn fill_cursors(value: &mut Bson, cursor_of: &dyn Fn(i64) -> i64) {
    match value {
        Bson::Document(document) => {
            let step = match document.get("$cursorOf") {
                Some(Bson::Int32(step)) => Some(i64::from(*step)),
                Some(Bson::Int64(step)) => Some(*step),
                _ => None,
            };
            match step {
                Some(step) if document.len() == 1 => *value = Bson::Int64(cursor_of(step)),
                _ => document.iter_mut().for_each(|(_, value)| fill_cursors(value, cursor_of)),
            }
        }
        Bson::Array(items) => items.iter_mut().for_each(|item| fill_cursors(item, cursor_of)),
        _ => {}
    }
}

/// Some cases are about documents that are nested deeper than a JSON reader usually goes.
fn parse_json(line: &str) -> Result<Value> {
    let mut reader = serde_json::Deserializer::from_str(line);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

fn topology(names: &[Value]) -> Result<Topology> {
    let has = |wanted: &str| names.iter().any(|name| name.as_str() == Some(wanted));
    match (has("replset"), has("standalone")) {
        (true, _) => Ok(Topology::ReplicaSet),
        (false, true) => Ok(Topology::Standalone),
        (false, false) => Err("no known topology".to_owned()),
    }
}

fn parse_step(value: Value) -> Result<Step> {
    let Value::Object(mut object) = value else { return Err("a step is not an object".to_owned()) };
    let database = take_string(&mut object, "db")?;
    let command = object.remove("cmd").ok_or("a step without cmd")?;
    let session = match object.remove("session") {
        None => None,
        Some(number) => Some(number.as_i64().ok_or("session is not a number")?),
    };
    nothing_left(&object)?;
    match to_bson(command)? {
        Bson::Document(command) => Ok(Step { database, command, session }),
        _ => Err("cmd is not a document".to_owned()),
    }
}

fn parse_assert(value: Value, steps: usize) -> Result<Assert> {
    let Value::Object(mut object) = value else { return Err("an assert is not an object".to_owned()) };
    let kind = take_string(&mut object, "kind")?;
    let step = object
        .remove("step")
        .and_then(|step| step.as_u64())
        .and_then(|step| usize::try_from(step).ok())
        .filter(|step| *step < steps)
        .ok_or("an assert about no step")?;
    let message = match object.remove("msg") {
        None => String::new(),
        Some(message) => message.as_str().unwrap_or_default().to_owned(),
    };
    let expectation = match kind.as_str() {
        "result" => parse_result(&mut object)?,
        "partial" => match (path(&mut object)?, to_bson(take(&mut object, "expected")?)?) {
            (ReplyPath::Whole, Bson::Document(expected)) => Expectation::Partial(expected),
            _ => return Err("a partial assert needs a document and the whole reply".to_owned()),
        },
        "error" => Expectation::ErrorCode(error_code(&mut object)?),
        "props" => Expectation::Properties {
            path: path(&mut object)?,
            checks: super::check::Checks::parse(take(&mut object, "checks")?)?,
        },
        "not_error" => Expectation::NotError,
        "client_exception" => match take_string(&mut object, "type")?.as_str() {
            "InvalidBSON" => Expectation::UndecodableDate,
            other => return Err(format!("unknown client exception {other}")),
        },
        other => return Err(format!("unknown kind of assert {other}")),
    };
    nothing_left(&object)?;
    Ok(Assert { step, expectation, message })
}

fn parse_result(object: &mut Map<String, Value>) -> Result<Expectation> {
    let mut flag = |name: &str| match object.remove(name) {
        None => Ok(false),
        Some(Value::Bool(set)) => Ok(set),
        Some(_) => Err(format!("{name} is not a boolean")),
    };
    let (unordered, nan_equal) = (flag("unordered")?, flag("nan_eq")?);
    let sort_fields = match object.remove("sort_fields") {
        None => Vec::new(),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
        }
        Some(_) => return Err("sort_fields is not an array".to_owned()),
    };
    Ok(Expectation::Result {
        path: path(object)?,
        expected: to_bson(take(object, "expected")?)?,
        rules: super::compare::Rules { unordered, sort_fields, nan_equal, partial: false },
    })
}

fn error_code(object: &mut Map<String, Value>) -> Result<i32> {
    let code = match object.remove("code") {
        Some(code) => code.as_i64(),
        None => match to_bson(take(object, "expected")?)? {
            Bson::Document(expected) => expected.get_i32("code").ok().map(i64::from),
            _ => None,
        },
    };
    code.and_then(|code| i32::try_from(code).ok()).ok_or_else(|| "an error without a code".to_owned())
}

fn path(object: &mut Map<String, Value>) -> Result<ReplyPath> {
    match take_string(object, "path")?.as_str() {
        "" => Ok(ReplyPath::Whole),
        "cursor.firstBatch" => Ok(ReplyPath::FirstBatch),
        other => Err(format!("unknown path {other}")),
    }
}

fn take(object: &mut Map<String, Value>, key: &str) -> Result<Value> {
    object.remove(key).ok_or_else(|| format!("{key} is missing"))
}

fn take_string(object: &mut Map<String, Value>, key: &str) -> Result<String> {
    match take(object, key)? {
        Value::String(text) => Ok(text),
        _ => Err(format!("{key} is not a string")),
    }
}

fn take_array(object: &mut Map<String, Value>, key: &str) -> Result<Vec<Value>> {
    match take(object, key)? {
        Value::Array(items) => Ok(items),
        _ => Err(format!("{key} is not an array")),
    }
}

fn nothing_left(object: &Map<String, Value>) -> Result<()> {
    match object.keys().next() {
        None => Ok(()),
        Some(key) => Err(format!("unknown key {key}")),
    }
}
