//! A client of the MongoDB wire door that can also misbehave, and a door for it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use sheaf_command::{Commands, Identity};
use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::{Database, DatabaseOptions};
use sheaf_server::metrics::Metrics;
use sheaf_server::shutdown::{self, ShutdownTrigger};
use sheaf_server::storage_pool::StoragePool;
use sheaf_server::wire::{Door, Limits};
use tokio::task::JoinHandle;

pub const OP_REPLY: i32 = 1;
pub const OP_QUERY: i32 = 2004;
pub const OP_MSG: i32 = 2013;

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A door to an empty database in memory, on a runtime of its own.
pub struct WireDoor {
    pub address: SocketAddr,
    pub commands: Commands,
    pub pool: StoragePool,
    stop: Option<ShutdownTrigger>,
    served: Option<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

impl WireDoor {
    pub fn open() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        Self::start(limits, None)
    }

    /// A door of the one member of a replica set.
    pub fn of_replica_set() -> Self {
        Self::start(Limits::default(), Some("rs0".to_owned()))
    }

    /// A door whose pool is busy from before it opened, until what is returned beside it is dropped, or for half a minute.
    pub fn behind_a_busy_pool() -> (Self, Vec<Sender<()>>) {
        let (runtime, pool) = (runtime(), StoragePool::new(2));
        let held = occupy_all(&runtime, &pool);
        (Self::serve(runtime, pool, Limits::default(), None), held)
    }

    fn start(limits: Limits, replica_set: Option<String>) -> Self {
        Self::serve(runtime(), StoragePool::new(2), limits, replica_set)
    }

