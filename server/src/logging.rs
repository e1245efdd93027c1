//! Log lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Installs the process's logger. The filter was written by a person: one that is malformed is refused.
pub fn install(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|error| format!("log.filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Pretty => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| format!("the logger cannot be installed: {error}"))
}

/// A line about commands.
#[cfg(feature = "wire")]
pub fn of_commands(line: &sheaf_command::LogLine) {
    match line.severity {
        sheaf_command::Severity::Information => {
            tracing::info!(component = line.component, "{}", line.message)
        }
        sheaf_command::Severity::Warning => tracing::warn!(component = line.component, "{}", line.message),
    }
}

/// A line that the database writes where it has nobody to answer.
pub fn of_database(line: &str) {
    tracing::warn!("{line}");
}
