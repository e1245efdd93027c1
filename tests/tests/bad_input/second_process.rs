//! A second process that opens the same directory.

use std::path::Path;
use std::process::Command;

use sheaf_engine::{Database, error_code};

use crate::fixture::{connect, contents, fill, options};

/// Set for the child: the directory to open.
const CHILD_DIRECTORY: &str = "SHEAF_TEST_SECOND_PROCESS";

/// In an ordinary run nothing; as a child, opens the directory and says how that went.
#[test]
fn child_opens() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    match Database::open(Path::new(&directory), options()) {
        Ok(database) => println!("opened {}", contents(&connect(&database))[0]),
        Err(error) => println!("refused {}", error.code.0),
    }
}

fn run_child(directory: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_process::child_opens", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIRECTORY, directory)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::open(&path, options()).unwrap();
    let session = connect(&database);
    fill(&session);
    let before = contents(&session);
    let said = run_child(&path);
    assert!(said.contains(&format!("refused {}", error_code::DATABASE_LOCKED.0)), "{said}");
    assert_eq!(contents(&session), before);
    assert_eq!(crate::fixture::run(&session, r#"{"insert":"load","documents":[{"_id":1}]}"#), None);
    drop(session);
    database.close().unwrap();
    drop(database);
    let said = run_child(&path);
    assert!(said.contains(&format!("opened {}", before[0])), "{said}");
}
