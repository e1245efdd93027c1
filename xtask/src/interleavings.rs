//! The builds of the storage engine in which threads are scheduled by loom or by shuttle (`storage/src/sync.rs`).

use crate::deep::{Job, executables, names, test};
use crate::process::{Outcome, cargo, run_reading, target_dir};
use crate::tally::Tally;

/// Which primitives are replaced, and the modules of the tests that are there then.
const BUILDS: [(&str, &str); 2] = [("loom", "interleavings"), ("shuttle", "schedules")];

/// Builds both; each of their tests is a stage.
pub fn jobs() -> Outcome<Vec<Job>> {
    let mut jobs = Vec::new();
    for (cfg, module) in BUILDS {
        let before = jobs.len();
        let mut build = cargo();
        build.args(["test", "--quiet", "--release", "--package", "sheaf-storage", "--lib", "--target-dir"]);
        build.arg(target_dir().join(cfg)).env("RUSTFLAGS", format!("--cfg {cfg}"));
        build.env("CARGO_PROFILE_RELEASE_LTO", "off");
        for (program, directory) in executables(&mut build)? {
            let tests = names(&program, &directory).into_iter().filter(|name| name.contains(module));
            jobs.extend(tests.map(|name| {
                let mut job = test(&program, &directory, &name);
                job.name = format!("{cfg} {name}");
                job
            }));
        }
        if jobs.len() == before {
            return Err(format!("{cfg}: no tests were found"));
        }
    }
    Ok(jobs)
}

/// Checks that both compile: an ordinary test run builds neither.
pub fn check(tally: &mut Tally) -> Outcome {
    for (cfg, _) in BUILDS {
        let mut check = cargo();
        check.args(["check", "--quiet", "--package", "sheaf-storage", "--lib", "--profile", "test"]);
        check.arg("--target-dir").arg(target_dir().join(format!("{cfg}-check")));
        check.env("RUSTFLAGS", format!("--cfg {cfg}"));
        if !run_reading(&mut check, |_| {})? {
            return Err(format!("the tests under {cfg} do not compile"));
        }
        tally.passed += 1;
    }
    Ok(())
}
