//! Tests of the storage engine under Miri, AddressSanitizer and ThreadSanitizer, which see what a test that passes may hide: a
//! read past its allocation or after its end, a race, a promise to the compiler that is not kept.
//!
//! - `miri` runs the tests of the memtable, where most `unsafe` code is, those with several threads in several schedules. It
//!   knows the rules of the language, and cannot run what calls the system or C.
//! - `address` runs all unit tests and those of `tests/storage` that treat files, memory and threads hard, C (zstd) included;
//!   leaks are findings as well.
//! - `thread` runs the same but for what has one thread only.
//!
//! In the latter two, fields are in an order drawn by the compiler (`-Zrandomize-layout`), and the standard library is built
//! in the same way: with its own checks of what unsafe functions are promised, and because ThreadSanitizer would take what its
//! locks order for races if it did not see them.
//!
//! All this is to be had from a nightly compiler only, which `cargo xtask setup` does not install: `rustup toolchain install
//! nightly --component miri,rust-src` does. What is missing is counted as not run.

use std::path::Path;
use std::process::Command;

use crate::deep::{Job, executables, figure_of_tests};
use crate::fuzz::host;
use crate::process::{Outcome, output, root, run_reading, target_dir};
use crate::tally::Tally;

const TOOLCHAIN: &str = "nightly";

/// A build of the storage engine's tests, and what of it is run.
struct Instrument {
    /// Also the part of a stage's name.
    name: &'static str,
    /// Of the compiler.
    flags: &'static str,
    /// Of the C compiler.
    c_flags: &'static str,
    /// What its runtime is told by which variable.
    runtime: (&'static str, &'static str),
    /// Of `tests/storage`, beside all unit tests.
    modules: &'static [&'static str],
}

const INSTRUMENTS: [Instrument; 2] = [
    Instrument {
        name: "address",
        flags: "-Zsanitizer=address -Zrandomize-layout -Cforce-frame-pointers=yes",
        c_flags: "-fsanitize=address -fno-omit-frame-pointer",
        runtime: ("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1"),
        modules: &[
            "background::",
            "corruption::",
            "crash_concurrent::",
            "damage::",
            "encryption::",
            "frozen::",
            "hostile::",
            "mapped::",
            "memory::",
            "open_files::",
            "reading::",
            "recovery::",
            "tablets::",
            "transaction::",
        ],
    },
    Instrument {
        name: "thread",
        flags: "-Zsanitizer=thread -Zrandomize-layout -Cforce-frame-pointers=yes",
        c_flags: "-fsanitize=thread -fno-omit-frame-pointer",
        runtime: ("TSAN_OPTIONS", "halt_on_error=1:history_size=5"),
        modules: &[
            "background::",
            "crash_concurrent::",
            "flushable::",
            "mapped::",
            "open_files::",
            "tablets::",
            "transaction::",
            "unsynced::",
        ],
    },
];

/// A test that compares what the engine says of its memory with what the process has: here most of that is the instrument's.
const MEASURED: &str = "memory::the_report_adds_up_to_the_process";

/// What Miri runs: a stage's name, the unit tests whose names contain this, in how many schedules.
const INTERPRETED: [(&str, &str, u32); 2] =
    [("memtable", "memtable::", 1), ("memtable's readers", "memtable::skiplist::tests::readers_see", 4)];

/// The stages whose names contain `filter` that this machine can do.
pub fn jobs(filter: &str, tally: &mut Tally) -> Outcome<Vec<Job>> {
    let is_meant = |name: &str| "sanitizers".contains(filter) || name.contains(filter);
    let mut jobs = Vec::new();
    if is_meant("miri") {
        match missing(&["miri", "rust-src"]) {
            Some(reason) => tally.not_run.push(format!("miri: {reason}")),
            None => jobs.extend(interpreted()?),
        }
    }
    for instrument in INSTRUMENTS.iter().filter(|instrument| is_meant(instrument.name)) {
        match missing(&["rust-src"]) {
            Some(reason) => tally.not_run.push(format!("{}: {reason}", instrument.name)),
            None => jobs.extend(instrumented(instrument)?),
        }
    }
    Ok(jobs)
}

/// Why nothing can be built with these components of the nightly toolchain.
fn missing(components: &[&str]) -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("only x86-64 Linux has all of them".to_owned());
    }
    let list = |arguments: &[&str]| {
        output(Command::new("rustup").args(arguments).current_dir(root())).unwrap_or_default()
    };
    // A toolchain that is named and missing would be installed, so it is looked for first.
    if !list(&["toolchain", "list"]).lines().any(|line| line.starts_with(TOOLCHAIN)) {
        return Some(format!("the {TOOLCHAIN} toolchain is missing"));
    }
    let installed = list(&["component", "list", "--installed", "--toolchain", TOOLCHAIN]);
    let component = components.iter().find(|name| !installed.lines().any(|line| line.starts_with(**name)))?;
    Some(format!("{component} of the {TOOLCHAIN} toolchain is missing"))
}

/// The toolchain's cargo, through rustup: the one that runs us is another's.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.arg(format!("+{TOOLCHAIN}")).current_dir(root());
    command
}

/// Builds for Miri; a stage runs the tests of a module.
fn interpreted() -> Outcome<Vec<Job>> {
    let miri = || {
        let mut command = cargo();
        command.args(["miri", "test", "--quiet", "--package", "sheaf-storage", "--lib", "--target-dir"]);
        command.arg(target_dir().join("miri"));
        command
    };
    if !run_reading(miri().arg("--no-run"), |_| {})? {
        return Err("the tests do not build for Miri".to_owned());
    }
    let mut jobs = Vec::new();
    for (name, filter, schedules) in INTERPRETED {
        for seed in 0..schedules {
            let mut command = miri();
            // A filter is a part of a name: there is more than the module that ends like it.
            command.args(["--", filter, "--skip", "tablet::", "--test-threads=1"]);
            command.env("MIRIFLAGS", format!("-Zmiri-strict-provenance -Zmiri-seed={seed}"));
            jobs.push(Job { name: format!("miri {name}, seed {seed}"), command, figure: figure_of_tests });
        }
    }
    Ok(jobs)
}

/// Builds with an instrument: the unit tests are a stage, and so are those of `tests/storage`.
fn instrumented(instrument: &Instrument) -> Outcome<Vec<Job>> {
    let host = host()?;
    let mut build = cargo();
    build.args(["test", "--quiet", "--profile", "deep", "--package", "sheaf-storage"]);
    build.args(["--lib", "--test", "storage", "-Zbuild-std", "--target", &host, "--target-dir"]);
    build.arg(target_dir().join(instrument.name)).env("RUSTFLAGS", instrument.flags);
    build.env(format!("CFLAGS_{}", host.replace('-', "_")), instrument.c_flags);
    let mut jobs = Vec::new();
    for (program, directory) in executables(&mut build)? {
        jobs.push(job(instrument, &program, &directory));
    }
    Ok(jobs)
}

fn job(instrument: &Instrument, program: &Path, directory: &Path) -> Job {
    let program_name = program.file_stem().unwrap_or_default().to_string_lossy();
    let (part, filters) = match program_name.starts_with("sheaf_storage-") {
        true => ("unit tests", &[][..]),
        false => ("storage", instrument.modules),
    };
    let mut command = Command::new(program);
    command.current_dir(directory).args(filters).args(["--skip", MEASURED, "--test-threads=1"]);
    command.env(instrument.runtime.0, instrument.runtime.1);
    Job { name: format!("{} {part}", instrument.name), command, figure: figure_of_tests }
}
