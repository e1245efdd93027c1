//! Other machines: the storage engine's tests as a 32-bit program, and its types checked for Windows and macOS.
//!
//! A type check links nothing, so the C compiler of those systems is not needed: `true` takes its place. What is missing here
//! (a rustup target, a 32-bit C library) is counted as not run.

use std::path::Path;
use std::process::Command;

use crate::deep::{Job, executables, figure_of_tests};
use crate::process::{Outcome, cargo, output, root, target_dir};
use crate::tally::Tally;
use crate::tools::Tool;

/// Where pointers have 32 bits, and programs run on this machine all the same.
pub const NARROW: &str = "i686-unknown-linux-gnu";
/// Systems whose programs do not run here.
pub const FOREIGN: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// The stages that this machine can do.
pub fn jobs(tally: &mut Tally) -> Outcome<Vec<Job>> {
    let mut jobs = Vec::new();
    if Tool::NarrowTarget.is_present() {
        let mut build = storage("test", NARROW);
        for (program, directory) in executables(&mut build)? {
            let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            jobs.push(tests_of(&program, &directory, &name));
        }
    } else {
        tally.not_run.push(format!("targets: {} is missing", Tool::NarrowTarget.name()));
    }
    for target in FOREIGN {
        if installed(target) {
            jobs.push(type_check(target));
        } else {
            tally.not_run.push(format!("targets: {target} is missing"));
        }
    }
    Ok(jobs)
}

/// Whether rustup has the standard library of a target.
pub fn installed(target: &str) -> bool {
    output(Command::new("rustup").args(["target", "list", "--installed"]).current_dir(root()))
        .is_some_and(|targets| targets.lines().any(|line| line.trim() == target))
}

/// A cargo command on the storage engine, in a target directory of its own.
fn storage(verb: &str, target: &str) -> Command {
    let mut command = cargo();
    command.args([verb, "--quiet", "--package", "sheaf-storage", "--target", target, "--target-dir"]);
    command.arg(target_dir().join("targets"));
    command
}

/// All tests of a test program, their ordinary share.
fn tests_of(program: &Path, directory: &Path, name: &str) -> Job {
    let mut command = Command::new(program);
    command.current_dir(directory).args(["--test-threads=1"]);
    Job { name: format!("targets {NARROW} {name}"), command, figure: figure_of_tests }
}

fn type_check(target: &str) -> Job {
    let mut command = storage("check", target);
    let variable = target.replace('-', "_");
    command.env(format!("CC_{variable}"), "true").env(format!("AR_{variable}"), "true");
    command.env("SDKROOT", "/").env("MACOSX_DEPLOYMENT_TARGET", "11.0");
    Job { name: format!("targets {target}"), command, figure: |_| Some("its types hold".to_owned()) }
}