    fn serve(
        runtime: tokio::runtime::Runtime,
        pool: StoragePool,
        limits: Limits,
        replica_set: Option<String>,
    ) -> Self {
        let database = Database::in_memory(DatabaseOptions::default()).unwrap();
        let commands = Commands::new(database, Identity { replica_set, ..Identity::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = shutdown::channel();
        let door = Door::new(commands.clone(), pool.clone(), Metrics::default()).with_limits(limits);
        let served = runtime.spawn(door.serve(listener, stopping, Duration::from_secs(5)));
        Self { address, commands, pool, stop: Some(stop), served: Some(served), runtime }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Keeps every thread of the pool busy for so long.
    pub fn occupy(&self, time: Duration) {
        for _ in 0..2 {
            let pool = self.pool.clone();
            self.runtime.spawn(async move { pool.run(move || std::thread::sleep(time)).await });
        }
    }

    /// Keeps every thread of the pool busy until what is returned is dropped, or for half a minute. Returns when all are.
    pub fn occupy_all(&self) -> Vec<Sender<()>> {
        occupy_all(&self.runtime, &self.pool)
    }

    pub fn begin_to_stop(&self) {
        self.stop.as_ref().unwrap().fire();
    }

    /// Stops and waits for the end of the door; work on its pool may go on.
    pub fn end(&mut self) {
        self.begin_to_stop();
        self.runtime.block_on(self.served.take().unwrap()).unwrap();
    }

    /// Stops and waits for the end, that of all work included.
    pub fn stop(mut self) {
        self.end();
    }
}

/// Two threads for a door.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_stack_size(sheaf_server::storage_pool::STACK_BYTES)
        .build()
        .unwrap()
}

/// As [`WireDoor::occupy_all`].
fn occupy_all(runtime: &tokio::runtime::Runtime, pool: &StoragePool) -> Vec<Sender<()>> {
    let (begun, has_begun) = channel();
    let holds: Vec<_> = (0..pool.threads_max())
        .map(|_| {
            let (hold, held) = channel::<()>();
            let (pool, begun) = (pool.clone(), begun.clone());
            let work = move || {
                begun.send(()).unwrap();
                // Ends when the other side is dropped.
                let _ended = held.recv_timeout(Duration::from_secs(30));
            };
            runtime.spawn(async move { pool.run(work).await });
            hold
        })
        .collect();
    holds.iter().for_each(|_| has_begun.recv().unwrap());
    holds
}

impl Drop for WireDoor {
    fn drop(&mut self) {
        // The trigger's end is heard as a request to stop.
        drop(self.stop.take());
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub op_code: i32,
    pub id: i32,
    pub response_to: i32,
    pub flags: u32,
    pub document: RawDocumentBuf,
}

pub struct Client {
    stream: TcpStream,
    next_id: i32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, next_id: 1000 }
    }

    /// Sends a command and returns the document of its reply.
    pub fn run(&mut self, database: &str, build: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
        let id = self.send(0, &[body(&command(database, build))]);
        let reply = self.read().expect("a reply");
        assert_eq!((reply.op_code, reply.response_to, reply.flags), (OP_MSG, id, 0));
        reply.document
    }

    pub fn ping(&mut self) {
        let reply = self.run("admin", |command| {
            command.append("ping", 1);
        });
        assert!(is_ok(&reply), "{reply:?}");
    }

    /// Sends an OP_MSG of these flags and sections; returns its number.
    pub fn send(&mut self, flags: u32, sections: &[Vec<u8>]) -> i32 {
        self.next_id += 1;
        let rest = [&flags.to_le_bytes()[..], &sections.concat()].concat();
        self.write(&message(self.next_id, OP_MSG, &rest));
        self.next_id
    }

    /// Sends an OP_QUERY.
    pub fn send_query(&mut self, namespace: &str, query: &RawDocumentBuf) -> i32 {
        self.next_id += 1;
        let one = 1i32.to_le_bytes();
        let rest = [&[0; 4], namespace.as_bytes(), &[0], &[0; 4], &one, query.as_bytes()].concat();
        self.write(&message(self.next_id, OP_QUERY, &rest));
        self.next_id
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            // It hung up already, which the next read tells.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends nothing more.
    pub fn finish(&mut self) {
        // The server may have hung up already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// The next reply; nothing if the server hung up.
    pub fn read(&mut self) -> Option<Reply> {
        let mut header = [0; 16];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        let number = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let mut rest = vec![0; usize::try_from(number(0)).unwrap() - 16];
        self.stream.read_exact(&mut rest).unwrap();
        let document_at = if number(12) == OP_REPLY { 20 } else { 5 };
        if number(12) == OP_MSG {
            assert_eq!(rest[4], 0, "the section of a reply is a body");
        }
        RawDocument::validate_with_limit(&rest[document_at..], usize::MAX).unwrap();
        Some(Reply {
            op_code: number(12),
            id: number(4),
            response_to: number(8),
            flags: u32::from_le_bytes(rest[..4].try_into().unwrap()),
            document: RawDocumentBuf::from_bytes(rest[document_at..].to_vec()).unwrap(),
        })
    }

    /// The server hangs up without another word.
    pub fn expect_end(&mut self) {
        if let Some(reply) = self.read() {
            panic!("the server should hang up, but says {reply:?}");
        }
    }

    /// The server says what is wrong, with this code.
    pub fn expect_error(&mut self, code: i32) {
        let reply = self.read().expect("an error before the end");
        assert_eq!(error_code(&reply.document), Some(code), "{reply:?}");
    }
}

/// A command with its `$db` at the end.
pub fn command(database: &str, build: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    document(|builder| {
        build(builder);
        builder.append("$db", database);
    })
}

pub fn document(build: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    build(&mut builder);
    builder.build()
}

/// A whole message.
pub fn message(id: i32, op_code: i32, rest: &[u8]) -> Vec<u8> {
    with_length(i32::try_from(rest.len() + 16).unwrap(), id, op_code, rest)
}

/// A message that claims this length.
pub fn with_length(length: i32, id: i32, op_code: i32, rest: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> = [length, id, 0, op_code].into_iter().flat_map(i32::to_le_bytes).collect();
    message.extend_from_slice(rest);
    message
}

/// A section of kind 0.
pub fn body(document: &RawDocumentBuf) -> Vec<u8> {
    [&[0], document.as_bytes()].concat()
}

/// A section of kind 1.
pub fn sequence(name: &str, documents: &[RawDocumentBuf]) -> Vec<u8> {
    let documents: Vec<u8> = documents.iter().flat_map(|document| document.as_bytes().to_vec()).collect();
    let size = i32::try_from(4 + name.len() + 1 + documents.len()).unwrap();
    [&[1], &size.to_le_bytes()[..], name.as_bytes(), &[0], &documents].concat()
}

pub fn is_ok(reply: &RawDocumentBuf) -> bool {
    reply.as_raw().get("ok") == Some(ValueRef::Double(1.0))
}

/// The code of a reply that failed, and that says so in every field it should.
pub fn error_code(reply: &RawDocumentBuf) -> Option<i32> {
    let reply = reply.as_raw();
    assert_eq!(reply.get("ok"), Some(ValueRef::Double(0.0)), "{reply:?}");
    assert!(matches!(reply.get("errmsg"), Some(ValueRef::String(text)) if !text.is_empty()), "{reply:?}");
    assert!(matches!(reply.get("codeName"), Some(ValueRef::String(_))), "{reply:?}");
    match reply.get("code") {
        Some(ValueRef::Int32(code)) => Some(code),
        _ => None,
    }
}

/// The documents and the number of a cursor in a reply.
pub fn cursor(reply: &RawDocumentBuf) -> (usize, i64) {
    assert!(is_ok(reply), "{reply:?}");
    let Some(ValueRef::Document(cursor)) = reply.as_raw().get("cursor") else { panic!("{reply:?}") };
    let batch = cursor.get("firstBatch").or(cursor.get("nextBatch"));
    let (Some(ValueRef::Array(batch)), Some(ValueRef::Int64(id))) = (batch, cursor.get("id")) else {
        panic!("{reply:?}")
    };
    (batch.count(), id)
}
