//! The language against suites that others wrote. They are data outside of this repository: looked for in
//! `SHEAF_SUITES`, else in `../shared/suites`; where they are absent the tests say "not run".

#![expect(clippy::print_stdout, reason = "how many cases were run is for people to read")]

mod golden;
mod hostile;
mod json_schema;
mod minimongo;

use std::path::{Path, PathBuf};

/// The folder of a suite, if it is there.
fn suite(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("SHEAF_SUITES").map(PathBuf::from);
    let suites =
        given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/suites"));
    let folder = suites.join(name);
    if !folder.is_dir() {
        println!("not run: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}
