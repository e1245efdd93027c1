//! ERRORS.md is the error catalogue as people read it; `cargo xtask golden` writes it anew.

use std::fmt::Write;
use std::path::Path;

use sheaf_command::error_catalogue::CATALOGUE;

use crate::sources::{read, root};

const DOCUMENT: &str = "ERRORS.md";
const HEAD: &str = "# Errors\n\n\
    Every error has a number, which programs act on, a name and a message for people. Numbers and names are MongoDB's. A number that is\n\
    not in this table is called `Location` and the number, stands for one spot of the language, and means that the request has to be changed.\n\n\
    | code | name | what to do |\n|---|---|---|\n";

#[test]
fn the_golden_list_of_errors_is_the_catalogue() {
    let mut expected = HEAD.to_owned();
    for entry in CATALOGUE {
        writeln!(expected, "| {} | {} | {} |", entry.code, entry.name, entry.advice.text()).expect("memory");
    }
    if std::env::var_os("SHEAF_GOLDEN_UPDATE").is_some() {
        std::fs::write(root().join(DOCUMENT), &expected).expect("ERRORS.md can be written");
    }
    assert!(CATALOGUE.is_sorted_by_key(|entry| entry.code), "the catalogue is in ascending order");
    assert!(read(Path::new(DOCUMENT)) == expected, "{DOCUMENT} is stale: run `cargo xtask golden`");
}
