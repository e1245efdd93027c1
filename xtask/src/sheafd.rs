//! A sheafd on free ports, for as long as somebody holds it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::Outcome;

/// A running sheafd; killed when dropped.
pub struct Sheafd {
    child: Child,
    ready: String,
}

impl Drop for Sheafd {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sheafd {
    /// Starts this program on a data directory, with its doors on free ports, and waits until it is ready.
    pub fn start(program: &Path, data: impl AsRef<OsStr>, arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(program)
            .arg("--data")
            .arg(data)
            .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let stdout = child.stdout.take();
        let mut sheafd = Self { child, ready: String::new() };
        let stdout = stdout.ok_or("sheafd has no standard output")?;
        BufReader::new(stdout).read_line(&mut sheafd.ready).map_err(|error| error.to_string())?;
        Ok(sheafd)
    }

    /// Where this door is: `grpc`, `http` or `wire`.
    pub fn address(&self, door: &str) -> Outcome<&str> {
        let (_, after) = self
            .ready
            .split_once(&format!(r#""{door}":""#))
            .ok_or_else(|| format!("sheafd did not get ready: {:?}", self.ready))?;
        Ok(after.split('"').next().unwrap_or_default())
    }
}
