//! The builds of the storage engine in which threads are scheduled by loom or by shuttle (`storage/src/sync.rs`).

use crate::process::{Outcome, cargo, run_reading, target_dir};
use crate::tally::Tally;

/// Which primitives are replaced, and the tests that are there then.
const BUILDS: [(&str, &str); 2] = [("loom", "interleavings"), ("shuttle", "schedules")];

/// The stage.
pub fn run(tally: &mut Tally) -> Outcome {
    for (cfg, tests) in BUILDS {
        let mut command = cargo();
        command.args(["test", "--release", "--package", "sheaf-storage", "--lib", "--target-dir"]);
        command.arg(target_dir().join(cfg)).args([tests, "--", "--nocapture"]);
        let before = tally.passed;
        let held =
            run_reading(command.env("RUSTFLAGS", format!("--cfg {cfg}")), |line| tally.read_line(line))?;
        if !held || tally.passed == before {
            return Err(format!("{cfg}: the stage did not hold, or found no tests"));
        }
    }
    Ok(())
}
