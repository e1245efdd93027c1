//! Golden scripts of the language, run as commands: `../golden/AREA/behaviour.txt`.
//!
//! A script is statements and, under each, what came out. A line that starts with `> ` is a statement, one with `#` says
//! what is to be seen, an empty line separates; every other line is output. A statement is a verb and its arguments in
//! extended JSON, then options ` | name value`, which become fields of the command:
//!
//! - `create NAME {options}`, `index COLLECTION {key, options}`, `insert COLLECTION [documents]`: print nothing;
//! - `find COLLECTION {filter}`, `aggregate COLLECTION [stages]`: a document a line (`aggregate 1` for the database);
//! - `update COLLECTION {q} {u}`: how many matched and changed; options go into the update's entry;
//! - `eval EXPRESSION` with `| over {document}`: the value, or `missing`; `approx EXPRESSION` rounds doubles to 12 digits;
//! - `run {command}` with `| show path`: the whole reply without `ok`, or only the values at these paths.
//!
//! - `fail {command}` with `| show path`: the same of the reply of a command that fails;
//! - `open COLLECTION {filter}` with options: the first batch of a cursor, `tail` of a tailable one; `more COLLECTION` its next
//!   batch; all say whether the cursor is `open` still. `kill COLLECTION` kills it: how many were killed, and how many not found.
//!
//! Commands that are for the `admin` database only are run there; `| database name` of `run` and `fail` names another one.
//!
//! What fails prints `error CODE`. Values are printed with their types: `1` is an int, `1.0` a double, and a long is
//! wrapped. Every script has a database of its own. `SHEAF_GOLDEN_UPDATE=1` rewrites the output of all scripts and the
//! counts in the README.

#![expect(
    clippy::disallowed_methods,
    reason = "scripts are files, and rewriting them is asked for by a variable"
)]
#![expect(clippy::panic, reason = "a script that is written wrongly says where")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use sheaf_command::{CommandSession, Commands, Flag, Identity, find_command, run_command};
use sheaf_document::{DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef, json};
use sheaf_engine::{Database, DatabaseOptions};

/// Scripts there are at least.
const SCRIPTS_MIN: usize = 400;
/// Batches a cursor is asked for before the script is called endless.
const BATCHES_MAX: usize = 1000;
const DATABASE: &str = "golden";

/// Areas in order, each with its scripts in order.
fn scripts() -> BTreeMap<String, Vec<PathBuf>> {
    let mut areas: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for area in entries(&root()).into_iter().filter(|path| path.is_dir()) {
        let name = area.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        areas.insert(name, entries(&area));
    }
    areas
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists").path()).collect();
    found.sort();
    found
}

fn is_update() -> bool {
    std::env::var_os("SHEAF_GOLDEN_UPDATE").is_some()
}

#[test]
fn golden_scripts_of_the_language() {
    let areas = scripts();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = areas.values().map(|scripts| scope.spawn(|| run_area(scripts))).collect();
        runs.into_iter().flat_map(|run| run.join().expect("an area runs to its end")).collect()
    });
    assert!(failures.is_empty(), "{} scripts differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn golden_readme_counts_the_scripts() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("reads");
    let areas = scripts();
    let total: usize = areas.values().map(Vec::len).sum();
    let mut counted = String::new();
    let mut listed = Vec::new();
    for line in readme.lines() {
        let mut cells: Vec<String> = line.split('|').map(str::to_owned).collect();
        let area = cells.get(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        let count = area.as_deref().and_then(|area| match area {
            "all" => Some(total),
            area => areas.get(area).map(Vec::len),
        });
        if let (Some(count), Some(area)) = (count, area) {
            listed.push(area);
            cells[2] = format!(" {count} ");
        }
        writeln!(counted, "{}", cells.join("|")).expect("writes");
    }
    for area in areas.keys() {
        assert!(listed.contains(area), "the README does not list {area}");
    }
    assert!(total >= SCRIPTS_MIN, "only {total} scripts");
    if is_update() {
        std::fs::write(&path, counted).expect("writes");
    } else {
        assert!(counted == readme, "the README's counts are old: run `cargo xtask golden`");
    }
}

/// What is wrong with the scripts of an area.
fn run_area(scripts: &[PathBuf]) -> Vec<String> {
    let mut failures = Vec::new();
    for path in scripts {
        let expected = std::fs::read_to_string(path).expect("reads");
        assert!(expected.starts_with("# "), "{} does not say what is to be seen", path.display());
        let actual = run_script(&expected);
        if is_update() {
            std::fs::write(path, &actual).expect("writes");
        } else if actual != expected {
            failures.push(format!("{}; it gives now:\n{actual}", path.display()));
        }
    }
    failures
}

fn run_script(script: &str) -> String {
    let database = Database::in_memory(DatabaseOptions::default()).expect("memory suffices");
    let session = Commands::new(database, Identity::default()).connect();
    let tailed = Cell::new(0);
    let mut out = String::new();
    for line in script.lines() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(out, "{line}").expect("writes");
        } else if let Some(statement) = line.strip_prefix("> ") {
            writeln!(out, "{line}").expect("writes");
            out.push_str(
                &run_statement(&session, &tailed, statement).unwrap_or_else(|code| format!("error {code}\n")),
            );
        }
    }
    out
}

