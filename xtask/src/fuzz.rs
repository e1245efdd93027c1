//! The fuzz targets of the storage engine: built with coverage counters, given to libFuzzer for a while each.
//!
//! `cargo fuzz` wants a nightly compiler for its sanitizers; the coverage counters that libFuzzer steers by are flags of
//! the stable one, so nothing has to be installed. Bounds are still checked and arithmetic still traps: the engine is
//! safe Rust but for four modules, which Miri, sanitizers and loom look after.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deep::Job;
use crate::process::{Outcome, cargo, root, run_reading, target_dir};
use crate::tally::Tally;

/// The bins of `storage/fuzz`.
const TARGETS: [&str; 6] = ["blob", "block", "footer", "manifest", "operations", "wal_reader"];
/// How long each is looked at.
const SECONDS: u32 = 120;
/// Memory that an input may make a target take.
const MEMORY_MB_MAX: u32 = 1_500;
/// What `cargo fuzz` passes, its sanitizer aside.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1";

/// Builds the targets: each is a stage of two minutes, from the kept corpus. What it finds new stays under `target/`.
pub fn jobs() -> Outcome<Vec<Job>> {
    let built = target_dir().join("fuzz");
    let host = host()?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--target", &host, "--manifest-path"]).arg(manifest());
    build.arg("--target-dir").arg(&built).env("RUSTFLAGS", FLAGS);
    if !run_reading(&mut build, |_| {})? {
        return Err("the fuzz targets do not build".to_owned());
    }
    let binaries = built.join(host).join("release");
    TARGETS.iter().map(|target| job(target, &binaries, &built)).collect()
}

/// Checks that the targets compile, which the tests of the workspace do not: the crate is a workspace of its own. What they do
/// with the kept corpus is a test of the storage engine.
pub fn check(tally: &mut Tally) -> Outcome {
    let mut check = cargo();
    check.args(["check", "--quiet", "--all-targets", "--manifest-path"]).arg(manifest());
    check.arg("--target-dir").arg(target_dir().join("fuzz-check"));
    if run_reading(&mut check, |_| {})? {
        tally.passed += 1;
        Ok(())
    } else {
        Err("the fuzz targets do not compile".to_owned())
    }
}

/// The manifest of `storage/fuzz`.
fn manifest() -> PathBuf {
    root().join("storage/fuzz/Cargo.toml")
}

/// The stage of one target.
fn job(target: &str, binaries: &Path, built: &Path) -> Outcome<Job> {
    let found = built.join("corpus").join(target);
    std::fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut command = Command::new(binaries.join(target));
    command.arg(format!("-max_total_time={SECONDS}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MB_MAX}")).args([
        "-max_len=4096",
        "-timeout=10",
        "-verbosity=0",
    ]);
    command.arg("-print_final_stats=1").arg(found).arg(root().join("storage/fuzz/corpus").join(target));
    command.current_dir(built);
    Ok(Job { name: format!("fuzz {target}"), command, figure })
}

/// How many inputs libFuzzer tried: the last thing it says, if there was no finding.
fn figure(report: &str) -> Option<String> {
    let executed = report.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    Some(format!("{} inputs, no finding", executed.trim()))
}

/// The machine's target triple. With it named, build scripts are built without the counters.
pub fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let output = Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not tell its host".to_owned())
}
