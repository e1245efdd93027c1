//! sheafd as a process on a directory of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; killed when dropped.
pub struct ServerProcess {
    child: Child,
    address: String,
    started_in: Duration,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        if self.child.kill().is_ok() {
            let _status = self.child.wait();
        }
    }
}

impl ServerProcess {
    /// Starts it and waits for its ready line.
    pub fn start(sheafd: &Path, data: &Path) -> Result<Self, String> {
        let start = Instant::now();
        let child = Command::new(sheafd)
            .arg("--data")
            .arg(data)
            .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", sheafd.display()))?;
        let mut process = Self { child, address: String::new(), started_in: Duration::ZERO };
        let stdout = process.child.stdout.take().ok_or("sheafd has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        process.started_in = start.elapsed();
        process.address = address(&line)?;
        Ok(process)
    }

    /// Where gRPC is served, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From its spawning to its ready line.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Bytes of memory it has resident, as Linux tells.
    pub fn resident_bytes(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        resident_bytes(&status).ok_or_else(|| format!("{path} has no VmRSS"))
    }
}

/// The address in a ready line.
fn address(line: &str) -> Result<String, String> {
    let ready = sheaf_document::json::parse_document(line)
        .map_err(|error| format!("sheafd did not say it is ready, but {line:?}: {error}"))?;
    let address = ready.as_raw().get("grpc").and_then(|address| address.as_str());
    address.map(str::to_owned).ok_or_else(|| format!("no address in {line:?}"))
}

/// The resident bytes in the text of `/proc/PID/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_has_an_address_and_anything_else_is_refused() {
        let line = "{\"event\":\"ready\",\"grpc\":\"127.0.0.1:4711\",\"pid\":7}\n";
        assert_eq!(address(line).unwrap(), "127.0.0.1:4711");
        for wrong in ["", "sheafd: no\n", "{}"] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("VmSize:\t 9 kB\nVmRSS:\t    20 kB\n"), Some(20_480));
        assert_eq!(resident_bytes("VmRSS:\t many\n"), None);
    }
}
