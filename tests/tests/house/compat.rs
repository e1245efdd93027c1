//! COMPAT.md says what the language knows: every name in it is tried on a database, and what is found is compared with the
//! document. `cargo xtask golden` writes the document's tables anew.
//!
//! The names come from two sides: the list of what MongoDB's users may ask for (`compat_names.txt`), and the tables in
//! the language's own source, so that neither a name that is refused nor one that was added can be left out.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use sheaf_command::{CommandSession, Commands, Identity, run_command};
use sheaf_document::{RawDocument, ValueRef};
use sheaf_engine::{Database, DatabaseOptions};

use crate::sources::{read, root};

const DOCUMENT: &str = "COMPAT.md";

/// How the database took a name.
enum Taken {
    Works,
    /// The code of the refusal, and its name.
    Refused(String),
}

/// A section of names: its title, the source file and the text after which its table begins, and the request that
/// tries a name, with `@` for the name.
struct Section {
    title: &'static str,
    table: Option<(&'static str, &'static str)>,
    requests: &'static [&'static str],
    /// What the message of a refusal says.
    unknown: &'static str,
}

const SECTIONS: &[Section] = &[
    Section {
        title: "stages",
        table: Some(("query/language/src/aggregate/parse.rs", "const STAGES:")),
        requests: &[
            r#"{"aggregate":"things","pipeline":[{"@":{}}],"cursor":{}}"#,
            r#"{"aggregate":1,"pipeline":[{"@":{}}],"cursor":{}}"#,
        ],
        unknown: "is not the name of a pipeline stage",
    },
    Section {
        title: "filter operators",
        table: None,
        requests: &[r#"{"find":"things","filter":{"a":{"@":{}}}}"#, r#"{"find":"things","filter":{"@":{}}}"#],
        unknown: "unknown operator",
    },
    Section {
        title: "update operators",
        table: Some(("query/language/src/update/operator.rs", "const OPERATORS:")),
        requests: &[r#"{"update":"things","updates":[{"q":{},"u":{"@":{"a":1}}}]}"#],
        unknown: "is not an update operator",
    },
    Section {
        title: "accumulators",
        table: None,
        requests: &[r#"{"aggregate":"things","pipeline":[{"$group":{"_id":1,"x":{"@":{}}}}],"cursor":{}}"#],
        unknown: "is not an accumulator",
    },
    Section {
        title: "window functions",
        table: None,
        requests: &[
            r#"{"aggregate":"things","pipeline":[{"$setWindowFields":{"sortBy":{"a":1},"output":{"x":{"@":{}}}}}],"cursor":{}}"#,
        ],
        unknown: "is no function of $setWindowFields",
    },
    Section {
        title: "expressions",
        table: None,
        requests: &[r#"{"find":"things","filter":{"$expr":{"@":[]}}}"#],
        unknown: "unrecognized expression",
    },
];

#[test]
fn the_golden_document_says_what_the_code_does() {
    let mut expected = read(Path::new(DOCUMENT));
    for section in SECTIONS {
        replace(&mut expected, section.title, &section_table(section));
    }
    if std::env::var_os("SHEAF_GOLDEN_UPDATE").is_some() {
        std::fs::write(root().join(DOCUMENT), &expected).expect("COMPAT.md can be written");
    }
    let found = read(Path::new(DOCUMENT));
    for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{DOCUMENT}:{}: run `cargo xtask golden`", line + 1);
    }
    assert!(found == expected, "{DOCUMENT} has another length: run `cargo xtask golden`");
}

/// Puts new text between a section's two marks.
fn replace(document: &mut String, title: &str, text: &str) {
    let (begin, end) = (format!("<!-- {title} -->\n"), format!("<!-- end of {title} -->"));
    let from = document.find(&begin).unwrap_or_else(|| panic!("{DOCUMENT} lacks {begin}")) + begin.len();
    let to = document.find(&end).unwrap_or_else(|| panic!("{DOCUMENT} lacks {end}"));
    document.replace_range(from..to, text);
}

fn section_table(section: &Section) -> String {
    let mut all = names(section.title);
    if let Some((file, table)) = section.table {
        all.extend(table_names(&read(Path::new(file)), table));
    }
    if section.title == "expressions" {
        all.extend(expression_names());
    }
    let session = session();
    let mut works = Vec::new();
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    for name in all {
        match try_name(&session, section, &name) {
            Taken::Works => works.push(quoted(name)),
            Taken::Refused(how) => match refused.iter_mut().find(|(known, _)| *known == how) {
                Some((_, list)) => list.push(quoted(name)),
                None => refused.push((how, vec![quoted(name)])),
            },
        }
    }
    assert!(works.len() > 5, "{}: the requests that try a name no longer fit", section.title);
    let mut text = format!("\n{} are known: {}\n\n", works.len(), works.join(" "));
    for (how, list) in refused {
        write!(text, "Refused with {how}: {}\n\n", list.join(" ")).expect("memory");
    }
    text
}

#[test]
fn a_name_that_nobody_has_is_refused_everywhere() {
    let session = session();
    for section in SECTIONS {
        let taken = try_name(&session, section, "$nobodyHasThis");
        assert!(matches!(taken, Taken::Refused(_)), "{}: it passes for known", section.title);
    }
}

fn quoted(name: String) -> String {
    format!("`{name}`")
}

fn session() -> CommandSession {
    let database = Database::in_memory(DatabaseOptions::default()).expect("memory suffices");
    let session = Commands::new(database, Identity::default()).connect();
    let insert = sheaf_document::json::parse_document(r#"{"insert":"things","documents":[{"_id":1}]}"#)
        .expect("it is JSON");
    assert!(run_command(&session, "test", insert.as_raw()).is_ok());
    session
}

/// A name works if one of the requests is not refused because of the name.
fn try_name(session: &CommandSession, section: &Section, name: &str) -> Taken {
    let mut refusal = String::new();
    for request in section.requests {
        let request = request.replace('@', name);
        let command = sheaf_document::json::parse_document(&request)
            .unwrap_or_else(|error| panic!("{request}: {error}"));
        let reply = run_command(session, "test", command.as_raw());
        match refusal_of(reply.document.as_raw(), section.unknown) {
            None => return Taken::Works,
            Some(how) => refusal = how,
        }
    }
    Taken::Refused(refusal)
}

/// The code and its name, if the reply says that the name is unknown or not supported.
fn refusal_of(reply: RawDocument<'_>, unknown: &str) -> Option<String> {
    let text = |document: RawDocument<'_>, key: &str| {
        document.get(key).and_then(ValueRef::as_str).unwrap_or_default().to_owned()
    };
    let error = match reply.get("writeErrors") {
        Some(ValueRef::Array(errors)) => errors.iter().next().and_then(ValueRef::as_document)?,
        _ => reply,
    };
    let Some(ValueRef::Int32(code)) = error.get("code") else { return None };
    let message = text(error, "errmsg");
    let named = sheaf_command::error_catalogue::code_name(sheaf_engine::ErrorCode(code));
    let phrases = [unknown, "is refused", "is not supported"];
    let is_refusal = code == 238 || phrases.iter().any(|phrase| message.contains(phrase));
    is_refusal.then(|| format!("{code} ({named})"))
}

/// The names under a title of the list.
fn names(title: &str) -> BTreeSet<String> {
    let text = read(Path::new("tests/house/compat_names.txt"));
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(heading) => inside = heading == title,
            None if inside => names.extend(line.split_whitespace().map(str::to_owned)),
            None => {}
        }
    }
    assert!(!names.is_empty(), "the list has no {title}");
    names
}

/// The names in a table of source: string literals that begin a row with `("$`.
fn table_names(source: &str, table: &str) -> BTreeSet<String> {
    let (_, rest) = source.split_once(table).unwrap_or_else(|| panic!("there is no {table}"));
    let (rows, _) = rest.split_once("];").expect("the table ends");
    literals(rows, "(\"$")
}

/// The names of the operators in the expressions' families.
fn expression_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in crate::sources::files(".rs") {
        if !file.starts_with("query/language/src/expression") {
            continue;
        }
        let source = read(&file);
        if let Some((_, rest)) = source.split_once("OPERATORS: &[Operator] = &[") {
            let (rows, _) = rest.split_once("];").expect("the table ends");
            names.extend(literals(rows, "(\"$"));
        }
    }
    assert!(names.len() > 100, "only {} operators found in the families", names.len());
    names
}

fn literals(rows: &str, begin: &str) -> BTreeSet<String> {
    rows.split(begin)
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .filter(|(name, _)| name.chars().all(char::is_alphanumeric))
        .map(|(name, _)| format!("${name}"))
        .collect()
}