/// A statement's arguments, read from left to right.
struct Arguments<'a> {
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    fn word(&mut self) -> &'a str {
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// The value that begins here. Two values stand side by side, so the shortest text that is one is taken.
    fn value(&mut self) -> Value<'static> {
        let ends = self.rest.match_indices([' ']).map(|(at, _)| at).chain([self.rest.len()]);
        for end in ends {
            if let Ok(value) = json::parse_value(&self.rest[..end]) {
                self.rest = self.rest[end..].trim_start();
                return value;
            }
        }
        panic!("no value: {}", self.rest)
    }

    fn options(&mut self) -> Vec<(&'a str, Value<'static>)> {
        let mut options = Vec::new();
        while let Some(rest) = self.rest.strip_prefix("| ") {
            self.rest = rest;
            let name = self.word();
            options.push((name, self.value()));
        }
        assert!(self.rest.is_empty(), "left over: {}", self.rest);
        options
    }
}

fn document(fields: Vec<(&str, Value<'_>)>) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for (name, value) in fields {
        builder.append_value(name, &value);
    }
    builder.build()
}

/// The fields of a document, to be continued.
fn fields_of(value: &Value<'static>) -> Vec<(String, Value<'static>)> {
    let bytes = value.clone().to_bytes_form();
    let Some(ValueRef::Document(document)) = bytes.as_ref() else { panic!("not a document: {value:?}") };
    document
        .iter()
        .map(|element| (element.key().to_owned(), Value::from(element.value()).into_owned()))
        .collect()
}

fn run_statement(session: &CommandSession, tailed: &Cell<i64>, statement: &str) -> Result<String, i32> {
    let mut arguments = Arguments { rest: statement };
    let verb = arguments.word();
    match verb {
        "create" | "index" | "insert" => run_preparation(session, verb, &mut arguments),
        "find" => {
            let mut fields = vec![("find", arguments.word().into()), ("filter", arguments.value())];
            fields.extend(arguments.options());
            drain(session, document(fields))
        }
        "aggregate" => {
            let target = match arguments.word() {
                "1" => Value::Int32(1),
                name => name.into(),
            };
            let mut fields = vec![("aggregate", target), ("pipeline", arguments.value())];
            fields.extend(arguments.options());
            fields.push(("cursor", document(Vec::new()).into()));
            drain(session, document(fields))
        }
        "open" | "tail" => {
            let mut fields = vec![("find", arguments.word().into()), ("filter", arguments.value())];
            if verb == "tail" {
                fields.push(("tailable", true.into()));
            }
            fields.extend(arguments.options());
            batch(session, tailed, document(fields))
        }
        "more" => {
            let id = Value::Int64(tailed.get());
            let mut fields = vec![("getMore", id), ("collection", arguments.word().into())];
            fields.extend(arguments.options());
            batch(session, tailed, document(fields))
        }
        "kill" => {
            let cursors = vec![Value::Int64(tailed.get())].into();
            let killed = reply(
                session,
                document(vec![("killCursors", arguments.word().into()), ("cursors", cursors)]).as_raw(),
            )?;
            let count = |field: &str| {
                killed.as_raw().get(field).and_then(ValueRef::as_array).map_or(0, RawArray::count)
            };
            Ok(format!("killed {}, not found {}\n", count("cursorsKilled"), count("cursorsNotFound")))
        }
        "update" => run_update(session, &mut arguments),
        "eval" => evaluate(session, &mut arguments).map(|value| format!("{value}\n")),
        "approx" => evaluate(session, &mut arguments).map(|value| format!("{}\n", rounded(&value))),
        "run" => {
            let command = arguments.value();
            let options = arguments.options();
            let database = database_of(&options);
            let reply = reply_of(session, database.as_deref(), as_document(&command).as_raw())?;
            Ok(shown_reply(reply.as_raw(), &options))
        }
        "fail" => {
            let command = as_document(&arguments.value());
            let options = arguments.options();
            let database = database_of(&options);
            let database = database.as_deref().unwrap_or_else(|| own_database(command.as_raw()));
            let reply = run_command(session, database, command.as_raw());
            assert!(!reply.is_ok(), "{command:?} succeeds");
            Ok(shown_reply(reply.document.as_raw(), &options))
        }
        other => panic!("unknown verb {other}"),
    }
}

