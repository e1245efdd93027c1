//! The collection's validator.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_language::expression::Environment;

use crate::catalog::{Collection, ValidationAction, ValidationLevel};
use crate::session::Session;
use crate::{Error, Result, error_code};

impl Session {
    /// Checks a document that is about to be written against the validator. `before` is what it replaces: at the level
    /// `moderate` a document that did not pass before need not pass now. With the action `warn` a document that does
    /// not pass is written all the same, and the log says so.
    pub(crate) fn validate(
        &self,
        collection: &Collection,
        before: Option<RawDocument<'_>>,
        after: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let Some(validator) = &collection.validator else { return Ok(()) };
        let level = collection.options.validation_level.unwrap_or_default();
        if level == ValidationLevel::Off || validator.matches(after, environment)? {
            return Ok(());
        }
        if let (ValidationLevel::Moderate, Some(before)) = (level, before)
            && !validator.matches(before, environment)?
        {
            return Ok(());
        }
        let action = collection.options.validation_action.unwrap_or_default();
        if action != ValidationAction::Error {
            let id = after.get("_id").unwrap_or(ValueRef::Null);
            let outcome = if action == ValidationAction::Warn { "was let in" } else { "was refused" };
            self.database().log().warn(&format!(
                "a document that does not pass the validator of {} {outcome}: _id {id:?}",
                collection.namespace
            ));
        }
        if action == ValidationAction::Warn { Ok(()) } else { Err(failure(collection, after)) }
    }
}

fn failure(collection: &Collection, document: RawDocument<'_>) -> Error {
    let id = Value::from(document.get("_id"));
    let mut details = DocumentBuilder::new();
    details.document("errInfo", |info| {
        info.append_value("failingDocumentId", &id);
        info.document("details", |details| {
            details.append("operatorName", "validator");
            if let Some(validator) = &collection.options.validator {
                details.append_ref("specifiedAs", ValueRef::Document(validator.as_raw()));
            }
        });
    });
    Error::new(
        error_code::DOCUMENT_VALIDATION_FAILURE,
        format!("the document does not pass the validator of {}", collection.namespace),
    )
    .with_details(details.build())
}
