//! Reading views: a find, count or distinct on a view is a pipeline on it.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};
use sheaf_language::filter::path::FieldPath;

use super::Session;
use super::distinct::DistinctValues;
use crate::catalog::Collection;
use crate::operation::{
    AggregateOperation, AggregateTarget, CountOperation, DistinctOperation, FindOperation,
};
use crate::planner::QueryCollation;
use crate::{Cursor, Error, Result, error_code};

impl Session {
    /// A find on a view.
    pub(super) fn find_in_view(&self, operation: &FindOperation<'_>, view: &Collection) -> Result<Cursor> {
        if operation.tailable {
            return Err(Error::new(
                error_code::INVALID_PIPELINE_OPERATOR,
                format!("{} is a view and cannot be read with a tailable cursor", view.namespace),
            ));
        }
        let asked = [
            ("min", operation.min.is_some()),
            ("max", operation.max.is_some()),
            ("returnKey", operation.return_key),
            ("showRecordId", operation.show_record_id),
        ];
        if let Some((option, _)) = asked.into_iter().find(|(_, is_set)| *is_set) {
            return Err(Error::new(
                error_code::INVALID_PIPELINE_OPERATOR,
                format!(
                    "{} is a view: the option {option} is about the indexes of a collection",
                    view.namespace
                ),
            ));
        }
        let natural = operation.sort.is_some_and(|sort| sort.get("$natural").is_some());
        if natural {
            return Err(Error::new(
                error_code::INVALID_PIPELINE_OPERATOR,
                format!("{} is a view and has no natural order", view.namespace),
            ));
        }
        let mut stages = vec![stage("$match", ValueRef::Document(operation.filter))];
        if let Some(sort) = operation.sort.filter(|sort| !sort.is_empty()) {
            stages.push(stage("$sort", ValueRef::Document(sort)));
        }
        push_window(&mut stages, operation.skip, operation.limit);
        if let Some(projection) = operation.projection.filter(|projection| !projection.is_empty()) {
            stages.push(stage("$project", ValueRef::Document(projection)));
        }
        let pipeline = stages.iter().map(|stage| ValueRef::Document(stage.as_raw())).collect();
        let mut aggregate =
            AggregateOperation::new(AggregateTarget::Collection(operation.namespace.clone()), pipeline);
        aggregate.common = operation.common;
        aggregate.hint = operation.hint;
        aggregate.allow_disk_use = operation.allow_disk_use;
        aggregate.read_timestamp = operation.read_timestamp;
        aggregate.resume_after = operation.resume_after;
        self.aggregate(&aggregate)
    }

    /// A count on a view.
    pub(super) fn count_in_view(&self, operation: &CountOperation<'_>, view: &Collection) -> Result<u64> {
        let mut find = FindOperation::new(operation.namespace.clone(), operation.filter);
        find.skip = operation.skip;
        find.limit = operation.limit;
        find.hint = operation.hint;
        find.common = operation.common;
        let mut cursor = self.find_in_view(&find, view)?;
        let mut count = 0;
        while !cursor.is_exhausted() {
            let batch = cursor.next_batch(1_000, usize::MAX)?;
            count += u64::try_from(batch.documents.len()).unwrap_or(u64::MAX);
        }
        Ok(count)
    }

    /// A distinct on a view.
    pub(super) fn distinct_in_view(
        &self,
        operation: &DistinctOperation<'_>,
        view: &Collection,
    ) -> Result<Vec<Value<'static>>> {
        let mut find = FindOperation::new(operation.namespace.clone(), operation.filter);
        find.hint = operation.hint;
        find.common = operation.common;
        let collation = QueryCollation::parse(operation.common.collation, Some(view))?;
        let mut cursor = self.find_in_view(&find, view)?;
        let path = FieldPath::parse(operation.key);
        let mut found = DistinctValues::default();
        while !cursor.is_exhausted() {
            for document in cursor.next_batch(1_000, usize::MAX)?.documents {
                found.collect(document.as_raw(), &path, collation.collator.as_deref())?;
            }
        }
        Ok(found.values)
    }
}

fn stage(name: &str, argument: ValueRef<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.append_ref(name, argument);
    out.build()
}

fn push_window(stages: &mut Vec<RawDocumentBuf>, skip: u64, limit: Option<u64>) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if skip > 0 {
        stages.push(stage("$skip", ValueRef::Int64(number(skip))));
    }
    if let Some(limit) = limit.filter(|limit| *limit > 0) {
        stages.push(stage("$limit", ValueRef::Int64(number(limit))));
    }
}
