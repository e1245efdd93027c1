//! Operations on the catalog.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocumentBuf};

use super::Session;
use crate::catalog::{
    Collection, TimeSeries, bucket_key, bucket_specification, buckets_of, measurement_specification,
};
use crate::operation::{
    CollectionInfo, CollectionKind, CollectionStatistics, CreateCollectionOperation, CreateIndexesOperation,
    CreateIndexesOutcome, DatabaseInfo, DropCollectionOutcome, DropIndexesOperation, DropIndexesOutcome,
    IndexStatistics, IndexTarget, RenameCollectionOperation,
};
use crate::{Error, Namespace, Result, error_code, key_layout, validate_database_name};
use sheaf_storage::IterOptions;

impl Session {
    /// Creates a collection or view. One that exists with the same options is fine.
    pub fn create_collection(&self, operation: &CreateCollectionOperation) -> Result<()> {
        let database = self.database();
        if let Some(open) = self.open_transaction() {
            return open.create(database, &operation.namespace, operation.options.clone()).map(|_| ());
        }
        database.catalog().create(&operation.namespace, operation.options.clone(), database.new_uuid())
    }

    /// Changes the options of a collection.
    pub fn change_collection_options(
        &self,
        namespace: &Namespace,
        change: impl FnOnce(&mut crate::catalog::CollectionOptions) -> Result<()>,
    ) -> Result<()> {
        let catalog = self.database().catalog();
        let collection = catalog.get(namespace)?;
        let mut options = collection.options.clone();
        change(&mut options)?;
        catalog.change_options(&collection, options)
    }

    /// Changes what can change of an index without touching its entries.
    pub fn change_index(
        &self,
        namespace: &Namespace,
        name: &str,
        change: impl FnOnce(&mut crate::catalog::IndexSpecification) -> Result<()>,
    ) -> Result<()> {
        let catalog = self.database().catalog();
        let collection = catalog.get(namespace)?;
        catalog.change_index(&collection, name, change)
    }

    /// Makes an index unique that was prepared for it (`prepare_unique`), or only checks whether it can be: documents
    /// that share a key are `CannotConvertIndexToUnique`.
    pub fn make_index_unique(&self, namespace: &Namespace, name: &str, only_check: bool) -> Result<()> {
        let catalog = self.database().catalog();
        catalog.make_unique(&catalog.get(namespace)?, name, only_check)
    }

    /// Drops a collection or view.
    pub fn drop_collection(&self, namespace: &Namespace) -> Result<DropCollectionOutcome> {
        let dropped = self.database().catalog().drop_collection(namespace)?;
        let Some(dropped) = dropped else { return Ok(DropCollectionOutcome::default()) };
        self.database().cursors().kill_namespaces(|open| open == namespace);
        Ok(DropCollectionOutcome { existed: true, indexes: count(dropped.indexes) })
    }

    /// A time series keeps its name, and so do its buckets.
    fn refuse_time_series_rename(&self, from: &Namespace) -> Result<()> {
        match self.database().catalog().find(from) {
            Some(found) if found.options.time_series.is_some() => Err(Error::new(
                error_code::ILLEGAL_OPERATION,
                format!("{from} belongs to a time series and cannot be renamed"),
            )),
            _ => Ok(()),
        }
    }

    /// Renames a collection.
    pub fn rename_collection(&self, operation: &RenameCollectionOperation) -> Result<()> {
        self.refuse_time_series_rename(&operation.from)?;
        self.database().catalog().rename(&operation.from, &operation.to, operation.drop_target)?;
        self.database().cursors().kill_namespaces(|open| *open == operation.from || *open == operation.to);
        Ok(())
    }

    /// Makes `to` a capped collection of `size_bytes` with the newest documents of `from`; if both are the same, it takes
    /// its place.
    pub fn copy_as_capped(&self, from: &Namespace, to: &Namespace, size_bytes: i64) -> Result<()> {
        let database = self.database();
        database.catalog().copy_as_capped(from, to, size_bytes, database.new_uuid())?;
        database.cursors().kill_namespaces(|open| open == to);
        Ok(())
    }

    /// Drops a database with all its collections. Returns whether there was one.
    pub fn drop_database(&self, database: &str) -> Result<bool> {
        validate_database_name(database)?;
        let existed = self.database().catalog().drop_database(database)?;
        self.database().cursors().kill_namespaces(|open| open.database() == database);
        Ok(existed)
    }

    /// Creates indexes and fills them; the collection is created if it does not exist.
    pub fn create_indexes(&self, operation: &CreateIndexesOperation) -> Result<CreateIndexesOutcome> {
        if let Some(open) = self.open_transaction() {
            return open.create_indexes(self.database(), &operation.namespace, &operation.indexes);
        }
        let catalog = self.database().catalog();
        if let Some((buckets, series)) = self.buckets(&operation.namespace)? {
            let specifications = operation.indexes.iter().cloned();
            let specifications: Vec<_> =
                specifications.map(|one| bucket_specification(&series, one)).collect::<Result<_>>()?;
            return catalog.create_indexes(&buckets, &specifications);
        }
        let created_collection = catalog.find(&operation.namespace).is_none();
        let collection = catalog.ensure(&operation.namespace, || self.database().new_uuid())?;
        let outcome = catalog.create_indexes(&collection, &operation.indexes)?;
        Ok(CreateIndexesOutcome { created_collection, ..outcome })
    }

