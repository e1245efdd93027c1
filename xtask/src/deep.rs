//! `cargo xtask test --deep`: every stage at its full length, as many at a time as there are cores.
//!
//! A stage is a test named `deep_*`, a fuzz target, a test of a build with other primitives (loom, shuttle), or tests under an
//! instrument (Miri, sanitizers). First everything
//! is built (profile `deep`: optimised, with the checks of a debug build), then the stages run as processes of their own, the
//! longest first, so that no core idles at the end. Each prints its figure and its time; a failure prints all it said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::process::{Outcome, cargo, output, root};
use crate::tally::Tally;
use crate::{fuzz, interleavings, sanitizers, targets};

/// Seconds on one core of the stages that take more than [`SECONDS_DEFAULT`], for the order only.
const SECONDS: [(&str, u32); 15] = [
    ("fuzz::deep_commands", 600),
    ("model::deep_model", 480),
    ("metamorphic::deep_metamorphic", 370),
    ("differential::", 150),
    ("fuzz ", 120),
    ("tablets::crash::deep_crash_tablets", 95),
    ("interleavings", 80),
    ("miri ", 40),
    ("thread ", 30),
    ("targets ", 60),
    ("crash::deep_crash", 50),
    ("kill::deep_kill", 50),
    ("crash_concurrent::deep_crash_concurrent", 35),
    ("schedules", 40),
    ("address ", 30),
];
/// What a stage is taken to need otherwise.
const SECONDS_DEFAULT: u32 = 10;

/// A process that proves something.
pub struct Job {
    /// The stage's name.
    pub name: String,
    /// What to run.
    pub command: Command,
    /// The figure in what it printed; `None` if it proves nothing.
    pub figure: fn(&str) -> Option<String>,
}

/// What came of a job.
struct Report {
    name: String,
    /// The figure, unless the stage failed.
    figure: Option<String>,
    took: Duration,
}

/// Runs every stage whose name contains `filter`.
pub fn run(filter: Option<&str>, tally: &mut Tally) -> Outcome {
    let started = Instant::now();
    let filter = filter.unwrap_or_default();
    let mut jobs = tests(filter)?;
    if "fuzz".contains(filter) {
        jobs.extend(fuzz::jobs()?);
    }
    if "interleavings".contains(filter) {
        jobs.extend(interleavings::jobs()?);
    }
    if "targets".contains(filter) {
        jobs.extend(targets::jobs(tally)?);
    }
    jobs.extend(sanitizers::jobs(filter, tally)?);
    if jobs.is_empty() && tally.not_run.is_empty() {
        return Err(format!("no stage is named {filter:?}"));
    }
    let built = started.elapsed();
    jobs.sort_by_key(|job| std::cmp::Reverse(seconds(&job.name)));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let reports = run_all(jobs, workers);
    println!("\n{:<70} {:>7}  figure", "stage", "seconds");
    for report in &reports {
        let figure = report.figure.as_deref().unwrap_or("FAILED");
        println!("{:<70} {:>7.1}  {figure}", report.name, report.took.as_secs_f64());
        match report.figure {
            Some(_) => tally.passed += 1,
            None => tally.failed += 1,
        }
    }
    println!("deep: {} stages in {:.0?}, {built:.0?} of it for building", reports.len(), started.elapsed());
    Ok(())
}

fn seconds(name: &str) -> u32 {
    let known = SECONDS.iter().find(|(part, _)| name.contains(part));
    known.map_or(SECONDS_DEFAULT, |(_, seconds)| *seconds)
}

