//! One command on its way through: its arguments, and the readings that many commands share.

use sheaf_document::{RawDocument, ValueRef};
use sheaf_engine::operation::{CommonOptions, Hint};
use sheaf_engine::{Durability, Error, Namespace, Result, SessionId, error_code};

use crate::arguments::{Arguments, FAILED_TO_PARSE};
use crate::commands::query_settings::QuerySettings;
use crate::generic::Generic;
use crate::service::{CommandSession, Commands};

/// A command that is being run.
pub(crate) struct Request<'a> {
    /// Who sent it.
    pub(crate) session: &'a CommandSession,
    /// To which database.
    pub(crate) database: &'a str,
    /// The command's name as it was sent.
    pub(crate) name: &'a str,
    /// All of it, as it was sent.
    pub(crate) document: RawDocument<'a>,
    /// Its fields; those that every command may have are read already.
    pub(crate) arguments: Arguments<'a>,
    /// What every command may have.
    pub(crate) generic: Generic<'a>,
    /// What was set for queries of its shape.
    pub(crate) settings: Option<QuerySettings>,
}

impl<'a> Request<'a> {
    /// The commands it belongs to.
    pub(crate) fn commands(&self) -> &'a Commands {
        self.session.commands()
    }

    /// The value of the first field, which is the command's name.
    pub(crate) fn subject(&self) -> ValueRef<'a> {
        self.arguments.value(self.name).unwrap_or(ValueRef::Null)
    }

    /// The collection that the first field names.
    pub(crate) fn namespace(&self) -> Result<Namespace> {
        match self.subject() {
            ValueRef::String(collection) => Namespace::new(self.database, collection),
            other => Err(Error::new(
                error_code::INVALID_NAMESPACE,
                format!(
                    "{} needs the name of a collection, not a value of type {}",
                    self.name,
                    other.kind().name()
                ),
            )),
        }
    }

    /// Variables, collation and time limit.
    pub(crate) fn common(&self) -> Result<CommonOptions<'a>> {
        Ok(CommonOptions {
            max_time: self.generic.max_time,
            let_variables: self.arguments.document("let")?,
            collation: collation(&self.arguments)?,
        })
    }

    /// What an acknowledgement means.
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.generic.durability
    }

    /// Who owns the cursors it opens.
    pub(crate) fn cursor_owner(&self) -> SessionId {
        if self.generic.in_transaction {
            return self.session.engine().id();
        }
        self.session.cursor_owner(self.generic.logical_session)
    }

    /// Refuses a command that is only for the `admin` database.
    pub(crate) fn only_on_admin(&self) -> Result<()> {
        if self.database == "admin" {
            return Ok(());
        }
        Err(Error::new(
            error_code::UNAUTHORIZED,
            format!("{} may only be run against the admin database, not \"{}\"", self.name, self.database),
        ))
    }
}

/// The collation; an empty document is none.
pub(crate) fn collation<'a>(arguments: &Arguments<'a>) -> Result<Option<RawDocument<'a>>> {
    Ok(arguments.document("collation")?.filter(|collation| !collation.is_empty()))
}

/// The hint: the name of an index or its key pattern.
pub(crate) fn hint<'a>(arguments: &Arguments<'a>) -> Result<Option<Hint<'a>>> {
    match arguments.value("hint") {
        None => Ok(None),
        Some(ValueRef::String(name)) => Ok(Some(Hint::Name(name))),
        Some(ValueRef::Document(key)) if key.is_empty() => Ok(None),
        Some(ValueRef::Document(key)) => Ok(Some(Hint::KeyPattern(key))),
        Some(other) => Err(Error::new(
            FAILED_TO_PARSE,
            format!(
                "{}.hint must be the name of an index or its key pattern, not of type {}",
                arguments.scope(),
                other.kind().name()
            ),
        )),
    }
}
