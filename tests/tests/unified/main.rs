//! The drivers' unified suites: the lists in `tests/unified/` name every case there is.
//!
//! `server.txt` lists the cases whose outcome is the server's, and they pass; `driver.txt` what is not run, and why;
//! `known_failures.txt` those of the first list that do not pass yet, and it may only shrink. A case that is on no list,
//! or on the wrong one, fails this test, so that a new version of the suites cannot go unnoticed.
//! `SHEAF_UNIFIED_WRITE=1` writes the first two, and takes off the third what passes now.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sheaf_tests::conformance::corpus::suites_dir;
use sheaf_tests::conformance::target::InProcess;
use sheaf_tests::unified::{Verdict, file, run_all};

fn list(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("unified").join(name)
}

fn read(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(list(name)).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

fn write(name: &str, head: &str, lines: &BTreeSet<String>) -> std::io::Result<()> {
    let mut text = format!("# {head}\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    std::fs::write(list(name), text)
}

#[test]
fn every_case_about_the_server_passes() {
    let suites = suites_dir(None);
    let files = file::read_all(&suites).expect("the suites can be read");
    if files.is_empty() {
        println!("not run: {} has no unified suites", suites.display());
        return;
    }
    let known = read("known_failures.txt");
    let (mut server, mut driver, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut broken = Vec::new();
    for (id, verdict) in run_all(&files, &InProcess) {
        match verdict {
            Verdict::Passed => {
                server.insert(id);
            }
            Verdict::Failed(reason) => {
                if known.contains(&id) {
                    println!("known failure {id}\n    {reason}");
                } else {
                    broken.push(format!("{id}\n    {reason}"));
                }
                failed.insert(id.clone());
                server.insert(id);
            }
            Verdict::NotRun(reason) => {
                driver.insert(format!("{reason}: {id}"));
            }
        }
    }
    println!("{} cases about the server, {} failed, {} not run", server.len(), failed.len(), driver.len());
    if std::env::var_os("SHEAF_UNIFIED_WRITE").is_some() {
        write("server.txt", "Cases whose outcome is the server's.", &server)
            .expect("the list can be written");
        write("driver.txt", "Cases that are not run here, with the reason.", &driver)
            .expect("the list can be written");
        let still = known.intersection(&failed).cloned().collect();
        write("known_failures.txt", "Cases of server.txt that do not pass yet.", &still)
            .expect("the list can be written");
    }
    assert!(broken.is_empty(), "{} cases fail:\n{}", broken.len(), broken.join("\n"));
    assert_eq!(read("server.txt"), server, "server.txt does not name what runs");
    assert_eq!(read("known_failures.txt"), failed, "known_failures.txt names what passes");
    assert_eq!(read("driver.txt"), driver, "driver.txt does not name what does not run");
}