/// Runs jobs, so many side by side, and returns their reports by name.
fn run_all(mut jobs: Vec<Job>, workers: usize) -> Vec<Report> {
    jobs.reverse();
    println!("{} stages, {workers} at a time", jobs.len());
    let (jobs, reports) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // A guard in a loop's condition would be held for a whole pass, and the jobs run one by one.
                let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
                while let Some(job) = next() {
                    let report = run_one(job);
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    reports
}

fn run_one(mut job: Job) -> Report {
    let started = Instant::now();
    let output = job.command.stdin(Stdio::null()).output();
    let took = started.elapsed();
    let (text, succeeded) = match output {
        Ok(output) => {
            let streams = [output.stdout, output.stderr].concat();
            (String::from_utf8_lossy(&streams).into_owned(), output.status.success())
        }
        Err(error) => (error.to_string(), false),
    };
    let figure = (job.figure)(&text).filter(|_| succeeded);
    match &figure {
        Some(figure) => println!("{}: {figure}, in {took:.1?}", job.name),
        None => println!("{text}\n{}: FAILED after {took:.1?}", job.name),
    }
    Report { name: job.name, figure, took }
}

/// The tests named `deep_*` whose path contains `filter`. Only the packages that have one are built.
fn tests(filter: &str) -> Outcome<Vec<Job>> {
    let packages = packages_with(filter)?;
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let mut build = cargo();
    build.args(["test", "--profile", "deep"]);
    for package in packages.keys() {
        build.args(["--package", package]);
    }
    if packages.contains_key("sheaf-storage") {
        build.args(["--features", "sheaf-storage/planted"]);
    }
    let mut jobs = Vec::new();
    for (program, directory) in executables(&mut build)? {
        for name in names(&program, &directory) {
            let wanted = name.rsplit("::").next().is_some_and(|last| last.starts_with("deep_"));
            if wanted && name.contains(filter) {
                let mut job = test(&program, &directory, &name);
                job.command.env("SHEAF_DEEP", "1");
                jobs.push(job);
            }
        }
    }
    Ok(jobs)
}

/// A job that runs one test of a test program.
pub fn test(program: &Path, directory: &Path, name: &str) -> Job {
    let mut command = Command::new(program);
    command.current_dir(directory).args(["--exact", name, "--nocapture", "--test-threads=1"]);
    Job { name: name.to_owned(), command, figure: figure_of_test }
}

/// What a test that passed says behind the word `stage`, line by line.
fn figure_of_test(text: &str) -> Option<String> {
    if !text.contains("test result: ok. 1 passed; 0 failed") {
        return None;
    }
    // The runner may have begun the line.
    let figures = text.lines().filter_map(|line| line.split_once("stage ").map(|(_, figure)| figure));
    let figures = figures.collect::<Vec<_>>().join("; ");
    Some(if figures.is_empty() { "passed".to_owned() } else { figures })
}

/// How many tests passed, of a program that runs several.
pub fn figure_of_tests(text: &str) -> Option<String> {
    let counts = text.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let passed = counts.map(|counts| counts.split(" passed").next().unwrap_or_default());
    let passed = passed.map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    (passed > 0).then(|| format!("{passed} passed"))
}

/// The names of the tests in a test program.
pub fn names(program: &Path, directory: &Path) -> Vec<String> {
    let listed = output(Command::new(program).args(["--list", "--format=terse"]).current_dir(directory));
    let listed = listed.unwrap_or_default();
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Builds what `build` names and returns the test programs with the directories of their packages.
pub fn executables(build: &mut Command) -> Outcome<Vec<(PathBuf, PathBuf)>> {
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let mut found = Vec::new();
    let built = run_quietly(build, |line| {
        if let (Some(program), Some(manifest)) = (field(line, "executable"), field(line, "manifest_path")) {
            let directory = Path::new(manifest).parent().unwrap_or(Path::new("."));
            found.push((PathBuf::from(program), directory.to_path_buf()));
        }
    })?;
    if built { Ok(found) } else { Err("the tests do not build".to_owned()) }
}

/// As `run_reading`, for output nobody wants to see.
fn run_quietly(command: &mut Command, mut read: impl FnMut(&str)) -> Outcome<bool> {
    command.stdout(Stdio::piped());
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    String::from_utf8_lossy(&output.stdout).lines().for_each(&mut read);
    Ok(output.status.success())
}

/// A text field of one of cargo's messages. Paths with characters that JSON escapes are not supported.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The packages whose sources have a test `deep_*` that `filter` may mean, with their directories.
fn packages_with(filter: &str) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut packages = BTreeMap::new();
    let listed = output(Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()));
    for listed in listed.ok_or("git ls-files failed")?.lines() {
        let path = root().join(listed);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // The filter may be a part of the module's name.
        let meant = |name: &str| name.contains(filter) || listed.contains(filter);
        let found = text.lines().filter_map(|line| line.trim().strip_prefix("fn deep_"));
        if found.map(|rest| format!("deep_{rest}")).any(|name| meant(&name))
            && let Some((name, directory)) = package_of(&path)
        {
            packages.insert(name, directory);
        }
    }
    Ok(packages)
}

/// The package a source file belongs to.
fn package_of(path: &Path) -> Option<(String, PathBuf)> {
    let directory = path.ancestors().skip(1).find(|directory| directory.join("Cargo.toml").exists())?;
    let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).ok()?;
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = \""))?;
    Some((name.trim_end_matches('"').to_owned(), directory.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_behind_the_runners_words_and_only_if_the_test_passed() {
        let passed = "test kill::deep_kill ... stage kill: 50 rounds\nok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored";
        assert_eq!(figure_of_test(passed).as_deref(), Some("kill: 50 rounds"));
        assert_eq!(figure_of_test(&passed.replace("1 passed", "0 passed")), None);
        assert_eq!(figure_of_test("test result: ok. 1 passed; 0 failed").as_deref(), Some("passed"));
    }

    #[test]
    fn tests_are_counted_over_all_runs_and_none_is_no_figure() {
        let run = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 90 filtered out";
        assert_eq!(figure_of_tests(&format!("x\n{run}\n\n{run}\n")).as_deref(), Some("24 passed"));
        assert_eq!(figure_of_tests(&run.replace("12", "0")), None);
        assert_eq!(figure_of_tests("test result: FAILED. 3 passed; 1 failed"), None);
    }

    #[test]
    fn fields_of_cargos_messages_are_found() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","executable":"/t/x-1"}"#;
        assert_eq!(field(line, "executable"), Some("/t/x-1"));
        assert_eq!(field(line, "manifest_path"), Some("/a/Cargo.toml"));
        assert_eq!(field(r#"{"executable":null}"#, "executable"), None);
    }

    #[test]
    fn jobs_run_side_by_side() {
        let directory = std::env::temp_dir().join(format!("sheaf-deep-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let jobs = [("one", "other"), ("other", "one")].map(|(own, awaited)| {
            // Each ends well only while the other is there.
            let script = format!(
                "touch {own}; for _ in $(seq 200); do [ -e {awaited} ] && exit 0; sleep 0.05; done; exit 1"
            );
            let mut command = Command::new("sh");
            command.args(["-c", &script]).current_dir(&directory);
            Job { name: own.to_owned(), command, figure: |_| Some("met".to_owned()) }
        });
        let reports = run_all(jobs.into(), 2);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(reports.iter().all(|report| report.figure.is_some()));
    }

    #[test]
    fn the_storage_engine_has_deep_stages() {
        let packages = packages_with("model").unwrap();
        assert!(packages.contains_key("sheaf-storage"), "{packages:?}");
    }
}
