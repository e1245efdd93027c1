//! Sessions: one client's view of a database, and the door to its operations.

mod aggregate;
mod catalog;
mod choice;
mod count;
mod distinct;
mod explain;
mod find;
mod index_filters;
mod intents;
mod logical;
mod reading;
mod retryable;
mod stage_arguments;
mod system_stage;
mod tailable;
mod transaction;
mod validation;
mod view;

pub use index_filters::QueryShape;
pub(crate) use intents::WriteIntents;
pub(crate) use logical::LogicalSessions;
pub(crate) use reading::ReadOptions;
pub(crate) use retryable::{Recorded, Statement, retrying_once};
pub(crate) use transaction::OpenTransaction;

use std::sync::Arc;

use sheaf_language::expression::Environment;
use sheaf_storage::Durability;

use transaction::Binding;

use crate::catalog::Collection;
use crate::collection::write::WriteContext;
use crate::{Database, Error, Namespace, Result, error_code};

/// Identity of a session within its database's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One client's view of a database. Operations of one session may come from several threads; each is on its own.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    database: Database,
    /// What its operations belong to.
    binding: Binding,
    /// Whether it is another session, bound to something; that one's cursors are not this one's to close.
    is_bound: bool,
}

impl Session {
    pub(crate) fn new(id: SessionId, database: Database) -> Self {
        Self { id, database, binding: Binding::None, is_bound: false }
    }

    /// This session with its operations bound to something. It owns cursors under the given id.
    fn bound(&self, id: SessionId, binding: Binding) -> Self {
        Self { id, database: self.database.clone(), binding, is_bound: true }
    }

    /// Its identity.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The database it works on.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The collection to write to; created if it does not exist.
    pub(crate) fn collection_for_write(&self, namespace: &Namespace) -> Result<Arc<Collection>> {
        let collection = match self.open_transaction() {
            Some(open) => open.ensure(&self.database, namespace)?,
            None => self.database.catalog().ensure(namespace, || self.database.new_uuid())?,
        };
        check_writable(&collection)?;
        Ok(collection)
    }

    /// The collection to write to, if it exists.
    pub(crate) fn existing_for_write(&self, namespace: &Namespace) -> Result<Option<Arc<Collection>>> {
        let collection = self.find_collection(namespace);
        if let Some(collection) = &collection {
            check_writable(collection)?;
        }
        Ok(collection)
    }

    pub(crate) fn write_context(&self, durability: Option<Durability>) -> WriteContext<'_> {
        WriteContext {
            tablet: self.database.tablet(),
            catalog: self.database.catalog(),
            durability,
            creates: None,
            open: self.open_transaction(),
        }
    }

    /// As [`Session::write_context`], for writes that make the collection they write to.
    pub(crate) fn creating_context(&self, durability: Option<Durability>) -> WriteContext<'_> {
        WriteContext { creates: Some(self.database.new_uuid()), ..self.write_context(durability) }
    }

    /// The surroundings of expressions that belong to a collection, such as its validator.
    pub(crate) fn environment(&self, collection: &Collection) -> Environment {
        let mut environment = self.database.new_environment();
        environment.collator.clone_from(&collection.collator);
        environment
    }
}

fn check_writable(collection: &Collection) -> Result<()> {
    if collection.options.is_buckets() {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            format!("{} holds the buckets of a time series: write to that", collection.namespace),
        ));
    }
    if collection.options.view_on.is_none() {
        return Ok(());
    }
    Err(Error::new(
        error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
        format!("{} is a view and cannot be written to", collection.namespace),
    ))
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_bound {
            self.database.cursors().kill_session(self.id);
        }
    }
}
