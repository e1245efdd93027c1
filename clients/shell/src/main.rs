//! `sheaf`: the command line of SheafDB.
//!
//! Every verb works on an embedded database (`--path DIR`) or on a server (`--server ADDR`), and speaks to both in
//! commands: a document goes in, a document comes out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]

mod export;
mod import;
mod inspect;
mod namespace;
mod plan;
mod query;
mod reply;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "sheaf", version, about = "The command line of SheafDB")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Put documents from a file into a collection.
    Import(import::Options),
    /// Write the documents of a collection to a file or standard output.
    Export(export::Options),
    /// Run one command and print what it answers.
    Query(query::Options),
    /// Print any file of a database directory in a form for people.
    Inspect(inspect::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Import(options) => import::run(&options),
        Verb::Export(options) => export::run(&options),
        Verb::Query(options) => query::run(&options),
        Verb::Inspect(options) => inspect::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sheaf: {message}");
            ExitCode::FAILURE
        }
    }
}
