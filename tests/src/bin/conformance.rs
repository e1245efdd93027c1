//! Runs the conformance corpus; see the module of the same name. The last line is `N passed, N failed`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]

use std::path::PathBuf;
use std::process::ExitCode;

use bson::Bson;
use clap::Parser;
use sheaf_tests::conformance::runner::Outcome;
use sheaf_tests::conformance::target::{InProcess, Target};
use sheaf_tests::conformance::wire_target::OverTheWire;
use sheaf_tests::conformance::{Error, case::Case, corpus, ratchet, report::Report, runner, verdict};

/// Runs the conformance corpus in process, or over the MongoDB wire door.
#[derive(Parser)]
struct Arguments {
    /// Where the suites are (else SHEAF_SUITES, else ../shared/suites).
    #[arg(long)]
    suites: Option<PathBuf>,
    /// Only cases whose id starts with this.
    #[arg(long)]
    area: Option<String>,
    /// Only this case, with its whole exchange.
    #[arg(long)]
    case: Option<String>,
    /// Print the id and the reason of every failing case.
    #[arg(long)]
    failures: bool,
    /// Do not compare with the file of known failures.
    #[arg(long)]
    no_ratchet: bool,
    /// Take the cases that pass now out of the file of known failures. Never adds one, unless the file is absent.
    #[arg(long)]
    update: bool,
    /// Threads (else one per core).
    #[arg(long)]
    threads: Option<usize>,
    /// Over the MongoDB wire door as well: every case must end there as it does in process.
    #[arg(long)]
    wire: bool,
    /// With --wire: connections at once.
    #[arg(long, default_value_t = 8, requires = "wire")]
    connections: usize,
    /// Only every n-th case.
    #[arg(long, default_value_t = 1)]
    every: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Error> {
    let file = corpus::corpus_file(&corpus::suites_dir(arguments.suites.clone()));
    if !file.exists() {
        println!("not run: {} is not there", file.display());
        return Ok(true);
    }
    let wanted = |id: &str| match (&arguments.case, &arguments.area) {
        (Some(case), _) => id == case,
        (None, Some(area)) => id.starts_with(area.as_str()),
        (None, None) => true,
    };
    let mut cases = corpus::read(&file, wanted)?;
    let mut number = 0;
    cases.retain(|_| {
        number += 1;
        (number - 1) % arguments.every.max(1) == 0
    });
    if arguments.case.is_some() {
        return Ok(show_exchange(&cases));
    }
    let started = std::time::Instant::now();
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    // A panic is reported with its case; the default hook would print thousands of lines in between.
    std::panic::set_hook(Box::new(|_| {}));
    let no_thread = |source| Error::Io { path: "a worker thread".to_owned(), source };
    let outcomes = runner::run(cases, Box::new(InProcess), threads).map_err(no_thread)?;
    let clean =
        outcomes.iter().filter(|(case, outcome)| is_fatal(case, outcome, arguments.failures)).count() == 0;
    if arguments.wire && clean {
        return over_the_wire(outcomes, arguments.connections).map_err(no_thread);
    }
    let report = Report::new(&outcomes);
    print!("{report}");
    let kept = arguments.no_ratchet || keep_ratchet(arguments, &outcomes)?;
    let (passed, total) = report.totals();
    println!("in {:.1?}", started.elapsed());
    println!("{passed} passed, {} failed", total - passed);
    Ok(clean && kept)
}

/// Runs the cases again over the wire; says whether each ends as it did in process.
fn over_the_wire(in_process: Vec<(Case, Outcome)>, connections: usize) -> std::io::Result<bool> {
    let started = std::time::Instant::now();
    let target = OverTheWire::new(connections)?;
    let (cases, expected): (Vec<_>, Vec<_>) = in_process.into_iter().unzip();
    let outcomes = runner::run(cases, Box::new(target), connections)?;
    let mut same = 0;
    for ((case, outcome), expected) in outcomes.iter().zip(&expected) {
        if (*outcome == Outcome::Passed) == (*expected == Outcome::Passed) {
            same += 1;
        } else {
            println!("DIFFERENT {}\n    in process: {expected:?}\n    over the wire: {outcome:?}", case.id);
        }
    }
    let report = Report::new(&outcomes);
    print!("{report}");
    let (passed, total) = report.totals();
    println!(
        "over {connections} connections in {:.1?}: {passed} of {total} hold their asserts",
        started.elapsed()
    );
    // What is counted is the comparison: the rate itself is the business of the run in process.
    println!("{same} passed, {} failed", outcomes.len() - same);
    Ok(same == outcomes.len())
}

/// Prints what is wrong with a case; says whether it spoils the whole run.
fn is_fatal(case: &Case, outcome: &Outcome, failures: bool) -> bool {
    match outcome {
        Outcome::Passed => false,
        Outcome::Failed(reason) => {
            if failures {
                println!("FAILED {}\n    {reason}", case.id);
            }
            false
        }
        Outcome::Panicked(message) => {
            println!("PANIC {}\n    {message}", case.id);
            true
        }
        Outcome::Hung => {
            println!("HANG {}", case.id);
            true
        }
    }
}

fn keep_ratchet(arguments: &Arguments, outcomes: &[(Case, Outcome)]) -> Result<bool, Error> {
    let path = ratchet::file();
    let is_new = !path.exists();
    let mut known = ratchet::read(&path)?;
    let ran = outcomes.iter().map(|(case, outcome)| (case.id.as_str(), *outcome == Outcome::Passed));
    let comparison = ratchet::compare(&known, ran);
    if arguments.update {
        for id in &comparison.mended {
            known.remove(id);
        }
        if is_new {
            known.extend(comparison.broken.iter().cloned());
        }
        ratchet::write(&path, &known)?;
        println!("{} taken off the list of known failures", comparison.mended.len());
    } else {
        for id in &comparison.mended {
            println!("MENDED {id}");
        }
        if !comparison.mended.is_empty() {
            println!("{} known failures pass now: --update takes them off the list", comparison.mended.len());
        }
    }
    if !(arguments.update && is_new) {
        for id in &comparison.broken {
            println!("BROKEN {id}");
        }
        return Ok(comparison.broken.is_empty());
    }
    Ok(true)
}

fn show_exchange(cases: &[Case]) -> bool {
    let target = InProcess;
    let mut passed = 0;
    for case in cases {
        println!("{} ({:?})", case.id, case.topology);
        let mut exchanged = verdict::Exchanged::default();
        let outcome = verdict::run(case, &target as &dyn Target, &mut exchanged);
        for (index, (database, command, reply)) in exchanged.steps.into_iter().enumerate() {
            println!("[{index}] {database}> {}", Bson::Document(command).into_relaxed_extjson());
            println!("[{index}] {}", Bson::Document(reply).into_relaxed_extjson());
        }
        for assert in &case.asserts {
            println!("assert {assert:?}");
        }
        match outcome {
            Ok(()) => passed += 1,
            Err(reason) => println!("FAILED: {reason}"),
        }
    }
    println!("{passed} passed, {} failed", cases.len() - passed);
    passed == cases.len()
}
