//! Read and write concerns: checked to the letter, and mapped onto what one member can promise.

use sheaf_document::{RawDocument, Timestamp, ValueRef};
use sheaf_engine::{Durability, Error, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::command::{Command, Flag};
use crate::generic::Generic;
use crate::number;
use crate::service::Commands;

/// Most members a write concern may ask for, as in MongoDB.
const MEMBERS_MAX: i64 = 50;

/// Where a concern may come from.
const PROVENANCES: [&str; 4] = ["clientSupplied", "implicitDefault", "customDefault", "getLastErrorDefaults"];

fn invalid_options(message: impl Into<String>) -> Error {
    Error::new(crate::codes::INVALID_OPTIONS, message)
}

fn check_provenance(arguments: &Arguments<'_>) -> Result<()> {
    match arguments.string("provenance")? {
        Some(provenance) if !PROVENANCES.contains(&provenance) => Err(Error::new(
            BAD_VALUE,
            format!(
                "{}.provenance is one of {}, not {provenance:?}",
                arguments.scope(),
                PROVENANCES.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

/// What a read concern asks for.
pub(crate) struct ReadConcern {
    /// All that is read is of one moment.
    pub(crate) is_snapshot: bool,
    /// The answer must have every write that was acknowledged before.
    pub(crate) is_linearizable: bool,
    /// That moment, if the client names it.
    pub(crate) at: Option<sheaf_engine::Timestamp>,
}

/// Reads and checks a read concern. One member reads what it wrote, so every level but `snapshot` is kept by doing
/// nothing.
pub(crate) fn read(
    commands: &Commands,
    command: &Command,
    generic: &Generic<'_>,
    document: RawDocument<'_>,
) -> Result<ReadConcern> {
    let arguments = Arguments::new("readConcern", document)?;
    let level = arguments.string("level")?;
    let after = timestamp(&arguments, "afterClusterTime")?;
    let at = timestamp(&arguments, "atClusterTime")?;
    arguments.ignore(&["allowTransactionTableSnapshot", "waitLastStableRecoveryTimestamp"]);
    check_provenance(&arguments)?;
    arguments.finish()?;
    if after.is_some() && at.is_some() {
        return Err(invalid_options("readConcern cannot have both afterClusterTime and atClusterTime"));
    }
    if let Some(level) = level {
        check_level(commands, command, generic, level)?;
    }
    if at.is_some() && level != Some("snapshot") {
        return Err(invalid_options("readConcern.atClusterTime needs the level snapshot"));
    }
    if after.is_some() && matches!(level, Some("linearizable" | "snapshot")) && !generic.in_transaction {
        return Err(invalid_options("readConcern.afterClusterTime does not go with this level"));
    }
    if (after.is_some() || at.is_some()) && !commands.is_replica_set() {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            "a cluster time in readConcern needs a replica set",
        ));
    }
    if after.is_some_and(|after| after.as_u64() > commands.cluster_time().0) {
        return Err(invalid_options(
            "readConcern.afterClusterTime is later than any cluster time that was given out",
        ));
    }
    Ok(ReadConcern {
        is_snapshot: level == Some("snapshot"),
        is_linearizable: level == Some("linearizable"),
        at: at.map(|at| sheaf_engine::Timestamp(at.as_u64())),
    })
}

fn timestamp(arguments: &Arguments<'_>, key: &str) -> Result<Option<Timestamp>> {
    match arguments.value(key) {
        None => Ok(None),
        Some(ValueRef::Timestamp(time)) if time.seconds == 0 => {
            Err(invalid_options(format!("readConcern.{key} must not be a null timestamp")))
        }
        Some(ValueRef::Timestamp(time)) => Ok(Some(time)),
        Some(other) => Err(arguments.wrong_type(key, other, "a timestamp")),
    }
}

fn check_level(commands: &Commands, command: &Command, generic: &Generic<'_>, level: &str) -> Result<()> {
    let not_supported =
        || Err(invalid_options(format!("{} does not support the read concern level {level}", command.name)));
    match level {
        "available" | "linearizable" if generic.in_transaction => Err(invalid_options(format!(
            "the read concern level of a transaction is local, majority or snapshot, not {level}"
        ))),
        "majority" | "snapshot" if generic.in_transaction => Ok(()),
        "local" => Ok(()),
        "available" | "majority" => {
            if command.has(Flag::ReadConcern) {
                Ok(())
            } else {
                not_supported()
            }
        }
        "linearizable" | "snapshot" => {
            if !command.has(Flag::ReadConcern) {
                return not_supported();
            }
            if !commands.is_replica_set() {
                return Err(Error::new(
                    crate::codes::NOT_A_REPLICA_SET,
                    format!("the read concern level {level} needs a replica set"),
                ));
            }
            if level == "snapshot" && !command.has(Flag::SnapshotRead) && !generic.in_transaction {
                return not_supported();
            }
            Ok(())
        }
        other => Err(Error::new(BAD_VALUE, format!("readConcern.level does not know {other:?}"))),
    }
}

/// What a write concern asks for.
pub(crate) struct WriteConcern {
    /// What the acknowledgement means; nothing is the database's default.
    pub(crate) durability: Option<Durability>,
    /// Why it cannot be satisfied after the write: what the reply's `writeConcernError` says.
    pub(crate) problem: Option<Error>,
}

/// Reads a write concern.
pub(crate) fn read_write(
    commands: &Commands,
    command: &Command,
    document: RawDocument<'_>,
) -> Result<WriteConcern> {
    let arguments = Arguments::new("writeConcern", document)?;
    let journaled = arguments.flag("j")?;
    let synced = arguments.flag("fsync")?;
    let members = match arguments.value("w") {
        None => None,
        Some(value) => Some(members(value)?),
    };
    check_timeout(&arguments)?;
    arguments.ignore(&["wElectionId", "wOpTime", "getLastError"]);
    check_provenance(&arguments)?;
    arguments.finish()?;
    if journaled == Some(true) && synced == Some(true) {
        return Err(Error::new(FAILED_TO_PARSE, "writeConcern cannot have both j and fsync"));
    }
    if !command.has(Flag::WriteConcern) {
        return Err(invalid_options(format!("{} does not support a write concern", command.name)));
    }
    let problem = check_members(commands, members.as_ref())?;
    let asks_for_sync = journaled == Some(true) || matches!(members, Some(Members::Majority));
    let durability = asks_for_sync.then_some(Durability::Sync);
    Ok(WriteConcern { durability, problem })
}

/// Who must acknowledge.
enum Members {
    Count(i64),
    Majority,
    /// A name of the replica set's configuration, which has none.
    Custom(String),
    /// Tags of it. A server alone has no members that could lack them.
    Tags(String),
}

fn members(value: ValueRef<'_>) -> Result<Members> {
    let refuse = |message: String| Err(Error::new(FAILED_TO_PARSE, message));
    match value {
        ValueRef::String("majority") => Ok(Members::Majority),
        ValueRef::String(name) => Ok(Members::Custom(name.to_owned())),
        ValueRef::Null | ValueRef::Undefined => Ok(Members::Custom(String::new())),
        ValueRef::Document(tags) if tags.is_empty() => refuse("writeConcern.w has no tags".to_owned()),
        ValueRef::Document(tags) => match tags.iter().find(|tag| !tag.kind().is_number()) {
            None => Ok(Members::Tags(format!("{tags:?}"))),
            Some(tag) => refuse(format!("writeConcern.w.{} must be a number", tag.key())),
        },
        number => {
            let is_nan = number::to_double(number).is_none_or(f64::is_nan);
            match number::to_integer(number) {
                Some(count) if !is_nan && (0..=MEMBERS_MAX).contains(&count) => Ok(Members::Count(count)),
                Some(_) => refuse(format!("writeConcern.w must be a number from 0 to {MEMBERS_MAX}")),
                None => refuse(format!(
                    "writeConcern.w must be a number, a string or a document of tags, not of type {}",
                    number.kind().name()
                )),
            }
        }
    }
}

fn check_timeout(arguments: &Arguments<'_>) -> Result<()> {
    match arguments.value("wtimeout").and_then(number::to_integer) {
        Some(millis) if millis > i64::from(i32::MAX) => {
            Err(Error::new(FAILED_TO_PARSE, format!("writeConcern.wtimeout must be at most {}", i32::MAX)))
        }
        _ => Ok(()),
    }
}

/// What is wrong with the number of members; on a server alone that is an error at once.
fn check_members(commands: &Commands, members: Option<&Members>) -> Result<Option<Error>> {
    let alone = !commands.is_replica_set();
    match members {
        Some(Members::Count(count)) if *count > 1 && alone => {
            Err(Error::new(BAD_VALUE, "writeConcern.w must be 0 or 1 on a server alone"))
        }
        Some(Members::Count(count)) if *count > 1 => Ok(Some(Error::new(
            crate::codes::UNSATISFIABLE_WRITE_CONCERN,
            "the replica set has fewer members than the write concern asks for",
        ))),
        Some(Members::Custom(_)) if alone => {
            Err(Error::new(BAD_VALUE, "writeConcern.w must be a number or \"majority\" on a server alone"))
        }
        Some(Members::Tags(_)) if alone => Ok(None),
        Some(Members::Custom(name) | Members::Tags(name)) => Ok(Some(Error::new(
            crate::codes::UNKNOWN_REPL_WRITE_CONCERN,
            format!("the replica set knows no write concern {name:?}"),
        ))),
        Some(Members::Count(_) | Members::Majority) | None => Ok(None),
    }
}
