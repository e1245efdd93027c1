//! `cargo xtask bench kv|doc|net`: measures. `--compare` measures the peers in the same interleaved run.

use clap::{Args, ValueEnum};

use crate::process::{Outcome, cargo, root, run as run_program, target_dir};

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Keys and values, documents, or a server over loopback.
    what: Suite,
    /// Against the peers (builds their engines first; long).
    #[arg(long)]
    compare: bool,
    /// Passed on to the harness.
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    Kv,
    Doc,
    Net,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Suite::Kv => "kv",
            Suite::Doc => "doc",
            Suite::Net => "net",
        }
    }
}

/// The verb.
pub fn run(options: &Options) -> Outcome {
    if options.compare {
        let script = root().join("benches/compare/scripts/compare.sh");
        return run_program(std::process::Command::new(script).arg(options.what.name()).args(&options.rest));
    }
    if matches!(options.what, Suite::Net) {
        let mut server = cargo();
        server.args(["build", "--quiet", "--release", "--package", "sheaf-server", "--bin", "sheafd"]);
        run_program(&mut server)?;
    }
    let mut command = cargo();
    // Whoever names a server of their own measures that one.
    if std::env::var_os("SHEAFD").is_none() {
        command.env("SHEAFD", target_dir().join("release/sheafd"));
    }
    command.args(["run", "--quiet", "--release", "--package", "sheaf-bench", "--", options.what.name()]);
    run_program(command.args(&options.rest))
}
