//! The distinct values at a path.

use std::collections::HashMap;
use std::hash::DefaultHasher;
use std::hash::Hasher;

use sheaf_document::{Collate, Value, equal, hash_value};
use sheaf_language::filter::path::{FieldPath, LeafArray, walk};

use super::Session;
use super::reading::ReadOptions;
use crate::operation::DistinctOperation;
use crate::planner::{self, Query, QueryOptions};
use crate::{Error, Result, error_code};

/// Most bytes that the distinct values may have together: they are returned in one document.
const VALUES_BYTES_MAX: usize = 16 << 20;

impl Session {
    /// Collects the distinct values at a path, in the order they are met. The elements of an array count one by one.
    pub fn distinct(&self, operation: &DistinctOperation<'_>) -> Result<Vec<Value<'static>>> {
        let collection = self.find_collection(&operation.namespace);
        if let Some(view) = collection.as_ref().filter(|collection| collection.options.view_on.is_some()) {
            return self.distinct_in_view(operation, view);
        }
        let mut options = QueryOptions::new(operation.filter, operation.hint, operation.common);
        options.has_runtime_constants = false;
        let query = Query::parse(&options, collection.as_deref())?;
        let snapshot = self.snapshot(None)?;
        let options = ReadOptions { max_time: operation.common.max_time, allow_disk_use: None };
        let watch = self.choose_index(collection.as_ref(), &query, &snapshot, options)?;
        let plan = planner::plan_documents(collection.as_ref(), &query)?;
        let mut execution = self.start(&plan, snapshot, &query.collation, options).watched(watch);
        let path = FieldPath::parse(operation.key);
        let mut found = DistinctValues::default();
        while let Some(row) = execution.next_row()? {
            found.collect(row.document()?, &path, query.collate())?;
        }
        Ok(found.values)
    }
}

/// A set of values that keeps the order they came in.
#[derive(Default)]
pub(super) struct DistinctValues {
    pub(super) values: Vec<Value<'static>>,
    /// Positions in `values` by hash.
    positions: HashMap<u64, Vec<usize>>,
    bytes: usize,
}

impl DistinctValues {
    /// Adds the values at `path` of a document.
    pub(super) fn collect(
        &mut self,
        document: sheaf_document::RawDocument<'_>,
        path: &FieldPath,
        collator: Option<&dyn Collate>,
    ) -> Result<()> {
        let mut outcome = Ok(());
        walk(document, path.components(), LeafArray::Whole, &mut |value, _| {
            outcome = match value {
                Some(sheaf_document::ValueRef::Array(array)) => {
                    array.iter().try_for_each(|element| self.add(Value::from(element), collator))
                }
                Some(value) => self.add(Value::from(value), collator),
                None => Ok(()),
            };
            Ok(outcome.is_err())
        })?;
        outcome
    }

    fn add(&mut self, value: Value<'_>, collator: Option<&dyn Collate>) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        hash_value(&value, collator, &mut hasher);
        let positions = self.positions.entry(hasher.finish()).or_default();
        let values = &self.values;
        let is_known = positions
            .iter()
            .any(|position| values.get(*position).is_some_and(|known| equal(known, &value, collator)));
        if is_known {
            return Ok(());
        }
        positions.push(self.values.len());
        if let Some(value) = value.as_ref() {
            let mut bytes = Vec::new();
            value.write_to(&mut bytes);
            self.bytes += bytes.len() + 8;
        }
        self.values.push(value.into_owned());
        if self.bytes > VALUES_BYTES_MAX {
            return Err(Error::new(
                error_code::DISTINCT_TOO_LARGE,
                format!("the distinct values have more than {VALUES_BYTES_MAX} bytes"),
            ));
        }
        Ok(())
    }
}
