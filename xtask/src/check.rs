//! `cargo xtask check`: formatting and lints.

use crate::process::{self, Outcome, cargo};

/// Fails at the first complaint.
pub fn run_checks() -> Outcome {
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    process::run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The verb.
pub fn run() -> Outcome {
    run_checks()?;
    println!("formatting and lints are clean");
    Ok(())
}
