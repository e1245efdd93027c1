//! `sheaf query`: one command, given as extended JSON, and what it answers.

use std::time::Instant;

use clap::Args;
use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, json};

use crate::target::{Target, TargetOptions};
use crate::{plan, reply};

/// The command and how to show its answer.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// The database that the command is for.
    #[arg(long)]
    database: String,
    /// Print the plan too (of find, aggregate, count, distinct, update, delete).
    #[arg(long)]
    plan: bool,
    /// Print how long the command took.
    #[arg(long)]
    time: bool,
    /// Keep every type exactly (canonical extended JSON).
    #[arg(long)]
    canonical: bool,
    /// Print the reply as it came, instead of the documents of its cursor.
    #[arg(long)]
    raw: bool,
    /// The command, for instance '{"find":"cities","limit":3}'.
    command: String,
}

/// The verb.
pub fn run(options: &Options) -> Result<(), String> {
    let command = json::parse_document(&options.command).map_err(|error| error.to_string())?;
    let target = Target::open(&options.target)?;
    // The plan comes first: after an update the same filter may choose another one.
    let plan = if options.plan { Some(explain(&target, options, &command)?) } else { None };
    let started = Instant::now();
    let reply = target.run(&options.database, &command)?;
    let elapsed = started.elapsed();
    let reply = reply::checked(reply.as_raw())?;
    show(&target, options, command.as_raw(), reply)?;
    if let Some(plan) = plan {
        println!("plan: {plan}");
    }
    if options.time {
        println!("time: {:.3} ms", elapsed.as_secs_f64() * 1e3);
    }
    target.close()
}

fn explain(target: &Target, options: &Options, command: &RawDocumentBuf) -> Result<String, String> {
    let mut explain = DocumentBuilder::new();
    explain.append("explain", command.as_raw()).append("verbosity", "queryPlanner");
    let reply = target.run(&options.database, &explain.build())?;
    plan::outline(reply::checked(reply.as_raw())?)
}

/// Prints the documents of a cursor, one a line, to its end; any other reply as it is.
fn show(
    target: &Target,
    options: &Options,
    command: RawDocument<'_>,
    first: RawDocument<'_>,
) -> Result<(), String> {
    let text = |document: RawDocument<'_>| match options.canonical {
        true => json::to_canonical(document),
        false => json::to_relaxed(document),
    };
    let collection = command.first().and_then(|element| element.value().as_str()).unwrap_or("$cmd.aggregate");
    let Some((documents, mut cursor)) = reply::batch(first).filter(|_| !options.raw) else {
        println!("{}", text(first));
        return Ok(());
    };
    for document in documents {
        println!("{}", text(document));
    }
    while cursor != 0 {
        let mut more = DocumentBuilder::new();
        more.append("getMore", cursor).append("collection", collection);
        let reply = target.run(&options.database, &more.build())?;
        let (documents, next) =
            reply::batch(reply::checked(reply.as_raw())?).ok_or("the reply has no cursor")?;
        cursor = next;
        for document in documents {
            println!("{}", text(document));
        }
    }
    Ok(())
}
