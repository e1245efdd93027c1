//! Documents through gRPC: a real sheafd on a temporary directory, over loopback.
//!
//! Every thread is a client with its own connection and its own runtime, and waits for each answer before it asks again.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sheaf_proto::v1;
use sheaf_proto::v1::document_service_client::DocumentServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::arguments::Arguments;
use crate::corpus::{self, integer, one};
use crate::meter::{measure, mix};
use crate::report::Report;
use crate::server_process::ServerProcess;

const BATCH: u64 = 1_000;
const CLIENTS_MAX: usize = 8;
const STARTS: usize = 10;
/// How long a fresh server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(2);
/// Messages of the server hold at most 1 MiB or one document of 16 MiB.
const MESSAGE_BYTES_MAX: usize = 20 << 20;

/// One client: its runtime turns only while it waits.
struct Client {
    runtime: Runtime,
    documents: DocumentServiceClient<Channel>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn bytes(document: sheaf_document::RawDocumentBuf) -> Bytes {
    Bytes::from(document.into_bytes())
}

impl Client {
    fn connect(url: &str) -> Result<Mutex<Self>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(text)?;
        let channel = runtime.block_on(endpoint.connect()).map_err(text)?;
        let documents = DocumentServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Mutex::new(Self { runtime, documents }))
    }

    fn get(&mut self, number: u64) -> Result<(), String> {
        let request = v1::GetRequest {
            database: "bench".to_owned(),
            collection: "documents".to_owned(),
            key: bytes(one("_id", integer(number))),
            ..v1::GetRequest::default()
        };
        let reply = self.runtime.block_on(self.documents.get(request)).map_err(text)?.into_inner();
        if reply.document.len() > 500 { Ok(()) } else { Err("wrong answer: a short document".to_owned()) }
    }

    /// Streams the collection; its documents and their bytes.
    fn find(&mut self) -> Result<(u64, u64), String> {
        let request = v1::FindRequest {
            database: "bench".to_owned(),
            collection: "documents".to_owned(),
            ..v1::FindRequest::default()
        };
        let Self { runtime, documents } = self;
        runtime.block_on(async {
            let mut stream = documents.find(request).await.map_err(text)?.into_inner();
            let (mut count, mut total, mut complete) = (0, 0, false);
            while let Some(message) = stream.message().await.map_err(text)? {
                count += message.documents.len() as u64;
                total += message.documents.iter().map(|document| document.len() as u64).sum::<u64>();
                complete |= message.r#final.is_some();
            }
            if complete { Ok((count, total)) } else { Err("the stream was cut off".to_owned()) }
        })
    }

    fn insert(
        &mut self,
        collection: &str,
        numbers: std::ops::Range<u64>,
        documents: u64,
        durability: v1::Durability,
    ) -> Result<(), String> {
        let operations = numbers
            .map(|number| {
                let insert = v1::InsertOperation { document: bytes(corpus::document(number, documents)) };
                let operation = Some(v1::write_operation::Operation::Insert(insert));
                v1::WriteOperation { operation }
            })
            .collect();
        let request = v1::WriteRequest {
            database: "bench".to_owned(),
            collection: collection.to_owned(),
            operations,
            durability: durability.into(),
            ..v1::WriteRequest::default()
        };
        let reply = self.runtime.block_on(self.documents.write(request)).map_err(text)?.into_inner();
        let inserted =
            |result: &v1::WriteResult| matches!(result.outcome, Some(v1::write_result::Outcome::Insert(_)));
        if reply.results.iter().all(inserted) {
            Ok(())
        } else {
            Err("a document was not inserted".to_owned())
        }
    }
}

struct Run {
    documents: u64,
    seconds: f64,
    clients: Vec<Mutex<Client>>,
    report: Report,
}

impl Run {
    /// Calls with the client of this thread.
    fn with<T>(
        &self,
        thread: usize,
        call: impl FnOnce(&mut Client) -> Result<T, String>,
    ) -> Result<T, String> {
        let client = self.clients.get(thread).ok_or("more threads than clients")?;
        call(&mut client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn inserts(&mut self) -> Result<(), String> {
        for (name, durability, threads) in [
            ("written", v1::Durability::Written, 1),
            ("synced", v1::Durability::Synced, 1),
            ("synced", v1::Durability::Synced, CLIENTS_MAX),
        ] {
            let collection = format!("{name}{threads}");
            let figures = measure(threads, self.documents, self.seconds, |thread, number| {
                self.with(thread, |client| {
                    client.insert(&collection, number..number + 1, self.documents, durability)
                })
            })?;
            self.report.operations(&format!("insert unary, {name}"), threads, &figures, 1);
        }
        let batches = self.documents.div_ceil(BATCH);
        let figures = measure(1, batches, 24.0 * 3_600.0, |thread, batch| {
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(self.documents);
            self.with(thread, |client| {
                client.insert("documents", numbers, self.documents, v1::Durability::Written)
            })
        })?;
        self.report.operations("insert, batches of 1,000, written", 1, &figures, BATCH);
        Ok(())
    }

    fn reads(&mut self) -> Result<(), String> {
        for threads in [1, CLIENTS_MAX] {
            let figures = measure(threads, u64::MAX, self.seconds, |thread, number| {
                self.with(thread, |client| client.get(mix(number) % self.documents))
            })?;
            self.report.operations("get unary", threads, &figures, 1);
        }
        let (count, total) = self.with(0, Client::find)?;
        if count != self.documents {
            return Err(format!("wrong answer: {count} documents streamed, not {}", self.documents));
        }
        let figures = measure(1, u64::MAX, self.seconds, |thread, _| {
            let found = self.with(thread, Client::find)?;
            if found == (count, total) { Ok(()) } else { Err("two streams differ".to_owned()) }
        })?;
        self.report.operations("find streamed (all docs)", 1, &figures, count);
        self.report.value("find streamed, of documents", figures.per_second() * total as f64 / 1e6, "MB/s");
        Ok(())
    }
}

/// Starts on empty directories; the median.
fn cold_start(sheafd: &Path) -> Result<Duration, String> {
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let directory = tempfile::tempdir().map_err(text)?;
        times.push(ServerProcess::start(sheafd, &directory.path().join("db"))?.started_in());
    }
    times.sort_unstable();
    times.get(STARTS / 2).copied().ok_or_else(|| "not started once".to_owned())
}

/// The suite: `--n DOCUMENTS --secs SECONDS_A_ROW --sheafd PATH`.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let arguments = Arguments::parse(arguments)?;
    println!("{} documents of about 1 KB, {} s a row", arguments.documents, arguments.seconds);
    let mut report = Report::default();
    let start = cold_start(&arguments.sheafd)?;
    report.value("cold start, empty directory (median)", start.as_secs_f64() * 1e3, "ms");
    let directory = tempfile::tempdir().map_err(text)?;
    let server = ServerProcess::start(&arguments.sheafd, &directory.path().join("db"))?;
    std::thread::sleep(IDLE);
    report.value("idle resident memory", server.resident_bytes()? as f64 / f64::from(1 << 20), "MiB");
    let url = server.url();
    let clients = (0..CLIENTS_MAX).map(|_| Client::connect(&url)).collect::<Result<_, _>>()?;
    let mut run = Run { documents: arguments.documents, seconds: arguments.seconds, clients, report };
    run.inserts()?;
    run.reads()?;
    run.report.value(
        "resident memory at the end",
        server.resident_bytes()? as f64 / f64::from(1 << 20),
        "MiB",
    );
    run.report.finish();
    Ok(())
}
