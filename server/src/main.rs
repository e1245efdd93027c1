//! The sheafd binary: configuration in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use sheaf_server::config::{Config, Flags};
use sheaf_server::server::Server;
use sheaf_server::storage_pool::STACK_BYTES;
use sheaf_server::{logging, shutdown};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // The logger may not be there yet, and its filter may hide errors.
            let _stderr_gone = writeln!(std::io::stderr(), "sheafd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let config = Config::load(Flags::parse()).map_err(|error| error.to_string())?;
    logging::install(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(config.storage_threads_max + 16)
        .thread_stack_size(STACK_BYTES)
        .thread_name("sheafd")
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), String> {
    let data = config.data.display().to_string();
    // Before the doors open, so that a signal right after "ready" finds somebody who listens.
    let signal = tokio::spawn(shutdown::signal());
    let mut server = Server::start(config).await.map_err(|error| error.to_string())?;
    let wire = server.wire().map(|address| address.to_string());
    tracing::info!(grpc = %server.grpc(), http = %server.http(), wire, data, "ready");
    announce(&server, &data)?;
    let name = tokio::select! {
        signal = signal => signal.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?,
        failed = server.failed() => return failed.map_err(|error| error.to_string()),
    };
    tracing::info!(signal = name, "draining");
    // A second signal means: now. What was acknowledged is in the log, and the next start recovers it.
    tokio::select! {
        stopped = server.stop() => stopped.map_err(|error| error.to_string())?,
        second = shutdown::signal() => {
            let name = second.map_err(|error| error.to_string())?;
            return Err(format!("stopped at once by a second signal ({name})"));
        }
    }
    tracing::info!("closed");
    Ok(())
}

/// The line that says where to connect, in the order of its fields.
#[derive(serde::Serialize)]
struct Ready<'a> {
    event: &'static str,
    grpc: String,
    http: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire: Option<String>,
    data: &'a str,
    pid: u32,
    version: &'static str,
}

/// Tells the process that started this one where to connect: one JSON line on standard output.
fn announce(server: &Server, data: &str) -> Result<(), String> {
    let ready = Ready {
        event: "ready",
        grpc: server.grpc().to_string(),
        http: server.http().to_string(),
        wire: server.wire().map(|address| address.to_string()),
        data,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let line = serde_json::to_string(&ready).map_err(|error| error.to_string())?;
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| format!("standard output: {error}"))
}
