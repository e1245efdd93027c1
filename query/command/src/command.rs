//! The table of commands, and running one.

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::{Error, Result, validate_database_name};

use crate::arguments::Arguments;
use crate::commands;
use crate::generic;
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

/// Runs a command: the document's first field names it. Whatever goes wrong is in the reply.
pub fn run_command(session: &CommandSession, database: &str, command: RawDocument<'_>) -> CommandReply {
    match run(session, database, command) {
        Ok(body) => CommandReply::success(body),
        Err(error) => CommandReply::failure(&error),
    }
}

fn run(session: &CommandSession, database: &str, document: RawDocument<'_>) -> Result<DocumentBuilder> {
    let name = document.first().map_or("", |element| element.key());
    let Some(command) = find(name) else {
        return Err(Error::new(crate::codes::COMMAND_NOT_FOUND, format!("no such command: '{name}'")));
    };
    validate_database_name(database)?;
    let arguments = Arguments::new(name, document)?;
    let _subject = arguments.value(name);
    let generic = generic::read(session.commands(), command, &arguments)?;
    let request = Request { session, database, name, arguments, generic };
    transaction::check(command, database, &request.generic)?;
    if command.has(Flag::AdminOnly) {
        request.only_on_admin()?;
    }
    if command.has(Flag::WriteConcern) && session.commands().state().fsync_locks > 0 {
        return Err(Error::new(
            crate::codes::LOCK_TIMEOUT,
            format!("{name} cannot write while fsync holds its lock; fsyncUnlock releases it"),
        ));
    }
    let is_free = ["abortTransaction", "aggregate", "commitTransaction", "setUserWriteBlockMode"];
    if command.has(Flag::WriteConcern) && !is_free.contains(&command.name) {
        commands::write_block::check(&request)?;
    }
    session.commands().count_command(command.name);
    let bound = transaction::bind(session, command, &request.generic)?;
    let request = Request { session: bound.as_ref().unwrap_or(session), ..request };
    let outcome = (command.run)(&request);
    let mut body = transaction::settle(session, command, &request.generic, outcome)?;
    if let Some(problem) = &request.generic.write_concern_problem {
        body.document("writeConcernError", |error| append_error(error, problem));
    }
    Ok(body)
}
