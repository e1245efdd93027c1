//! `cargo xtask golden`: rewrites golden scripts. Read the difference before committing it: it is the behaviour.

use crate::process::{Outcome, cargo, run as run_program};

/// Runs the golden tests with rewriting switched on.
pub fn run() -> Outcome {
    run_program(cargo().args(["test", "--quiet", "--workspace", "golden"]).env("SHEAF_GOLDEN_UPDATE", "1"))
}