fn as_document(value: &Value<'static>) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for (name, value) in fields_of(value) {
        builder.append_value(&name, &value);
    }
    builder.build()
}

fn run_preparation(
    session: &CommandSession,
    verb: &str,
    arguments: &mut Arguments<'_>,
) -> Result<String, i32> {
    let name = arguments.word();
    let value = arguments.value();
    let options = arguments.options();
    let mut builder = DocumentBuilder::new();
    match verb {
        "create" => {
            builder.append("create", name);
            for (name, value) in fields_of(&value) {
                builder.append_value(&name, &value);
            }
        }
        "index" => {
            let mut index = fields_of(&value);
            if !index.iter().any(|(name, _)| name == "name") {
                index.push(("name".to_owned(), "index".into()));
            }
            builder.append("createIndexes", name);
            builder.array("indexes", |array| {
                array.document(|item| {
                    for (name, value) in &index {
                        item.append_value(name, value);
                    }
                });
            });
        }
        _ => {
            builder.append("insert", name);
            builder.append_value("documents", &value);
        }
    }
    for (name, value) in options {
        builder.append_value(name, &value);
    }
    written(session, builder.build().as_raw()).map(|_| String::new())
}

fn run_update(session: &CommandSession, arguments: &mut Arguments<'_>) -> Result<String, i32> {
    let name = arguments.word();
    let mut entry = vec![("q", arguments.value()), ("u", arguments.value())];
    entry.extend(arguments.options());
    let entry = Value::from(document(entry));
    let command = document(vec![("update", name.into()), ("updates", vec![entry].into())]);
    let reply = written(session, command.as_raw())?;
    let reply = reply.as_raw();
    let number = |field: &str| reply.get(field).map_or_else(|| "0".to_owned(), shown);
    let upserted = if reply.get("upserted").is_some() { ", upserted" } else { "" };
    Ok(format!("matched {}, modified {}{upserted}\n", number("n"), number("nModified")))
}