    /// Drops indexes.
    pub fn drop_indexes(&self, operation: &DropIndexesOperation) -> Result<DropIndexesOutcome> {
        let catalog = self.database().catalog();
        if let Some((buckets, series)) = self.buckets(&operation.namespace)? {
            let target = match &operation.target {
                IndexTarget::KeyPattern(key) => IndexTarget::KeyPattern(bucket_key(&series, key.as_raw())?),
                other => other.clone(),
            };
            let indexes_before = catalog.drop_indexes(&buckets, &target)?;
            return Ok(DropIndexesOutcome { indexes_before });
        }
        let collection = catalog.get(&operation.namespace)?;
        if collection.options.is_view() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{} is a view and has no indexes", operation.namespace),
            ));
        }
        let indexes_before = catalog.drop_indexes(&collection, &operation.target)?;
        Ok(DropIndexesOutcome { indexes_before })
    }

    /// The databases that have a collection, by name.
    pub fn list_databases(&self) -> Result<Vec<DatabaseInfo>> {
        let state = self.catalog_state();
        let mut found = Vec::new();
        for name in state.databases() {
            let mut size_bytes = 0;
            for collection in state.collections(name) {
                size_bytes += self.statistics_of(collection)?.document_bytes;
            }
            found.push(DatabaseInfo { name: name.to_owned(), size_bytes, is_empty: size_bytes == 0 });
        }
        Ok(found)
    }

    /// The names of the databases, without measuring them.
    pub fn database_names(&self) -> Vec<String> {
        self.catalog_state().databases().map(str::to_owned).collect()
    }

    /// The collections and views of a database, by name.
    pub fn list_collections(&self, database: &str) -> Result<Vec<CollectionInfo>> {
        validate_database_name(database)?;
        Ok(self.catalog_state().collections(database).map(|found| info(found)).collect())
    }

    /// The collection of this name as `list_collections` shows it.
    pub fn collection_info(&self, namespace: &Namespace) -> Option<CollectionInfo> {
        self.find_collection(namespace).map(|found| info(&found))
    }

    /// The indexes of a collection as `listIndexes` shows them, the one on `_id` first.
    pub fn list_indexes(&self, namespace: &Namespace) -> Result<Vec<RawDocumentBuf>> {
        if let Some((buckets, series)) = self.buckets(namespace)? {
            let specifications = buckets.secondary_indexes().map(|index| &index.specification);
            return Ok(specifications.map(|one| measurement_specification(&series, one)).collect());
        }
        let collection = self.database().catalog().get(namespace)?;
        if collection.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{namespace} is a view and has no indexes"),
            ));
        }
        let listed = collection.listed_indexes();
        let key = collection.options.clustered_index.as_ref().map(|key| {
            let mut out = DocumentBuilder::new();
            for element in key.as_raw() {
                out.append_element(element);
            }
            out.append("clustered", true);
            out.build()
        });
        key.into_iter().map(Ok).chain(listed.map(|index| index.specification.to_listed_document())).collect()
    }

    /// The buckets of a time series; none if it is something else.
    fn buckets(&self, namespace: &Namespace) -> Result<Option<(Arc<Collection>, TimeSeries)>> {
        let catalog = self.database().catalog();
        let Some(view) = catalog.find(namespace).filter(|found| found.options.is_time_series()) else {
            return Ok(None);
        };
        let buckets = catalog.get(&buckets_of(namespace)?)?;
        Ok(view.time_series()?.map(|series| (buckets, series)))
    }

    /// Figures of a collection and its indexes. Reads all of it.
    pub fn collection_statistics(&self, namespace: &Namespace) -> Result<CollectionStatistics> {
        if let Some((buckets, _)) = self.buckets(namespace)? {
            return self.statistics_of(&buckets);
        }
        match self.find_collection(namespace) {
            Some(collection) => self.statistics_of(&collection),
            None => Ok(CollectionStatistics::default()),
        }
    }

    fn statistics_of(&self, collection: &Collection) -> Result<CollectionStatistics> {
        let mut statistics = CollectionStatistics::default();
        if collection.options.view_on.is_some() {
            return Ok(statistics);
        }
        let documents = self.measure(key_layout::documents(collection.id))?;
        statistics.documents = documents.entries;
        statistics.document_bytes = documents.value_bytes;
        for index in collection.listed_indexes() {
            let measured =
                if index.is_primary() { documents } else { self.measure(key_layout::entries(index.id))? };
            let bytes = if index.is_primary() {
                measured.key_bytes
            } else {
                measured.key_bytes + measured.value_bytes
            };
            let name = index.specification.name.clone();
            statistics.indexes.push(IndexStatistics { name, entries: measured.entries, bytes });
        }
        Ok(statistics)
    }

    fn measure(&self, range: key_layout::KeyRange) -> Result<Measured> {
        let snapshot = self.database().tablet().snapshot();
        let mut iter = snapshot.iter(IterOptions {
            lower: Some(range.lower),
            upper: Some(range.upper),
            ..IterOptions::default()
        })?;
        let mut measured = Measured::default();
        let mut valid = iter.seek_to_first()?;
        while valid {
            measured.entries += 1;
            measured.key_bytes += count(iter.key().len());
            measured.value_bytes += count(iter.value().len());
            valid = iter.next()?;
        }
        Ok(measured)
    }
}

#[derive(Clone, Copy, Default)]
struct Measured {
    entries: u64,
    key_bytes: u64,
    value_bytes: u64,
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn info(collection: &Collection) -> CollectionInfo {
    let kind = match (collection.options.is_time_series(), collection.options.is_view()) {
        (true, _) => CollectionKind::TimeSeries,
        (false, true) => CollectionKind::View,
        (false, false) => CollectionKind::Collection,
    };
    let is_collection = kind == CollectionKind::Collection;
    CollectionInfo {
        name: collection.namespace.collection().to_owned(),
        kind,
        options: collection.options.to_document(),
        uuid: is_collection.then_some(collection.uuid),
        id_index: collection
            .indexes
            .first()
            .filter(|_| !collection.options.is_clustered())
            .map(|index| index.specification.to_document()),
    }
}
