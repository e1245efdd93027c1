//! The corpus over the MongoDB wire door: a server in this process, and a client of its own making on a socket.
//!
//! Every case gets an empty database, a door on a free port and one connection; the threads of the runner decide how
//! many of these are open at once. The client is synchronous and knows the protocol from its description only: it
//! shares no code with the door, so that what only the two of them understand does not pass.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sheaf_command::{Commands, Identity};
use sheaf_document::{BsonType, DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::{Database, DatabaseOptions};
use sheaf_server::metrics::Metrics;
use sheaf_server::shutdown::{self, ShutdownTrigger};
use sheaf_server::storage_pool::{STACK_BYTES, StoragePool};
use sheaf_server::wire::Door;

use super::Topology;
use super::target::{Exchange, Target};

const OP_MSG: i32 = 2013;
const HEADER_BYTES: usize = 16;

/// How long the client waits for a reply: longer than the runner's watchdog.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a door waits for requests in flight when its case is over.
const DRAIN: Duration = Duration::from_secs(1);

/// Arguments that drivers send as sections of their own.
const SEQUENCES: [&str; 5] = ["documents", "updates", "deletes", "ops", "nsInfo"];

/// Servers behind the wire door.
#[derive(Debug)]
pub struct OverTheWire {
    runtime: tokio::runtime::Runtime,
    connections: usize,
}

impl OverTheWire {
    /// As many servers at once as there are `connections`.
    pub fn new(connections: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .max_blocking_threads(connections + 16)
            .thread_stack_size(STACK_BYTES)
            .build()?;
        Ok(Self { runtime, connections })
    }

    fn connect(&self, topology: Topology) -> std::io::Result<Connection> {
        let has_cluster_clock = topology == Topology::ReplicaSet;
        let options = DatabaseOptions { has_cluster_clock, ..DatabaseOptions::default() };
        let database = Database::in_memory(options).map_err(std::io::Error::other)?;
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let replica_set = (topology == Topology::ReplicaSet).then(|| "rs0".to_owned());
        let commands = Commands::new(database, Identity { replica_set, ..Identity::default() });
        let door = Door::new(commands, StoragePool::new(self.connections), Metrics::default());
        let (stop, stopping) = shutdown::channel();
        self.runtime.spawn(door.serve(listener, stopping, DRAIN));
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, last_id: 0, _stop: stop })
    }
}

impl Target for OverTheWire {
    fn open(&self, topology: Topology) -> Result<Box<dyn Exchange>, String> {
        let connection = self.connect(topology).map_err(|error| format!("no connection: {error}"))?;
        Ok(Box::new(connection))
    }
}

/// One connection. The door closes when it is dropped, because nobody is left who could stop it later.
struct Connection {
    stream: TcpStream,
    last_id: i32,
    _stop: ShutdownTrigger,
}

impl Exchange for Connection {
    fn run(&mut self, database: &str, command: &[u8]) -> Result<Vec<u8>, String> {
        let command = RawDocument::from_bytes(command).map_err(|error| error.to_string())?;
        self.last_id += 1;
        let message = message(self.last_id, database, command).ok_or("the command is too long to be sent")?;
        self.stream.write_all(&message).map_err(|error| format!("sending: {error}"))?;
        self.reply().map_err(|error| format!("receiving: {error}"))?.ok_or_else(|| "not a reply".to_owned())
    }
}

impl Connection {
    /// The document of the next message, if the message is the answer to the last.
    fn reply(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header)?;
        let (numbers, _) = header.as_chunks::<4>();
        let [length, _, response_to, op_code] = numbers else { return Ok(None) };
        let is_answer = i32::from_le_bytes(*response_to) == self.last_id;
        if !is_answer || i32::from_le_bytes(*op_code) != OP_MSG {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(i32::from_le_bytes(*length)) else { return Ok(None) };
        let mut rest = vec![0; length.saturating_sub(HEADER_BYTES)];
        self.stream.read_exact(&mut rest)?;
        // No flags, and one body.
        Ok(rest.strip_prefix(&[0; 5]).map(<[u8]>::to_vec))
    }
}

/// A command as drivers send it: `$db` in the body, arrays of documents in sections of their own.
fn message(id: i32, database: &str, command: RawDocument<'_>) -> Option<Vec<u8>> {
    let mut body = DocumentBuilder::new();
    let mut sections = Vec::new();
    for (index, element) in command.iter().enumerate() {
        // The first element names the command, whatever it holds.
        match sequence(element.key(), element.value()).filter(|_| index > 0) {
            Some(documents) => {
                let size = 4 + element.key().len() + 1 + documents.len();
                sections.push(1);
                sections.extend_from_slice(&i32::try_from(size).ok()?.to_le_bytes());
                sections.extend_from_slice(element.key().as_bytes());
                sections.push(0);
                sections.extend_from_slice(&documents);
            }
            None => {
                body.append_element(element);
            }
        }
    }
    body.append("$db", database);
    let body = body.build();
    let length = HEADER_BYTES + 5 + body.as_bytes().len() + sections.len();
    let mut message = Vec::with_capacity(length);
    for number in [i32::try_from(length).ok()?, id, 0, OP_MSG, 0] {
        message.extend_from_slice(&number.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(body.as_bytes());
    message.extend_from_slice(&sections);
    Some(message)
}

/// The documents one behind the other, if this argument is one that drivers send so, and holds nothing else.
fn sequence(key: &str, value: ValueRef<'_>) -> Option<Vec<u8>> {
    let ValueRef::Array(array) = value else { return None };
    let is_sequence = SEQUENCES.contains(&key) && array.iter().all(|item| item.kind() == BsonType::Document);
    is_sequence.then(|| {
        let documents = array.iter().filter_map(|item| match item {
            ValueRef::Document(document) => Some(document.as_bytes()),
            _ => None,
        });
        documents.collect::<Vec<_>>().concat()
    })
}
