//! The demo's second half: sheafd on the same directory, the Go client, and a kill in the middle of a load.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Demo;
use crate::process::{Outcome, root, run as run_program};
use crate::tools;

/// A running sheafd; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(demo: &Demo) -> Outcome<Server> {
    let mut child = Command::new(&demo.sheafd)
        .arg("--data")
        .arg(&demo.database)
        .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", demo.sheafd.display()))?;
    let stdout = child.stdout.take().ok_or("sheafd has no standard output")?;
    let mut server = Server { child, address: String::new() };
    let mut ready = String::new();
    BufReader::new(stdout).read_line(&mut ready).map_err(|error| error.to_string())?;
    let (_, after) =
        ready.split_once(r#""grpc":""#).ok_or_else(|| format!("sheafd did not get ready: {ready}"))?;
    server.address = after.split('"').next().unwrap_or_default().to_owned();
    Ok(server)
}

/// Serves, loads, kills, restarts, verifies.
pub fn run(demo: &Demo) -> Outcome {
    let Some(go) = tools::go().filter(|_| tools::Tool::Go.is_present()) else {
        println!("\nnot run: the Go client (Go is missing)");
        return Ok(());
    };
    let tour = demo.directory.join("tour");
    run_program(
        Command::new(go)
            .args(["build", "-o"])
            .arg(&tour)
            .arg("./examples/tour")
            .current_dir(root().join("clients/go")),
    )?;
    println!("\n== sheafd on the same directory, and the Go client");
    let server = start(demo)?;
    println!("sheafd serves gRPC on {}", server.address);
    run_program(Command::new(&tour).args(["read", &server.address]))?;

    println!("\n== A load through the Go client, and SIGKILL in the middle of it");
    let acknowledged = demo.directory.join("acknowledged.txt");
    let mut load = Command::new(&tour)
        .args(["load", &server.address])
        .arg(&acknowledged)
        .spawn()
        .map_err(|error| format!("{}: {error}", tour.display()))?;
    std::thread::sleep(Duration::from_secs(3));
    drop(server);
    // The load ends with an error as soon as the server is gone: that is what it is for.
    let ended = load.wait().map_err(|error| error.to_string())?;
    println!("the server was killed; the load ended with {ended}");

    let server = start(demo)?;
    println!("sheafd is back on {}", server.address);
    run_program(Command::new(&tour).args(["verify", &server.address]).arg(&acknowledged))
}
