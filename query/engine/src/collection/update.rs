//! Updating documents.

use std::sync::Arc;

use sheaf_document::RawDocument;

use super::change::{Change, owned_id};
use super::matching::Target;
use super::write::retrying;
use crate::catalog::Collection;
use crate::operation::{UpdateOperation, UpdateOutcome};
use crate::planner::{Query, QueryOptions};
use crate::session::{Session, retrying_once};
use crate::{Error, Result, error_code};

impl Session {
    /// Updates documents, or inserts one if none matches and that is asked for.
    pub fn update(&self, operation: &UpdateOperation<'_>) -> Result<UpdateOutcome> {
        if let Some(series) = self.time_series(&operation.namespace)? {
            return self.update_measurements(operation, &series);
        }
        let existing = self.existing_for_write(&operation.namespace)?;
        let options = QueryOptions {
            sort: operation.sort,
            ..QueryOptions::new(operation.filter, operation.hint, operation.common)
        };
        let query = Query::parse(&options, existing.as_deref())?;
        let change = Change::parse(
            operation.update,
            &operation.array_filters,
            &query,
            operation.bypass_document_validation,
        )?;
        if operation.multi && change.is_replacement() {
            return Err(Error::new(
                error_code::FAILED_TO_PARSE,
                "a replacement is for one document; an update of many needs operators",
            ));
        }
        let collection = match existing {
            Some(collection) => collection,
            None if operation.upsert => self.collection_for_write(&operation.namespace)?,
            None => return Ok(UpdateOutcome::default()),
        };
        if operation.multi {
            self.update_all(operation, collection, &query, &change, |_| 1)
        } else {
            self.update_one(operation, collection, &query, &change)
        }
    }

    fn update_one(
        &self,
        operation: &UpdateOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
        change: &Change,
    ) -> Result<UpdateOutcome> {
        let context = self.write_context(operation.durability);
        let statement = self.statement(operation.statement)?;
        retrying_once(context, &mut collection, statement, |transaction, collection| {
            let mut environment = self.query_environment(query);
            match self.first_match(transaction, collection, query, operation.common.max_time)? {
                Some(target) => {
                    let changed =
                        change.apply(self, transaction, collection, &target, query, &mut environment)?;
                    Ok(UpdateOutcome {
                        matched: 1,
                        modified: u64::from(changed.is_some()),
                        upserted_id: None,
                    })
                }
                None if operation.upsert => {
                    let made = change.upsert(self, transaction, collection, query, &mut environment)?;
                    Ok(UpdateOutcome { upserted_id: Some(owned_id(&made)), ..UpdateOutcome::default() })
                }
                None => Ok(UpdateOutcome::default()),
            }
        })
    }

    /// `weigh` says how much a document counts in the outcome.
    pub(super) fn update_all(
        &self,
        operation: &UpdateOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
        change: &Change,
        weigh: impl Fn(RawDocument<'_>) -> u64,
    ) -> Result<UpdateOutcome> {
        let context = self.write_context(operation.durability);
        let mut matches = self.all_matches(&collection, query, operation.common.max_time)?;
        let mut outcome = UpdateOutcome::default();
        loop {
            let part = matches.next_part()?;
            if part.is_empty() {
                break;
            }
            let (matched, modified) = retrying(context, &mut collection, |transaction, collection| {
                let mut environment = self.query_environment(query);
                let (mut matched, mut modified) = (0, 0);
                for row in &part {
                    let Some(target) = Target::current(transaction, collection, row)? else { continue };
                    if !target.still_matches(row, query, &mut environment)? {
                        continue;
                    }
                    let weight = weigh(target.document()?);
                    matched += weight;
                    let changed =
                        change.apply(self, transaction, collection, &target, query, &mut environment)?;
                    modified += if changed.is_some() { weight } else { 0 };
                }
                Ok((matched, modified))
            })?;
            outcome.matched += matched;
            outcome.modified += modified;
        }
        if outcome.matched == 0 && operation.upsert {
            return self.update_one(operation, collection, query, change);
        }
        Ok(outcome)
    }
}
