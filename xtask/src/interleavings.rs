//! The builds of the storage engine in which threads are scheduled by loom or by shuttle (`storage/src/sync.rs`).

use crate::deep::{Job, executables, names, test};
use crate::process::{Outcome, cargo, target_dir};

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
