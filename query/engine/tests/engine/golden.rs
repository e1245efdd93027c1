//! Golden scripts of the planner: `goldens/*.txt`.
//!
//! A script is a list of blocks with a blank line between them. A block is lines of input behind `> `, a line `---`, and
//! the output. Input is one of
//!
//! - `insert {..} {..}`: documents;
//! - `index {..}`: the specification of an index;
//! - `find {filter} | sort {..} | project {..} | skip n | limit n | hint name`: prints the plan and the documents;
//! - `aggregate {stage} | {stage} ..`: the same for a pipeline.
//!
//! Lines that start with `#` say what is to be seen. `SHEAF_GOLDEN_UPDATE=1` rewrites the output of all scripts.

#![expect(
    clippy::disallowed_methods,
    reason = "scripts are files, and rewriting them is asked for by a variable"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{AggregateOperation, AggregateTarget, ExplainTarget, FindOperation, Hint};
use sheaf_engine::{Cursor, Result, Session};

use crate::support::{create_index, database, doc, insert, json, namespace};

#[test]
fn golden_scripts_of_the_planner() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/goldens");
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(&directory).expect("lists").map(|entry| entry.expect("lists").path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 5, "the scripts are missing");
    let update = std::env::var_os("SHEAF_GOLDEN_UPDATE").is_some();
    for path in scripts {
        let expected = std::fs::read_to_string(&path).expect("reads");
        let actual = run_script(&expected);
        if update {
            std::fs::write(&path, &actual).expect("writes");
        } else {
            assert!(actual == expected, "{} differs; it gives now:\n{actual}", path.display());
        }
    }
}

fn run_script(script: &str) -> String {
    let session = database().session();
    let mut out = String::new();
    for block in script.trim_end().split("\n\n") {
        let input: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
        if !out.is_empty() {
            out.push('\n');
        }
        for line in &input {
            writeln!(out, "{line}").expect("writes");
        }
        let commands: Vec<&str> = input.iter().filter_map(|line| line.strip_prefix("> ")).collect();
        if commands.is_empty() {
            continue;
        }
        out.push_str("---\n");
        for command in commands {
            match run_command(&session, command) {
                Ok(text) => out.push_str(&text),
                Err(error) => writeln!(out, "error {}: {}", error.code.0, error.message).expect("writes"),
            }
        }
    }
    out
}

fn run_command(session: &Session, command: &str) -> Result<String> {
    let (verb, rest) = command.split_once(' ').expect("a verb and its arguments");
    match verb {
        "insert" => {
            let documents: Vec<&str> = rest.split_inclusive("} ").map(str::trim_end).collect();
            let outcome = insert(session, &documents);
            Ok(format!("inserted {}\n", outcome.inserted))
        }
        "index" => create_index(session, rest).map(|()| String::new()),
        "find" => run_find(session, rest),
        "aggregate" => run_aggregate(session, rest),
        other => panic!("unknown verb {other}"),
    }
}

fn run_find(session: &Session, rest: &str) -> Result<String> {
    let mut parts = rest.split(" | ");
    let filter = doc(parts.next().expect("a filter"));
    let options: Vec<(&str, &str)> = parts.map(|part| part.split_once(' ').expect("an option")).collect();
    let document =
        |wanted: &str| options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| doc(value));
    let number = |wanted: &str| {
        options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.parse().expect("a number"))
    };
    let (sort, projection) = (document("sort"), document("project"));
    let mut operation = FindOperation::new(namespace(), filter.as_raw());
    operation.sort = sort.as_ref().map(RawDocumentBuf::as_raw);
    operation.projection = projection.as_ref().map(RawDocumentBuf::as_raw);
    operation.skip = number("skip").unwrap_or(0);
    operation.limit = number("limit");
    operation.hint = options.iter().find(|(name, _)| *name == "hint").map(|(_, name)| Hint::Name(name));
    let plan = session.explain_text(&ExplainTarget::Find(operation.clone()))?;
    show(&plan, session.find(&operation)?)
}

fn run_aggregate(session: &Session, rest: &str) -> Result<String> {
    let stages: Vec<RawDocumentBuf> = rest.split(" | ").map(doc).collect();
    let pipeline = stages.iter().map(|stage| ValueRef::Document(stage.as_raw())).collect();
    let operation = AggregateOperation::new(AggregateTarget::Collection(namespace()), pipeline);
    let plan = session.explain_text(&ExplainTarget::Aggregate(operation.clone()))?;
    show(&plan, session.aggregate(&operation)?)
}

fn show(plan: &str, mut cursor: Cursor) -> Result<String> {
    let mut out = plan.to_owned();
    while !cursor.is_exhausted() {
        for document in cursor.next_batch(100, 1 << 20)?.documents {
            writeln!(out, "{}", json(document.as_raw())).expect("writes");
        }
    }
    Ok(out)
}
