//! Changing one document and returning it.

use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::filter::MatchedPosition;

use super::change::{Change, owned_id};
use super::matching::delete_target;
use super::time_series::{self, Removal, Series};
use crate::catalog::Collection;
use crate::operation::{FindAndModifyOperation, FindAndModifyOutcome, Modification, ReturnedDocument};
use crate::planner::{Query, QueryOptions};
use crate::session::{Session, retrying_once};
use crate::{Error, Result, error_code};

impl Session {
    /// Changes one document and returns it.
    pub fn find_and_modify(&self, operation: &FindAndModifyOperation<'_>) -> Result<FindAndModifyOutcome> {
        if let Some(series) = self.time_series(&operation.namespace)? {
            return self.find_and_remove_measurement(operation, &series);
        }
        let existing = self.existing_for_write(&operation.namespace)?;
        let options = QueryOptions {
            sort: operation.sort,
            projection: operation.projection,
            ..QueryOptions::new(operation.filter, operation.hint, operation.common)
        };
        let query = Query::parse(&options, existing.as_deref())?;
        match operation.modification {
            Modification::Remove => {
                if operation.returned == ReturnedDocument::After {
                    return Err(Error::new(
                        error_code::FAILED_TO_PARSE,
                        "a document that is removed can only be returned as it was before",
                    ));
                }
                match existing {
                    Some(collection) => self.find_and_remove(operation, collection, &query),
                    None => Ok(FindAndModifyOutcome::default()),
                }
            }
            Modification::Update { update, upsert } => {
                let change = Change::parse(
                    update,
                    &operation.array_filters,
                    &query,
                    operation.bypass_document_validation,
                )?;
                let collection = match existing {
                    Some(collection) => collection,
                    None if upsert => self.collection_for_write(&operation.namespace)?,
                    None => return Ok(FindAndModifyOutcome::default()),
                };
                self.find_and_update(operation, collection, &query, &change, upsert)
            }
        }
    }

    /// Of a time series, a measurement can be removed, and not changed.
    fn find_and_remove_measurement(
        &self,
        operation: &FindAndModifyOperation<'_>,
        series: &Series,
    ) -> Result<FindAndModifyOutcome> {
        if operation.modification.is_update() {
            return Err(time_series::refused(&operation.namespace, "a measurement cannot be updated"));
        }
        if operation.sort.is_some_and(|sort| !sort.is_empty()) {
            return Err(time_series::refused(&operation.namespace, "the removal of one takes no sort"));
        }
        let options = QueryOptions {
            projection: operation.projection,
            ..QueryOptions::new(operation.filter, operation.hint, operation.common)
        };
        let query = Query::parse(&options, Some(&series.view))?;
        let removal = Removal {
            query: &query,
            multi: false,
            durability: operation.durability,
            max_time: operation.common.max_time,
            statement: operation.statement,
        };
        let removed = self.remove_measurements(&removal, series)?;
        let document = removed.last.map(|document| self.returned(&document, &query)).transpose()?;
        Ok(FindAndModifyOutcome { document, matched: removed.count > 0, upserted_id: None })
    }

    fn find_and_remove(
        &self,
        operation: &FindAndModifyOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
    ) -> Result<FindAndModifyOutcome> {
        let context = self.write_context(operation.durability);
        let statement = self.statement(operation.statement)?;
        retrying_once(context, &mut collection, statement, |transaction, collection| {
            let target = self.first_match(transaction, collection, query, operation.common.max_time)?;
            let Some(target) = target else { return Ok(FindAndModifyOutcome::default()) };
            let removed = delete_target(transaction, collection, &target)?;
            let document = self.returned(&removed, query)?;
            Ok(FindAndModifyOutcome { document: Some(document), matched: true, upserted_id: None })
        })
    }

    fn find_and_update(
        &self,
        operation: &FindAndModifyOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
        change: &Change,
        upsert: bool,
    ) -> Result<FindAndModifyOutcome> {
        let context = self.write_context(operation.durability);
        let returns_new = operation.returned == ReturnedDocument::After;
        let statement = self.statement(operation.statement)?;
        retrying_once(context, &mut collection, statement, |transaction, collection| {
            let mut environment = self.query_environment(query);
            let target = self.first_match(transaction, collection, query, operation.common.max_time)?;
            let Some(target) = target else {
                if !upsert {
                    return Ok(FindAndModifyOutcome::default());
                }
                let made = change.upsert(self, transaction, collection, query, &mut environment)?;
                let document = if returns_new { Some(self.returned(&made, query)?) } else { None };
                return Ok(FindAndModifyOutcome {
                    document,
                    matched: false,
                    upserted_id: Some(owned_id(&made)),
                });
            };
            let before = target.document()?.to_buf();
            let changed = change.apply(self, transaction, collection, &target, query, &mut environment)?;
            let shown = match changed {
                Some(after) if returns_new => after,
                _ => before,
            };
            Ok(FindAndModifyOutcome {
                document: Some(self.returned(&shown, query)?),
                matched: true,
                upserted_id: None,
            })
        })
    }

    /// The document as it is returned.
    fn returned(&self, document: &RawDocumentBuf, query: &Query) -> Result<RawDocumentBuf> {
        let Some(projection) = &query.projection else { return Ok(document.clone()) };
        let mut environment = self.query_environment(query);
        let position = if projection.needs_position() {
            query.filter.match_position(document.as_raw(), &mut environment)?.unwrap_or_default()
        } else {
            MatchedPosition::default()
        };
        Ok(projection.apply(document.as_raw(), &mut environment, position)?)
    }
}
