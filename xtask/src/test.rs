//! `cargo xtask test`: everything, ending in one plain line of counts.

use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::process::{Outcome, cargo, root, run_reading, target_dir};
use crate::tally::Tally;
use crate::tools::{self, Tool};
use crate::{check, deep, drivers, fuzz, interleavings, setup};

/// How much to run.
#[derive(Args)]
pub struct Options {
    /// The deep stages at their full length instead of the ordinary tests (less than an hour on two cores).
    #[arg(long)]
    deep: bool,
    /// With --deep: only the stages whose name contains this.
    #[arg(long, requires = "deep")]
    stage: Option<String>,
}

/// One step: its name and what runs it.
type Step = (&'static str, fn(&mut Tally) -> Outcome);

const STEPS: [Step; 9] = [
    ("format and lints", lints),
    ("Rust tests", rust_tests),
    ("fuzz targets compile", fuzz::check),
    ("interleavings compile", interleavings::check),
    ("conformance corpus", conformance),
    ("conformance corpus over the MongoDB wire", conformance_over_wire),
    ("MongoDB drivers against sheafd", drivers::run_all),
    ("contract lint", contract_lint),
    ("Go client against sheafd", go_tests),
];

/// The verb.
pub fn run(options: &Options) -> Outcome {
    setup::run()?;
    let mut tally = Tally::default();
    if options.deep {
        deep::run(options.stage.as_deref(), &mut tally)?;
    } else {
        for (name, step) in STEPS {
            run_step(name, step, &mut tally);
        }
    }
    println!();
    for reason in &tally.not_run {
        println!("not run: {reason}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 && tally.passed > 0 { Ok(()) } else { Err("there are failures".to_owned()) }
}

/// Runs one step. A step that ends badly without having counted a failure counts as one.
fn run_step(name: &str, step: fn(&mut Tally) -> Outcome, tally: &mut Tally) {
    println!("\n== {name}");
    let started = Instant::now();
    let mut counts = Tally::default();
    if let Err(message) = step(&mut counts) {
        println!("{name}: {message}");
        counts.failed = counts.failed.max(1);
    }
    println!("== {name}: {} passed, {} failed in {:.0?}", counts.passed, counts.failed, started.elapsed());
    tally.add(counts);
}

fn lints(tally: &mut Tally) -> Outcome {
    check::run()?;
    tally.passed += 1;
    Ok(())
}

pub fn reading(command: &mut Command, tally: &mut Tally) -> Outcome {
    if run_reading(command, |line| tally.read_line(line))? {
        Ok(())
    } else {
        Err("ended with failures".to_owned())
    }
}

fn rust_tests(tally: &mut Tally) -> Outcome {
    reading(cargo().args(["test", "--workspace", "--no-fail-fast"]), tally)
}

fn conformance(tally: &mut Tally) -> Outcome {
    let suites = std::env::var_os("SHEAF_SUITES").map_or_else(|| root().join("../shared/suites"), Into::into);
    if !suites.join("functional-tests/shared.jsonl.gz").exists() {
        tally.not_run.push(format!("conformance corpus: {} is not there", suites.display()));
        return Ok(());
    }
    let before = tally.failed;
    let mut run = Tally::default();
    let clean = run_reading(
        cargo().args(["run", "--quiet", "--package", "sheaf-tests", "--bin", "conformance"]),
        |line| {
            run.read_line(line);
        },
    )?;
    // Cases on the list of known failures are the ratchet's business: the runner's exit code speaks for them.
    tally.passed += run.passed;
    tally.not_run.extend(run.not_run);
    if clean {
        println!("conformance: {} known failures", run.failed);
    } else {
        tally.failed = before + run.failed.max(1);
    }
    Ok(())
}

/// Every case over the wire door must end as it does in process.
fn conformance_over_wire(tally: &mut Tally) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "sheaf-tests", "--bin", "conformance", "--", "--wire"]);
    reading(&mut command, tally)
}

fn contract_lint(tally: &mut Tally) -> Outcome {
    let Some(buf) = tools::buf() else {
        tally.not_run.push(format!("contract lint: {} is missing", Tool::Buf.name()));
        return Ok(());
    };
    if run_reading(Command::new(buf).arg("lint").current_dir(root().join("proto")), |_| {})? {
        tally.passed += 1;
        Ok(())
    } else {
        Err("buf lint has complaints".to_owned())
    }
}

fn go_tests(tally: &mut Tally) -> Outcome {
    let Some(go) = tools::go().filter(|_| Tool::Go.is_present()) else {
        tally.not_run.push(format!("Go client: {} is missing", Tool::Go.name()));
        return Ok(());
    };
    reading(cargo().args(["build", "--quiet", "--package", "sheaf-server"]), tally)?;
    let clients = root().join("clients/go");
    if !run_reading(Command::new(&go).args(["vet", "./..."]).current_dir(&clients), |_| {})? {
        return Err("go vet has complaints".to_owned());
    }
    let mut command = Command::new(go);
    command.args(["test", "-race", "-count=1", "-v", "./..."]).current_dir(clients);
    reading(command.env("SHEAFD", target_dir().join("debug/sheafd")), tally)
}
