//! A transaction over several operations of a session.
//!
//! It reads one snapshot, with its own writes on top, under the catalog of the same moment. Its writes gather in one
//! storage transaction. No lock is held between two operations: each write asks whether it has lost against
//! another commit already, or against what another transaction has written ([`intents`](super::intents)), and the commit
//! asks for good (see [`Catalog::commit_transaction`]).
//!
//! Whatever fails in an operation leaves the transaction as it was in the middle of that operation, so whoever drives it
//! ends it then; [`logical`](super::logical) does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sheaf_storage::{Durability, IterOptions, Snapshot, Timestamp};

use super::intents::Claims;
use super::{Session, SessionId};
use crate::catalog::{
    ByNamespace, Catalog, CatalogState, Collection, CollectionOptions, IndexSpecification, missing_indexes,
    place,
};
use crate::collection::write::DocumentTransaction;
use crate::operation::CreateIndexesOutcome;
use crate::{Database, Error, Namespace, Result, error_code, key_layout};

/// How often operations that are to be one transaction run before they give up against others.
const ATTEMPTS_MAX: usize = 100;

/// A transaction over several operations. Clones share it.
#[derive(Clone)]
pub(crate) struct OpenTransaction {
    shared: Arc<Shared>,
}

struct Shared {
    /// Who owns its cursors.
    owner: SessionId,
    /// What it sees.
    view: Snapshot,
    /// Bytes it may write.
    bytes_max: usize,
    work: Mutex<Work>,
}

/// What it has done so far.
struct Work {
    /// The catalog as it sees it: of its snapshot, with what it created.
    catalog: Arc<CatalogState>,
    /// Its writes, and what it claims for them; none once it has ended.
    transaction: Option<(DocumentTransaction, Claims)>,
    /// Collections that were there before and that it wrote to.
    touched: ByNamespace,
    /// Collections it creates.
    created: ByNamespace,
}

/// How long operations that lost wait for whoever won before they run again all the same.
const RELEASE_WAIT: Duration = Duration::from_millis(20);

fn ended() -> Error {
    Error::new(error_code::NO_SUCH_TRANSACTION, "the transaction has ended")
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(error_code::OPERATION_NOT_SUPPORTED_IN_TRANSACTION, what)
}

