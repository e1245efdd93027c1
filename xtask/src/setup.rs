//! `cargo xtask setup`: gets what is missing and prints a table.

use crate::process::Outcome;
use crate::tools::Tool;

/// Installs every tool that is missing. What cannot be had is reported, never an error: the steps that need it say
/// so again and are counted as not run.
pub fn run() -> Outcome {
    println!("{:<40} state", "tool");
    for tool in Tool::ALL {
        let state = if tool.is_present() {
            "found".to_owned()
        } else {
            match tool.install() {
                Ok(()) => "installed".to_owned(),
                Err(reason) => format!("not to be had: {reason}"),
            }
        };
        println!("{:<40} {state}", tool.name());
    }
    Ok(())
}
