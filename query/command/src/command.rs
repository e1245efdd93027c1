//! The table of commands, and running one.

use std::sync::Arc;
use std::time::Duration;

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::{Error, Result, error_code, validate_database_name};

use crate::activity::Operation;
use crate::arguments::Arguments;
use crate::commands::{self, cluster_parameters, query_settings};
use crate::generic;
use crate::profiler;
use crate::reply::{CommandReply, append_error};
use crate::request::Request;
use crate::service::CommandSession;
use crate::transaction;

/// What holds of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Only against the `admin` database.
    AdminOnly,
    /// `maxTimeMS` means something of its own, and the command reads it.
    OwnMaxTime,
    /// It writes, and may be sent again under its number to be done once.
    Retryable,
    /// It takes every level of read concern, not only `local`.
    ReadConcern,
    /// It takes the read concern level `snapshot` outside transactions.
    SnapshotRead,
    /// It is part of version 1 of the stable API.
    StableApi,
    /// It may be part of a transaction.
    Transaction,
    /// It takes a write concern.
    WriteConcern,
}

/// A line of the table.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Other spellings that clients use.
    pub aliases: &'static [&'static str],
    /// What holds of it.
    pub flags: &'static [Flag],
    /// What it does, in a few words, for `listCommands`.
    pub help: &'static str,
    /// Runs it.
    pub(crate) run: fn(&Request<'_>) -> Result<DocumentBuilder>,
}

impl Command {
    /// Whether this holds of it.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    commands::TABLE.iter().find(|command| command.name == name || command.aliases.contains(&name))
}

/// Every command.
pub fn all() -> &'static [Command] {
    commands::TABLE
}

/// How long a write waits for the lock of `fsync` before it looks whether it was interrupted.
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Writes that may wait for the lock of `fsync`. Each holds a thread, and one thread must be left for `fsyncUnlock`.
const LOCK_WAITERS_MAX: u32 = 4;

/// Runs a command: the document's first field names it. Whatever goes wrong is in the reply.
pub fn run_command(session: &CommandSession, database: &str, command: RawDocument<'_>) -> CommandReply {
    let mut begun = None;
    let reply = match run(session, database, command, &mut begun) {
        Ok(body) => CommandReply::success(body),
        Err(error) => CommandReply::failure(&error),
    };
    if let Some(operation) = begun {
        let took = session.commands().activity().end(&operation, !reply.is_ok());
        profiler::note(session, database, &operation, took, &reply);
    }
    reply
}

fn run(
    session: &CommandSession,
    database: &str,
    document: RawDocument<'_>,
    begun: &mut Option<Arc<Operation>>,
) -> Result<DocumentBuilder> {
    let name = document.first().map_or("", |element| element.key());
    let Some(command) = find(name) else {
        return Err(Error::new(crate::codes::COMMAND_NOT_FOUND, format!("no such command: '{name}'")));
    };
    validate_database_name(database)?;
    let arguments = Arguments::new(name, document)?;
    let _subject = arguments.value(name);
    let generic = generic::read(session.commands(), command, &arguments)?;
    let activity = session.commands().activity();
    let own_session = generic.logical_session.map(<[u8; 16]>::as_slice);
    let operation = activity.begin(session.connection_id(), command.name, database, document, own_session);
    let operation = begun.insert(operation);
    let _entered = operation.interrupt.enter();
    let mut request = Request { session, database, name, document, arguments, generic, settings: None };
    transaction::check(command, database, &request.generic)?;
    if command.has(Flag::AdminOnly) {
        request.only_on_admin()?;
    }
    if command.has(Flag::WriteConcern) {
        wait_for_writes(&request, operation)?;
        let is_free = ["abortTransaction", "aggregate", "commitTransaction", "setUserWriteBlockMode"];
        if !is_free.contains(&command.name) {
            commands::write_block::check(&request)?;
        }
    }
    if matches!(command.name, "aggregate" | "count" | "distinct" | "find") {
        read_defaults(&mut request, command, document)?;
    }
    let bound = transaction::bind(session, command, &request.generic)?;
    let request = Request { session: bound.as_ref().unwrap_or(session), ..request };
    let outcome = (command.run)(&request);
    let mut body = transaction::settle(session, command, &request.generic, outcome)?;
    transaction::append_retried(request.session, command, &mut body);
    if let Some(problem) = &request.generic.write_concern_problem {
        body.document("writeConcernError", |error| append_error(error, problem));
    }
    Ok(body)
}

/// What reads take from the deployment: a time limit if they bring none, and the settings of their shape.
fn read_defaults(request: &mut Request<'_>, command: &Command, document: RawDocument<'_>) -> Result<()> {
    if request.generic.max_time.is_none() && document.get("maxTimeMS").is_none() {
        let millis = cluster_parameters::default_read_millis(request)?;
        request.generic.max_time = (millis > 0).then(|| Duration::from_millis(millis));
    }
    request.settings = query_settings::find(request, command.name, document)?;
    Ok(())
}

/// Waits while `fsync` keeps writes out: until it lets them in, the time is up or the write is interrupted.
fn wait_for_writes(request: &Request<'_>, operation: &Operation) -> Result<()> {
    let commands = request.commands();
    let mut state = commands.state();
    if state.fsync_locks == 0 {
        return Ok(());
    }
    if state.fsync_waiters >= LOCK_WAITERS_MAX {
        return Err(Error::new(
            crate::codes::LOCK_TIMEOUT,
            format!("fsync keeps writes out, and {LOCK_WAITERS_MAX} wait already; fsyncUnlock lets them in"),
        ));
    }
    state.fsync_waiters += 1;
    let outcome = loop {
        if state.fsync_locks == 0 {
            break Ok(());
        }
        if let Err(interrupted) = operation.interrupt.check() {
            break Err(interrupted);
        }
        if request.generic.max_time.is_some_and(|limit| operation.started.elapsed() >= limit) {
            break Err(Error::new(
                error_code::MAX_TIME_MS_EXPIRED,
                "the operation passed its time limit while fsync kept writes out",
            ));
        }
        state = commands.wait_for_change(state, LOCK_WAIT);
    };
    state.fsync_waiters -= 1;
    outcome
}