impl OpenTransaction {
    /// Begins one that reads as of now, or of a time before.
    pub(crate) fn begin(database: &Database, read_timestamp: Option<Timestamp>) -> Result<Self> {
        let (catalog, mut transaction) =
            database.catalog().moment(|| DocumentTransaction::begin(database.tablet(), read_timestamp))?;
        let view = transaction.view();
        // From now on it says what it writes.
        transaction.take_written();
        let catalog = match read_timestamp {
            Some(_) => Arc::new(catalog.as_of(&view)?),
            None => catalog,
        };
        let work = Work {
            catalog,
            transaction: Some((transaction, database.intents().claims())),
            touched: ByNamespace::new(),
            created: ByNamespace::new(),
        };
        let bytes_max = database.options().transaction_bytes_max;
        let shared = Shared { owner: database.new_session_id(), view, bytes_max, work: Mutex::new(work) };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.shared.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who owns its cursors.
    pub(crate) fn owner(&self) -> SessionId {
        self.shared.owner
    }

    /// What it sees, now and later.
    pub(crate) fn view(&self) -> Snapshot {
        self.shared.view.clone()
    }

    /// The catalog as it sees it.
    pub(crate) fn catalog(&self) -> Arc<CatalogState> {
        Arc::clone(&self.lock().catalog)
    }

    /// Runs a write.
    pub(crate) fn write<T>(
        &self,
        collection: &Arc<Collection>,
        body: impl FnOnce(&mut DocumentTransaction, &Arc<Collection>) -> Result<T>,
    ) -> Result<T> {
        if collection.options.capped || collection.options.time_series.is_some() {
            let namespace = &collection.namespace;
            return Err(refused(format!(
                "{namespace} is capped or a time series and cannot be written to in a transaction"
            )));
        }
        let mut work = self.lock();
        let Work { transaction: Some((transaction, claims)), touched, created, .. } = &mut *work else {
            return Err(ended());
        };
        let place = place(&collection.namespace);
        if !created.contains_key(&place) {
            touched.entry(place).or_insert_with(|| Arc::clone(collection));
        }
        let outcome = body(transaction, collection)?;
        claims.claim(&transaction.take_written())?;
        transaction.check(self.shared.bytes_max)?;
        Ok(outcome)
    }

    /// The collection of this name; it is created with the transaction if there is none.
    pub(crate) fn ensure(&self, database: &Database, namespace: &Namespace) -> Result<Arc<Collection>> {
        if let Some(found) = self.catalog().find(namespace) {
            return Ok(Arc::clone(found));
        }
        self.create(database, namespace, CollectionOptions::default())
    }

    /// Creates a collection with the transaction.
    pub(crate) fn create(
        &self,
        database: &Database,
        namespace: &Namespace,
        options: CollectionOptions,
    ) -> Result<Arc<Collection>> {
        let options = options.with_full_collation()?;
        if let Some(found) = self.catalog().find(namespace) {
            if found.options == options {
                return Ok(Arc::clone(found));
            }
            return Err(Error::new(
                error_code::NAMESPACE_EXISTS,
                format!("{namespace} exists with other options"),
            ));
        }
        if options.capped || options.time_series.is_some() || options.view_on.is_some() {
            return Err(refused(format!(
                "{namespace} is not a plain collection; create it before the transaction"
            )));
        }
        let made = database.catalog().prepare(&self.catalog(), namespace, options, database.new_uuid())?;
        self.put_created(&made)?;
        Ok(made)
    }

    fn put_created(&self, collection: &Arc<Collection>) -> Result<()> {
        let mut work = self.lock();
        if work.transaction.is_none() {
            return Err(ended());
        }
        work.created.insert(place(&collection.namespace), Arc::clone(collection));
        let mut catalog = CatalogState::clone(&work.catalog);
        catalog.put(Arc::clone(collection));
        work.catalog = Arc::new(catalog);
        Ok(())
    }

    /// Creates indexes on a collection that this transaction created and that is empty still.
    pub(crate) fn create_indexes(
        &self,
        database: &Database,
        namespace: &Namespace,
        specifications: &[IndexSpecification],
    ) -> Result<CreateIndexesOutcome> {
        let created_collection = self.catalog().find(namespace).is_none();
        let collection = self.ensure(database, namespace)?;
        let missing = missing_indexes(&collection, specifications)?;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let indexes_before = count(collection.indexes.len());
        let indexes_after = indexes_before + count(missing.len());
        let outcome = CreateIndexesOutcome { indexes_before, indexes_after, created_collection };
        if missing.is_empty() {
            return Ok(outcome);
        }
        let is_own = self.lock().created.contains_key(&place(namespace));
        if !is_own || !self.is_empty(&collection)? {
            return Err(refused(format!(
                "a transaction can index a collection that it created and that is empty; {namespace} is not"
            )));
        }
        self.put_created(&database.catalog().prepare_indexes(&collection, missing)?)?;
        Ok(outcome)
    }

    fn is_empty(&self, collection: &Collection) -> Result<bool> {
        let range = key_layout::documents(collection.id);
        let options = IterOptions { lower: Some(range.lower), upper: Some(range.upper), keys_only: true };
        let mut documents = self.shared.view.iter(options)?;
        Ok(!documents.seek_to_first()?)
    }

    /// Commits, together with a record of its session, if it has one, where there is anything to commit.
    pub(crate) fn commit(
        &self,
        catalog: &Catalog,
        durability: Option<Durability>,
        record: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<()> {
        let mut work = self.lock();
        // Whoever waits for the claims must find what is committed.
        let (mut transaction, _claims) = work.transaction.take().ok_or_else(ended)?;
        if let Some((key, value)) = record
            && (transaction.has_writes() || !work.created.is_empty())
        {
            transaction.put(key, value)?;
        }
        catalog.commit_transaction(&work.touched, &work.created, transaction, durability)
    }

    /// Ends it without a trace.
    pub(crate) fn abort(&self) {
        self.lock().transaction = None;
    }
}

impl std::fmt::Debug for OpenTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenTransaction").field("owner", &self.shared.owner).finish_non_exhaustive()
    }
}

