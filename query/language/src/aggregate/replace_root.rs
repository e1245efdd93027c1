//! `$replaceRoot` and `$replaceWith`.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};

use super::parse::document_argument;
use crate::expression::{Environment, Expression, Scope};
use crate::{Error, Result};

/// The expression of the new document.
#[derive(Clone)]
pub struct ReplaceRoot {
    expression: Expression,
    name: &'static str,
}

impl ReplaceRoot {
    /// Reads `{newRoot: e}`.
    pub fn parse_root(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let document = document_argument("$replaceRoot", 40_229, value)?;
        if let Some(other) = document.iter().find(|element| element.key() != "newRoot") {
            return Err(Error::location(40_415, format!("$replaceRoot has no argument '{}'", other.key())));
        }
        let expression = document
            .get("newRoot")
            .ok_or_else(|| Error::location(40_414, "$replaceRoot needs a 'newRoot'"))?;
        Ok(Self { expression: Expression::parse(expression, scope)?, name: "$replaceRoot" })
    }

    /// Reads the expression itself.
    pub fn parse_with(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        Ok(Self { expression: Expression::parse(value, scope)?, name: "$replaceWith" })
    }

    /// The new document.
    pub fn apply(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<RawDocumentBuf> {
        match self.expression.evaluate(document, environment)? {
            Value::Document(value) => Ok(value.as_raw().to_buf()),
            other => {
                let reason =
                    format!("{} needs a document, the expression gave {}", self.name, other.type_name());
                Err(Error::location(40_228, reason))
            }
        }
    }
}
