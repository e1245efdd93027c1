//! `sheaf-bench SUITE`: measures. `cargo xtask bench SUITE` calls it.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let suite = arguments.next().unwrap_or_default();
    let outcome = match suite.as_str() {
        "kv" => sheaf_bench::key_value::run(arguments),
        "doc" => sheaf_bench::document::run(arguments),
        "net" => sheaf_bench::network::run(arguments),
        _ => Err(format!("suite {suite:?} is not one of: kv, doc, net")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("sheaf-bench: {problem}");
            ExitCode::FAILURE
        }
    }
}
