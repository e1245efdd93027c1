//! `cargo xtask drivers`: stock MongoDB drivers and the shell against the wire door of sheafd.

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, cargo, root, run as run_program, run_reading, target_dir};
use crate::setup;
use crate::sheafd::Sheafd;
use crate::tally::Tally;
use crate::tools::{self, Tool};

/// One suite: the tool it needs, and how it is run in the folder of that name.
type Suite = (Tool, fn(&Path) -> Command);

const SUITES: [Suite; 4] =
    [(Tool::PyMongo, python), (Tool::NodeDriver, node), (Tool::Mongosh, mongosh), (Tool::GoDriver, go)];

fn python(folder: &Path) -> Command {
    let mut command = Command::new(tools::python());
    command.arg(folder.join("python/door_test.py"));
    command
}

fn node(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(folder.join("node/door_test.mjs")).env("DRIVER_MODULES", tools::node_modules());
    command
}

fn mongosh(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(folder.join("mongosh/run.mjs"));
    command.env("MONGOSH", tools::node_modules().join("mongosh/bin/mongosh.js"));
    command
}

fn go(folder: &Path) -> Command {
    let mut command = Command::new(tools::go().unwrap_or_else(|| "go".into()));
    command.args(["test", "-count=1", "-v", "./..."]).current_dir(folder.join("go"));
    command
}

/// The verb.
pub fn run() -> Outcome {
    setup::run()?;
    let mut tally = Tally::default();
    run_all(&mut tally)?;
    for reason in &tally.not_run {
        println!("not run: {reason}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 && tally.passed > 0 { Ok(()) } else { Err("there are failures".to_owned()) }
}

/// Runs every suite whose tool is there, each against a server of its own, alone and as a replica set of one.
pub fn run_all(tally: &mut Tally) -> Outcome {
    run_program(cargo().args(["build", "--quiet", "--package", "sheaf-server"]))?;
    for (tool, suite) in SUITES {
        if !tool.is_present() {
            tally.not_run.push(format!("{} against sheafd: it is missing", tool.name()));
            continue;
        }
        for replica_set in [None, Some("rs0")] {
            let counts = run_suite(suite, replica_set)?;
            let identity = replica_set.map_or("a server alone", |_| "a replica set of one");
            println!(
                "{} against {identity}: {} passed, {} failed",
                tool.name(),
                counts.passed,
                counts.failed
            );
            tally.add(counts);
        }
    }
    Ok(())
}

fn run_suite(suite: fn(&Path) -> Command, replica_set: Option<&str>) -> Outcome<Tally> {
    let mut arguments = vec!["--wire", "127.0.0.1:0"];
    if let Some(name) = replica_set {
        arguments.extend(["--replica-set", name]);
    }
    let server = Sheafd::start(&target_dir().join("debug/sheafd"), ":memory:", &arguments)?;
    let mut uri = format!("mongodb://{}/", server.address("wire")?);
    let mut command = suite(&root().join("tests/drivers"));
    if let Some(name) = replica_set {
        uri.push_str(&format!("?replicaSet={name}"));
        command.env("SHEAFD_REPLICA_SET", name);
    }
    let mut counts = Tally::default();
    let clean = run_reading(command.env("SHEAFD_URI", uri), |line| counts.read_line(line))?;
    // A suite that ends badly or tests nothing has failed, whatever it printed.
    if !clean || counts.passed == 0 {
        counts.failed = counts.failed.max(1);
    }
    Ok(counts)
}
