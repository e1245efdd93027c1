//! The demo's second half: sheafd on the same directory, the Go client, and a kill in the middle of a load.

use std::process::Command;
use std::time::Duration;

use super::Demo;
use crate::process::{Outcome, root, run as run_program};
use crate::sheafd::Sheafd;
use crate::tools;

fn start(demo: &Demo) -> Outcome<(Sheafd, String)> {
    let server = Sheafd::start(&demo.sheafd, &demo.database, &[])?;
    let address = server.address("grpc")?.to_owned();
    Ok((server, address))
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
    let (server, address) = start(demo)?;
    println!("sheafd serves gRPC on {}", address);
    run_program(Command::new(&tour).args(["read", &address]))?;

    println!("\n== A load through the Go client, and SIGKILL in the middle of it");
    let acknowledged = demo.directory.join("acknowledged.txt");
    let mut load = Command::new(&tour)
        .args(["load", &address])
        .arg(&acknowledged)
        .spawn()
        .map_err(|error| format!("{}: {error}", tour.display()))?;
    std::thread::sleep(Duration::from_secs(3));
    drop(server);
    // The load ends with an error as soon as the server is gone: that is what it is for.
    let ended = load.wait().map_err(|error| error.to_string())?;
    println!("the server was killed; the load ended with {ended}");

    let (_server, address) = start(demo)?;
    println!("sheafd is back on {}", address);
    run_program(Command::new(&tour).args(["verify", &address]).arg(&acknowledged))
}
