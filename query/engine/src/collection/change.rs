//! A parsed update with everything it needs to be applied to one document after the other.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::aggregate::Pipeline;
use sheaf_language::expression::Environment;
use sheaf_language::update::{Update, UpdateArguments, UpdateContext};

use super::document_id::{check_id, check_size, with_id};
use super::matching::Target;
use super::update_pipeline;
use super::write::DocumentTransaction;
use crate::catalog::Collection;
use crate::planner::Query;
use crate::session::Session;
use crate::{Error, Result, error_code};

/// A parsed update.
pub(in crate::collection) struct Change {
    update: Kind,
    bypass_validation: bool,
}

enum Kind {
    Update(Update),
    Pipeline(Pipeline),
}

impl Change {
    /// Parses an update: a document of operators, a replacement, or an array of stages.
    pub(in crate::collection) fn parse(
        update: ValueRef<'_>,
        array_filters: &[RawDocument<'_>],
        query: &Query,
        bypass_validation: bool,
    ) -> Result<Self> {
        let context = UpdateContext { array_filters, scope: &query.scope };
        let update = match update {
            ValueRef::Document(document) => Kind::Update(Update::parse(document, &context)?),
            ValueRef::Array(_) if !array_filters.is_empty() => {
                return Err(Error::new(
                    error_code::FAILED_TO_PARSE,
                    "an update by a pipeline takes no arrayFilters",
                ));
            }
            ValueRef::Array(stages) => Kind::Pipeline(update_pipeline::parse(stages.iter(), &query.scope)?),
            other => {
                return Err(Error::new(
                    error_code::FAILED_TO_PARSE,
                    format!(
                        "an update must be a document or an array of stages, not of type {}",
                        other.kind().name()
                    ),
                ));
            }
        };
        Ok(Self { update, bypass_validation })
    }

    /// Whether it replaces the whole document.
    pub(in crate::collection) fn is_replacement(&self) -> bool {
        matches!(&self.update, Kind::Update(update) if update.is_replacement())
    }

    /// Changes a document that matched. Returns it as it is now; nothing if it stays as it was.
    pub(in crate::collection) fn apply(
        &self,
        session: &Session,
        transaction: &mut DocumentTransaction,
        collection: &Collection,
        target: &Target,
        query: &Query,
        environment: &mut Environment,
    ) -> Result<Option<RawDocumentBuf>> {
        let before = target.document()?;
        let (after, modified) = match &self.update {
            Kind::Pipeline(pipeline) => {
                let after = update_pipeline::apply(pipeline, before, environment)?;
                let modified = after.as_raw().as_bytes() != before.as_bytes();
                (after, modified)
            }
            Kind::Update(update) => {
                let position = query.filter.match_position(before, environment)?.unwrap_or_default();
                let mut arguments =
                    UpdateArguments { matched_index: position.0, is_insert: false, environment };
                let updated = update.apply(before, &mut arguments)?;
                let modified = match update.is_replacement() {
                    true => updated.modified,
                    false => updated.document.as_bytes() != before.as_bytes(),
                };
                check_size(updated.document.as_raw())?;
                (updated.document, modified)
            }
        };
        if !modified {
            return Ok(None);
        }
        if !self.bypass_validation {
            session.validate(collection, Some(before), after.as_raw(), environment)?;
        }
        transaction.replace(collection, &target.document_key, before, after.clone())?;
        Ok(Some(after))
    }

    /// Inserts the document that filter and update make together. Returns it.
    pub(in crate::collection) fn upsert(
        &self,
        session: &Session,
        transaction: &mut DocumentTransaction,
        collection: &Collection,
        query: &Query,
        environment: &mut Environment,
    ) -> Result<RawDocumentBuf> {
        let seed =
            if self.is_replacement() { query.filter.upsert_id()? } else { query.filter.upsert_document()? };
        let made = match &self.update {
            Kind::Pipeline(pipeline) => update_pipeline::apply(pipeline, seed.as_raw(), environment)?,
            Kind::Update(update) => {
                let mut arguments = UpdateArguments { matched_index: None, is_insert: true, environment };
                update.apply(seed.as_raw(), &mut arguments)?.document
            }
        };
        if let Some(id) = made.as_raw().get("_id") {
            check_id(id)?;
        }
        let document = with_id(made.as_raw(), || session.database().new_object_id())?;
        if !self.bypass_validation {
            session.validate(collection, None, document.as_raw(), environment)?;
        }
        transaction.insert(collection, document.clone())?;
        Ok(document)
    }
}

/// The `_id` of a document that was made.
pub(in crate::collection) fn owned_id(document: &RawDocumentBuf) -> Value<'static> {
    Value::from(document.as_raw().get("_id")).into_owned()
}
