//! `cargo xtask demo`: the main job, on real input.
//!
//! 1. Import the cities of the world into an embedded database, build indexes, ask eight questions; print for each
//!    the answer, the plan and the time.
//! 2. Serve the same directory, run the Go client against it.
//! 3. Load through the Go client, kill the server with SIGKILL in the middle, start it again, and compare with the
//!    client's own list of acknowledged writes.

mod cities;
mod questions;
mod served;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::process::{Outcome, cargo, root, run as run_program, target_dir};
use crate::tools::Tool;

/// Where to put it.
#[derive(Args)]
pub struct Options {
    /// The directory for the data set and the database; an earlier demo's is replaced.
    #[arg(long, default_value = "demo-data")]
    directory: PathBuf,
}

/// What the steps of the demo share.
struct Demo {
    sheaf: PathBuf,
    sheafd: PathBuf,
    directory: PathBuf,
    database: PathBuf,
}

/// The verb.
pub fn run(options: &Options) -> Outcome {
    for tool in [Tool::Cities, Tool::Go] {
        if !tool.is_present()
            && let Err(reason) = tool.install()
        {
            println!("{}: not to be had ({reason}); going on without", tool.name());
        }
    }
    println!("building sheaf and sheafd (release) ...");
    run_program(cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "sheaf-shell",
        "--package",
        "sheaf-server",
    ]))?;
    let started = Instant::now();
    let demo = prepare(options)?;
    demo.import()?;
    questions::build_indexes(&demo)?;
    questions::ask(&demo)?;
    served::run(&demo)?;
    println!("\nThe whole demo took {:.1?} after the build. It leaves its data for you:", started.elapsed());
    println!(
        "  {} query --path {} --database geo '{{\"count\":\"cities\"}}'",
        demo.sheaf.display(),
        demo.database.display()
    );
    println!(
        "  {} --data {}          # then, from another terminal:",
        demo.sheafd.display(),
        demo.database.display()
    );
    println!(
        "  {} query --server 127.0.0.1:7070 --database geo '{{\"find\":\"cities\",\"limit\":3}}'",
        demo.sheaf.display()
    );
    Ok(())
}

fn prepare(options: &Options) -> Outcome<Demo> {
    let directory = root().join(&options.directory);
    let database = directory.join("database");
    if database.exists() {
        std::fs::remove_dir_all(&database).map_err(|error| format!("{}: {error}", database.display()))?;
    }
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let release = target_dir().join("release");
    Ok(Demo { sheaf: release.join("sheaf"), sheafd: release.join("sheafd"), directory, database })
}

impl Demo {
    /// `sheaf VERB --path DATABASE`.
    fn embedded(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.sheaf);
        command.arg(verb).arg("--path").arg(&self.database);
        command
    }

    fn import(&self) -> Outcome {
        let lines = self.directory.join("cities.jsonl");
        let (count, source) = cities::write_json_lines(&lines)?;
        println!("\n== {count} documents, from {source}");
        run_program(self.embedded("import").args(["--collection", "geo.cities"]).arg(&lines))
    }
}
