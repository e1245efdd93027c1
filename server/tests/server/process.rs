//! sheafd as a process: its arguments, its ready line, its signals, its exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sheaf_proto::v1;
use sheaf_proto::v1::document_service_client::DocumentServiceClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{doc, insert};

/// A running sheafd; killed when dropped.
struct Process {
    child: Child,
    ready: serde_json::Value,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sheafd(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sheafd"));
    command.arg("--data").arg(data).args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn address(&self, door: &str) -> String {
        self.ready[door].as_str().unwrap().to_owned()
    }

    /// The status line and body of an HTTP answer.
    fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address("http")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: sheafd\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "sheafd does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a sheafd that does not start says.
fn refusal(mut command: Command) -> String {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut process = Process { child, ready: serde_json::Value::Null };
    let status = process.wait();
    let mut said = [String::new(), String::new()];
    process.child.stdout.take().unwrap().read_to_string(&mut said[0]).unwrap();
    process.child.stderr.take().unwrap().read_to_string(&mut said[1]).unwrap();
    let [stdout, stderr] = said;
    assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

#[test]
fn the_ready_line_names_the_doors_and_http_tells_health_and_figures() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(sheafd(directory.path()));
    assert_eq!(process.ready["event"], "ready");
    assert!(process.http("/healthz").starts_with("HTTP/1.1 200"));
    assert!(process.http("/readyz").ends_with("ready\n"));
    let metrics = process.http("/metrics");
    for line in ["sheafd_grpc_requests_in_flight 0", "sheafd_storage_format_version "] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(process.http("/nothing").starts_with("HTTP/1.1 404"));
    assert!(process.ready.get("wire").is_none(), "{}", process.ready);
}

#[cfg(feature = "wire")]
#[test]
fn the_wire_door_is_opened_on_request_and_drains_with_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = sheafd(directory.path());
    command.args(["--wire", "127.0.0.1:0"]);
    let mut process = Process::start(command);
    let mut client = crate::wire_client::Client::connect(process.address("wire").parse().unwrap());
    let reply = client.run("admin", |command| {
        command.append("ping", 1);
    });
    assert!(crate::wire_client::is_ok(&reply), "{reply:?}");
    assert!(process.http("/metrics").contains("sheafd_wire_connections 1"));
    process.signal("-TERM");
    client.expect_end();
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn both_signals_end_the_server_well() {
    for signal in ["-TERM", "-INT"] {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Process::start(sheafd(directory.path()));
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_drain_tells_health_and_finishes_what_was_begun() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(sheafd(directory.path()));
    let uri = format!("http://{}", process.address("grpc"));
    let channel = tonic::transport::Channel::from_shared(uri).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let check = || HealthCheckRequest { service: "sheaf.v1.DocumentService".to_owned() };
    let answer = health.check(check()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut watch = health.watch(check()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    process.signal("-TERM");
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop(watch);
    drop(health);
    let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_encrypted_database_needs_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let key = |name: &str, digit: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, digit.repeat(64)).unwrap();
        path
    };
    let (right, wrong, short) = (key("right", "a"), key("wrong", "b"), directory.path().join("short"));
    std::fs::write(&short, "abc").unwrap();
    let with = |path: &Path| {
        let mut command = sheafd(&data);
        command.arg("--master-key-file").arg(path).args(["--master-key-id", "k1"]);
        command
    };
    let mut process = Process::start(with(&right));
    process.signal("-TERM");
    assert_eq!(process.wait().code(), Some(0));
    assert!(data.join("KEYS").exists());
    assert!(refusal(sheafd(&data)).contains("needs master key \"k1\""));
    assert!(refusal(with(&wrong)).contains("is not the one it was encrypted with"));
    assert!(refusal(with(&short)).contains("32 bytes or 64 hexadecimal digits"));
    let mut process = Process::start(with(&right));
    process.signal("-TERM");
    assert_eq!(process.wait().code(), Some(0));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(sheafd(directory.path()));
    let connect =
        |process: &Process| DocumentServiceClient::connect(format!("http://{}", process.address("grpc")));
    let mut client = connect(&process).await.unwrap();
    let write = |n: i32| v1::WriteRequest {
        database: "app".to_owned(),
        collection: "users".to_owned(),
        operations: vec![v1::WriteOperation {
            operation: Some(insert(doc(|document| {
                document.append("_id", n);
            }))),
        }],
        ..v1::WriteRequest::default()
    };
    for n in 0..20 {
        client.write(write(n)).await.unwrap();
    }
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let process = Process::start(sheafd(directory.path()));
    let mut client = connect(&process).await.unwrap();
    let request = v1::CountRequest {
        database: "app".to_owned(),
        collection: "users".to_owned(),
        ..v1::CountRequest::default()
    };
    assert_eq!(client.count(request).await.unwrap().into_inner().count, 20);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Process::start(sheafd(directory.path()));
    let said = refusal(sheafd(directory.path()));
    assert!(said.contains("in use") || said.contains("locked"), "{said}");
}

#[test]
fn wrong_configurations_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sheafd.toml");
    std::fs::write(&file, "[listen]\ngrcp = \"127.0.0.1:0\"\n").unwrap();
    let mut command = sheafd(directory.path());
    command.arg("--config").arg(&file);
    assert!(refusal(command).contains("did you mean `listen.grpc`?"));

    let mut command = Command::new(env!("CARGO_BIN_EXE_sheafd"));
    command.arg("--data").arg(directory.path()).args(["--grpc", "0.0.0.0:0"]);
    assert!(refusal(command).contains("--insecure"));

    let mut command = sheafd(directory.path());
    command.args(["--wire", "0.0.0.0:27017", "--insecure"]);
    let reason = if cfg!(feature = "wire") { "no authentication" } else { "built without" };
    assert!(refusal(command).contains(reason));

    let mut command = sheafd(directory.path());
    command.args(["--log-filter", "===="]);
    assert!(refusal(command).contains("log.filter"));

    let mut command = sheafd(directory.path());
    command.args(["--config", "/nonexistent/sheafd.toml"]);
    assert!(refusal(command).contains("/nonexistent/sheafd.toml"));
}

#[test]
fn a_file_and_the_environment_configure_and_the_environment_wins() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sheafd.toml");
    let data = directory.path().join("data");
    std::fs::write(
        &file,
        format!("data = {data:?}\n[listen]\ngrpc = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:0\"\n"),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sheafd"));
    command.env("SHEAFD_CONFIG", &file).env("SHEAFD_GRPC", "127.0.0.1:0");
    let process = Process::start(command);
    assert_eq!(process.ready["data"], data.to_str().unwrap());
    assert_ne!(process.address("grpc"), "127.0.0.1:1");
}