/// The database that a command is run on.
fn own_database(command: RawDocument<'_>) -> &'static str {
    let found = command.first().and_then(|first| find_command(first.key()));
    if found.is_some_and(|command| command.has(Flag::AdminOnly)) { "admin" } else { DATABASE }
}

/// The database that options name.
fn database_of(options: &[(&str, Value<'static>)]) -> Option<String> {
    options.iter().find_map(|option| match option {
        ("database", Value::String(name)) => Some(name.to_string()),
        _ => None,
    })
}

fn reply(session: &CommandSession, command: RawDocument<'_>) -> Result<RawDocumentBuf, i32> {
    reply_of(session, None, command)
}

/// The reply of a command, or the code of its error.
fn reply_of(
    session: &CommandSession,
    database: Option<&str>,
    command: RawDocument<'_>,
) -> Result<RawDocumentBuf, i32> {
    let reply = run_command(session, database.unwrap_or_else(|| own_database(command)), command);
    if reply.is_ok() {
        return Ok(reply.document);
    }
    match reply.document.as_raw().get("code") {
        Some(ValueRef::Int32(code)) => Err(code),
        other => panic!("a failure has a code: {other:?}"),
    }
}

/// The reply of a write, or the code of its first write error.
fn written(session: &CommandSession, command: RawDocument<'_>) -> Result<RawDocumentBuf, i32> {
    let reply = reply(session, command)?;
    let errors = reply.as_raw().get("writeErrors").and_then(ValueRef::as_array);
    let first = errors.and_then(|errors| errors.iter().next()).and_then(ValueRef::as_document);
    match first.and_then(|error| error.get("code")) {
        Some(ValueRef::Int32(code)) => Err(code),
        _ => Ok(reply),
    }
}

/// One batch of a cursor, and whether there may be more.
fn batch(session: &CommandSession, tailed: &Cell<i64>, command: RawDocumentBuf) -> Result<String, i32> {
    let reply = reply(session, command.as_raw())?;
    let Some(ValueRef::Document(cursor)) = reply.as_raw().get("cursor") else { panic!("no cursor") };
    let found = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"));
    let (Some(ValueRef::Array(found)), Some(ValueRef::Int64(id))) = (found, cursor.get("id")) else {
        panic!("no batch")
    };
    tailed.set(id);
    let mut out = String::new();
    for document in found.iter() {
        writeln!(out, "{}", shown(document)).expect("writes");
    }
    out.push_str(if id == 0 { "closed\n" } else { "open\n" });
    Ok(out)
}

/// Every document of a cursor, a line each.
fn drain(session: &CommandSession, command: RawDocumentBuf) -> Result<String, i32> {
    let collection = command.as_raw().first().map(|element| Value::from(element.value()).into_owned());
    let mut reply = reply(session, command.as_raw())?;
    let mut out = String::new();
    for _ in 0..BATCHES_MAX {
        let Some(ValueRef::Document(cursor)) = reply.as_raw().get("cursor") else { panic!("no cursor") };
        let batch = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"));
        let Some(ValueRef::Array(batch)) = batch else { panic!("no batch") };
        for document in batch.iter() {
            writeln!(out, "{}", shown(document)).expect("writes");
        }
        let Some(ValueRef::Int64(id)) = cursor.get("id") else { panic!("no cursor id") };
        if id == 0 {
            return Ok(out);
        }
        let collection = match &collection {
            Some(Value::Int32(_)) | None => "$cmd.aggregate".into(),
            Some(name) => name.clone(),
        };
        let more = document(vec![("getMore", Value::Int64(id)), ("collection", collection)]);
        reply = self::reply(session, more.as_raw())?;
    }
    panic!("a cursor without end")
}

/// An expression's value over a document, printed.
fn evaluate(session: &CommandSession, arguments: &mut Arguments<'_>) -> Result<String, i32> {
    let expression = arguments.value();
    let options = arguments.options();
    let over = match options.as_slice() {
        [] => document(Vec::new()).into(),
        [("over", value)] => value.clone(),
        other => panic!("unknown options {other:?}"),
    };
    let documents = document(vec![("$literal", vec![over].into())]);
    let stages: Vec<Value<'static>> = vec![
        document(vec![("$documents", documents.into())]).into(),
        document(vec![("$replaceWith", document(vec![("value", expression)]).into())]).into(),
    ];
    let command = document(vec![
        ("aggregate", Value::Int32(1)),
        ("pipeline", stages.into()),
        ("cursor", document(Vec::new()).into()),
    ]);
    let reply = reply(session, command.as_raw())?;
    let found = json::parse_document("{}").expect("an empty document");
    let Some(ValueRef::Document(cursor)) = reply.as_raw().get("cursor") else { panic!("no cursor") };
    let Some(ValueRef::Array(batch)) = cursor.get("firstBatch") else { panic!("no batch") };
    let first = batch.iter().next();
    let result = match first {
        Some(ValueRef::Document(document)) => document,
        _ => found.as_raw(),
    };
    Ok(result.get("value").map_or_else(|| "missing".to_owned(), shown))
}

/// A printed double, to 12 digits; other values as they are.
fn rounded(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() && value.contains('.') => {
            let digits = format!("{number:.11e}");
            shown(ValueRef::Double(digits.parse().expect("a number")))
        }
        _ => value.to_owned(),
    }
}

fn shown_reply(reply: RawDocument<'_>, options: &[(&str, Value<'static>)]) -> String {
    let mut out = String::new();
    if options.iter().all(|(name, _)| *name == "database") {
        let mut builder = DocumentBuilder::new();
        for element in reply.iter().filter(|element| element.key() != "ok") {
            builder.append_element(element);
        }
        writeln!(out, "{}", shown(ValueRef::Document(builder.build().as_raw()))).expect("writes");
    }
    for (name, path) in options.iter().filter(|(name, _)| *name != "database") {
        let ("show", Value::String(path)) = (*name, path) else { panic!("unknown option {name}") };
        let mut value = Some(ValueRef::Document(reply));
        for part in path.split('.') {
            value = match value {
                Some(ValueRef::Document(document)) => document.get(part),
                Some(ValueRef::Array(array)) => part.parse().ok().and_then(|at: usize| array.iter().nth(at)),
                _ => None,
            };
        }
        writeln!(out, "{}", value.map_or_else(|| "missing".to_owned(), shown)).expect("writes");
    }
    out
}

/// A value as the scripts write it.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Document(document) => {
            let fields: Vec<String> = document
                .iter()
                .map(|element| {
                    format!("{}: {}", json::display(ValueRef::String(element.key())), shown(element.value()))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        ValueRef::Array(array) => {
            let items: Vec<String> = array.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        ValueRef::Int64(number) => format!(r#"{{"$numberLong": "{number}"}}"#),
        other => json::display(other),
    }
}
