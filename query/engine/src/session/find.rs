//! Finding documents.

use super::Session;
use super::reading::{Fingerprint, ReadOptions};
use crate::Result;
use crate::catalog::Collection;
use crate::cursor::{Cursor, Position};
use crate::operation::FindOperation;
use crate::planner::{self, IndexOptions, Query, QueryOptions};

impl Session {
    /// Finds documents. A collection that does not exist has none.
    pub fn find(&self, operation: &FindOperation<'_>) -> Result<Cursor> {
        let mut collection = self.find_collection(&operation.namespace);
        if let Some(view) = collection.as_ref().filter(|collection| collection.options.view_on.is_some()) {
            return self.find_in_view(operation, view);
        }
        if operation.tailable {
            return self.find_tailable(operation, collection.as_ref());
        }
        let query = Query::parse(&query_options(operation), collection.as_deref())?;
        let fingerprint = fingerprint(operation, collection.as_deref());
        let position =
            operation.resume_after.map(|bytes| Position::decode(bytes, fingerprint)).transpose()?;
        let read_timestamp =
            position.as_ref().map(|position| position.read_timestamp).or(operation.read_timestamp);
        let snapshot = self.snapshot(read_timestamp)?;
        if let (Some(found), Some(_)) = (&collection, read_timestamp) {
            collection = Some(found.as_of(&snapshot)?);
        }
        let options =
            ReadOptions { max_time: operation.common.max_time, allow_disk_use: operation.allow_disk_use };
        let watch = match &position {
            None => self.choose_index(collection.as_ref(), &query, &snapshot, options)?,
            Some(position) => {
                let is_it = || Ok(position.is_of(&planner::plan_find(collection.as_ref(), &query)?));
                Self::choose_again(collection.as_ref(), &query, is_it)?;
                None
            }
        };
        let plan = planner::plan_find(collection.as_ref(), &query)?;
        let execution = self.start(&plan, snapshot, &query.collation, options).watched(watch);
        Cursor::from_plan(operation.namespace.clone(), plan, execution, fingerprint, position)
    }
}

/// The parts of a find that the planner reads.
pub(super) fn query_options<'a>(operation: &FindOperation<'a>) -> QueryOptions<'a> {
    QueryOptions {
        filter: operation.filter,
        sort: operation.sort,
        projection: operation.projection,
        skip: operation.skip,
        limit: operation.limit,
        hint: operation.hint,
        index: IndexOptions {
            min: operation.min,
            max: operation.max,
            return_key: operation.return_key,
            show_record_id: operation.show_record_id,
        },
        common: operation.common,
        has_runtime_constants: true,
    }
}

fn fingerprint(operation: &FindOperation<'_>, collection: Option<&Collection>) -> u64 {
    let mut fingerprint = Fingerprint::new("find", collection);
    fingerprint
        .add(operation.namespace.to_string().as_bytes())
        .add_document(Some(operation.filter))
        .add_document(operation.projection)
        .add_document(operation.sort)
        .add(&operation.skip.to_le_bytes())
        .add(&operation.limit.unwrap_or(0).to_le_bytes())
        .add_hint(operation.hint)
        .add_document(operation.min)
        .add_document(operation.max)
        .add(&[u8::from(operation.return_key), u8::from(operation.show_record_id)])
        .add_document(operation.common.let_variables)
        .add_document(operation.common.collation);
    fingerprint.finish()
}