/// What the operations of a session belong to.
#[derive(Clone, Debug, Default)]
pub(super) enum Binding {
    /// Each is by itself.
    #[default]
    None,
    /// All of them read one moment.
    Moment(Moment),
    /// Their writes are recorded, to be done once.
    Retryable(super::retryable::RetryableWrite),
    /// A transaction.
    Transaction(OpenTransaction),
}

/// A moment to read, and the catalog for it.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) snapshot: Snapshot,
    pub(super) catalog: Arc<CatalogState>,
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").field("timestamp", &self.snapshot.timestamp()).finish_non_exhaustive()
    }
}

impl Session {
    /// A session whose reads are all of one moment: of this time, or of now.
    pub fn at(&self, timestamp: Option<Timestamp>) -> Result<Self> {
        let database = self.database();
        let (catalog, snapshot) = database.catalog().moment(|| self.snapshot(timestamp))?;
        let catalog = Arc::new(catalog.as_of(&snapshot)?);
        Ok(self.bound(self.id(), Binding::Moment(Moment { snapshot, catalog })))
    }

    /// Runs operations as one transaction: all that they write becomes visible together, or nothing. Runs them again
    /// when it loses against another, so `body` must not keep what it did.
    pub fn atomically<T>(
        &self,
        durability: Option<Durability>,
        mut body: impl FnMut(&Self) -> Result<T>,
    ) -> Result<T> {
        let mut lost = None;
        for _ in 0..ATTEMPTS_MAX {
            let open = OpenTransaction::begin(self.database(), None)?;
            let bound = self.bound(open.owner(), Binding::Transaction(open.clone()));
            let outcome = body(&bound).and_then(|outcome| {
                open.commit(self.database().catalog(), durability, None).map(|()| outcome)
            });
            self.database().cursors().kill_session(open.owner());
            drop(bound);
            match outcome {
                Err(error) if error.code == error_code::WRITE_CONFLICT => {
                    drop(open);
                    self.database().intents().wait_for_release(RELEASE_WAIT);
                    lost = Some(error);
                }
                outcome => return outcome,
            }
        }
        Err(lost.unwrap_or_else(ended))
    }

    /// The moment that all its reads are of, if it is bound to one.
    pub fn moment(&self) -> Option<Timestamp> {
        match &self.binding {
            Binding::Moment(moment) => Some(moment.snapshot.timestamp()),
            _ => None,
        }
    }

    /// The transaction that its operations are part of.
    pub(crate) fn open_transaction(&self) -> Option<&OpenTransaction> {
        match &self.binding {
            Binding::Transaction(open) => Some(open),
            _ => None,
        }
    }

    /// The catalog as its operations see it.
    pub(crate) fn catalog_state(&self) -> Arc<CatalogState> {
        match &self.binding {
            Binding::Moment(moment) => Arc::clone(&moment.catalog),
            Binding::Transaction(open) => open.catalog(),
            Binding::None | Binding::Retryable(_) => self.database().catalog().state(),
        }
    }

    /// The collection or view of this name, as its operations see it.
    pub(crate) fn find_collection(&self, namespace: &Namespace) -> Option<Arc<Collection>> {
        self.catalog_state().find(namespace).cloned()
    }
}
