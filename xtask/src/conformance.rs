//! `cargo xtask conformance`: the corpus, in process or over the MongoDB wire door.

use std::path::PathBuf;

use clap::Args;

use crate::process::{Outcome, cargo, run as run_program};

/// What to run of the corpus.
#[derive(Args)]
pub struct Options {
    /// Where the suites are (else SHEAF_SUITES, else ../shared/suites).
    #[arg(long)]
    suites: Option<PathBuf>,
    /// Only the areas that start with this.
    #[arg(long)]
    area: Option<String>,
    /// Only this case, with its whole exchange.
    #[arg(long)]
    case: Option<String>,
    /// Print the id of every failing case.
    #[arg(long)]
    failures: bool,
    /// Do not compare with the file of known failures.
    #[arg(long)]
    no_ratchet: bool,
    /// Over the MongoDB wire door, on 8 connections: every case must end there as it does in process.
    #[arg(long)]
    wire: bool,
}

/// Builds the runner with optimisation and hands over.
pub fn run(options: &Options) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "sheaf-tests", "--bin", "conformance", "--"]);
    if let Some(suites) = &options.suites {
        command.arg("--suites").arg(suites);
    }
    if let Some(area) = &options.area {
        command.args(["--area", area]);
    }
    if let Some(case) = &options.case {
        command.args(["--case", case]);
    }
    for (flag, set) in
        [("--failures", options.failures), ("--no-ratchet", options.no_ratchet), ("--wire", options.wire)]
    {
        if set {
            command.arg(flag);
        }
    }
    run_program(&mut command)
}
