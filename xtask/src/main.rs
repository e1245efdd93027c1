//! The developer's verbs: `cargo xtask setup | demo | test | check | golden | conformance | drivers | bench`.
//!
//! Each verb is a file. What they share is one way to run a program ([`process`]) and one count of what passed,
//! failed and could not be run ([`tally`]).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]

mod bench;
mod check;
mod conformance;
mod deep;
mod demo;
mod drivers;
mod fuzz;
mod golden;
mod interleavings;
mod process;
mod sanitizers;
mod setup;
mod sheafd;
mod tally;
mod targets;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests, measures and shows SheafDB")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what tests and demo need and say what cannot be had.
    Setup,
    /// Import a real data set, query it embedded, serve it, kill the server, show that nothing was lost.
    Demo(demo::Options),
    /// Run every test; the last line is `N passed, N failed`.
    Test(test::Options),
    /// Formatting and lints only.
    Check,
    /// Rewrite the expected part of every golden script from what the code does now.
    Golden,
    /// Run the conformance corpus.
    Conformance(conformance::Options),
    /// Run stock MongoDB drivers and mongosh against sheafd; the last line is `N passed, N failed`.
    Drivers,
    /// Measure; the last line is `rows N geomean R worst W (row)`.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Setup => setup::run(),
        Verb::Demo(options) => demo::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Check => check::run(),
        Verb::Golden => golden::run(),
        Verb::Conformance(options) => conformance::run(&options),
        Verb::Drivers => drivers::run(),
        Verb::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
