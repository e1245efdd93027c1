//! A client that sends what a driver would send: sessions, concerns, the stable API, numbers of retryable writes.

use bson::{Bson, Document, Timestamp, doc};

use super::Failure;
use crate::conformance::target::Exchange;

/// Commands of a transaction and of a session are numbered under one id.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The session's number, from which its id is made.
    number: u8,
    /// Whether reads are all of the moment of the first one.
    pub snapshot: bool,
    snapshot_time: Option<Timestamp>,
    transaction_number: i64,
    transaction: Transaction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transaction {
    #[default]
    None,
    Starting,
    InProgress,
}

impl Session {
    /// A session with this number.
    pub fn new(number: u8) -> Self {
        Self { number, ..Self::default() }
    }

    fn id(&self) -> Document {
        let mut bytes = vec![0x7d; 15];
        bytes.push(self.number);
        doc! {"id": bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes }}
    }

    /// Begins a transaction with the next command.
    pub fn start_transaction(&mut self) {
        self.transaction_number += 1;
        self.transaction = Transaction::Starting;
    }

    /// Ends the transaction on the client's side. Says whether the server knows of it.
    fn end_transaction(&mut self) -> bool {
        std::mem::take(&mut self.transaction) == Transaction::InProgress
    }

    /// Whether commands belong to a transaction now.
    pub fn in_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// Adds the session's fields to a command.
    fn attach(&mut self, command: &mut Document, retryable: bool) {
        command.insert("lsid", self.id());
        match self.transaction {
            Transaction::None if retryable => {
                self.transaction_number += 1;
                command.insert("txnNumber", self.transaction_number);
            }
            Transaction::None => {}
            state => {
                command.insert("txnNumber", self.transaction_number);
                command.insert("autocommit", false);
                if state == Transaction::Starting {
                    command.insert("startTransaction", true);
                    self.transaction = Transaction::InProgress;
                }
            }
        }
        if self.snapshot {
            let mut concern = doc! {"level": "snapshot"};
            if let Some(time) = self.snapshot_time {
                concern.insert("atClusterTime", time);
            }
            command.insert("readConcern", concern);
        }
    }

    /// Keeps the moment of the first read.
    fn learn(&mut self, reply: &Document) {
        let of_cursor = reply.get_document("cursor").ok().and_then(|cursor| cursor.get("atClusterTime"));
        if let (None, Some(Bson::Timestamp(time))) =
            (self.snapshot_time, of_cursor.or_else(|| reply.get("atClusterTime")))
        {
            self.snapshot_time = Some(*time);
        }
    }
}

/// How operations of a client, database or collection are sent.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The concern of reads.
    pub read_concern: Option<Document>,
    /// The concern of writes.
    pub write_concern: Option<Document>,
    /// `apiVersion` and what goes with it.
    pub api: Document,
}

impl Settings {
    /// These settings with what `options` say instead.
    pub fn with(&self, options: Option<&Document>) -> Self {
        let mut settings = self.clone();
        if let Some(options) = options {
            let read =
                |key: &str| options.get_document(key).ok().filter(|concern| !concern.is_empty()).cloned();
            settings.read_concern = read("readConcern").or(settings.read_concern);
            settings.write_concern = read("writeConcern").or(settings.write_concern);
        }
        settings
    }

    /// Whether writes are not acknowledged.
    pub fn is_unacknowledged(&self) -> bool {
        self.write_concern.as_ref().is_some_and(|concern| concern.get_i32("w").is_ok_and(|w| w == 0))
    }
}

/// What kind of command is sent, which decides what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It takes a read concern.
    Read,
    /// It takes a write concern and may be sent again under its number.
    RetryableWrite,
    /// It takes a write concern.
    Write,
    /// It is sent as it is.
    Other,
}

/// The connection, and the session of operations that name none.
pub struct Client {
    exchange: Box<dyn Exchange>,
    implicit: Session,
}

impl Client {
    /// A client of the server behind this exchange.
    pub fn new(exchange: Box<dyn Exchange>) -> Self {
        Self { exchange, implicit: Session::new(0xff) }
    }

    /// Sends a command as it is.
    pub fn send_raw(&mut self, database: &str, command: &Document) -> Result<Document, Failure> {
        let bytes = command.to_vec().map_err(|error| Failure::client(format!("cannot be sent: {error}")))?;
        let reply = self.exchange.run(database, &bytes)?;
        let reply = Document::from_reader(reply.as_slice())
            .map_err(|error| Failure::client(format!("the reply is not BSON: {error}")))?;
        if is_one(reply.get("ok")) { Ok(reply) } else { Err(Failure::server(&reply)) }
    }

    /// Sends a command with what its kind, settings and session add.
    pub fn send(
        &mut self,
        database: &str,
        mut command: Document,
        kind: Kind,
        settings: &Settings,
        session: Option<&mut Session>,
    ) -> Result<Document, Failure> {
        let in_transaction = session.as_ref().is_some_and(|session| session.in_transaction());
        let retryable = kind == Kind::RetryableWrite && !settings.is_unacknowledged();
        if !in_transaction {
            let (key, concern) = match kind {
                Kind::Read => ("readConcern", &settings.read_concern),
                Kind::RetryableWrite | Kind::Write => ("writeConcern", &settings.write_concern),
                Kind::Other => ("", &None),
            };
            if let Some(concern) = concern
                && !command.contains_key(key)
            {
                command.insert(key, concern.clone());
            }
        }
        command.extend(settings.api.clone());
        match session {
            Some(session) => {
                session.attach(&mut command, retryable);
                let reply = self.send_raw(database, &command)?;
                session.learn(&reply);
                Ok(reply)
            }
            None => {
                self.implicit.attach(&mut command, retryable);
                self.send_raw(database, &command)
            }
        }
    }

    /// Ends the transaction of a session with `commitTransaction` or `abortTransaction`.
    pub fn end_transaction(
        &mut self,
        name: &str,
        settings: &Settings,
        session: &mut Session,
    ) -> Result<(), Failure> {
        let mut command = doc! {name: 1};
        command.insert("lsid", session.id());
        command.insert("txnNumber", session.transaction_number);
        command.insert("autocommit", false);
        command.extend(settings.api.clone());
        if !session.end_transaction() {
            return Ok(());
        }
        self.send_raw("admin", &command).map(|_| ())
    }
}

/// Whether this is the number 1.
fn is_one(value: Option<&Bson>) -> bool {
    match value {
        Some(Bson::Double(number)) => (*number - 1.0).abs() < f64::EPSILON,
        Some(Bson::Int32(number)) => *number == 1,
        Some(Bson::Int64(number)) => *number == 1,
        _ => false,
    }
}

/// A number of any type as an integer.
pub fn integer(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if number.fract() == 0.0 => format!("{number:.0}").parse().ok(),
        _ => None,
    }
}
