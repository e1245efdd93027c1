//! `$redact`: at each document, from the outermost in, an expression says whether it is kept whole, dropped, or looked
//! into.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef};

use crate::expression::{Environment, Expression, Scope, VariableId};
use crate::{Error, Result};

/// What the expression may say; the values are those of the variables it says them with.
const DESCEND: &str = "descend";
const PRUNE: &str = "prune";
const KEEP: &str = "keep";

/// The expression, with `$$DESCEND`, `$$PRUNE` and `$$KEEP` bound.
#[derive(Clone)]
pub struct Redact {
    expression: Expression,
    /// `$$ROOT`, where the expression speaks of it: the outermost document at every level, while `$field` is of the
    /// level's own.
    root: Option<VariableId>,
}

impl Redact {
    /// Reads the expression.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let mark = scope.mark();
        for (name, verdict) in [("DESCEND", DESCEND), ("PRUNE", PRUNE), ("KEEP", KEEP)] {
            scope.define_constant(name, Value::from(verdict));
        }
        let root = mentions_root(value).then(|| scope.define_variable("ROOT"));
        let expression = Expression::parse(value, scope);
        scope.forget(mark);
        Ok(Self { expression: expression?, root })
    }

    /// What is left of the document, if anything.
    pub fn apply(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<Option<RawDocumentBuf>> {
        if let Some(root) = self.root {
            environment.set_variable(root, Value::from(document.to_buf()));
        }
        self.redact(document, environment)
    }

    fn redact(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<Option<RawDocumentBuf>> {
        let verdict = self.expression.evaluate(document, environment)?;
        match verdict.as_str() {
            Some(KEEP) => Ok(Some(document.to_buf())),
            Some(PRUNE) => Ok(None),
            Some(DESCEND) => self.descend(document, environment).map(Some),
            _ => {
                let reason =
                    format!("$redact needs $$DESCEND, $$PRUNE or $$KEEP, not {}", verdict.type_name());
                Err(Error::location(17_053, reason))
            }
        }
    }

    fn descend(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<RawDocumentBuf> {
        let mut builder = DocumentBuilder::with_capacity(document.len_bytes());
        for element in document {
            match element.value() {
                ValueRef::Document(inner) => {
                    if let Some(kept) = self.redact(inner, environment)? {
                        builder.append(element.key(), kept);
                    }
                }
                ValueRef::Array(array) => {
                    let kept = self.array(array, environment)?;
                    builder.append_ref(element.key(), ValueRef::Array(kept.as_raw_array()));
                }
                _ => {
                    builder.append_element(element);
                }
            }
        }
        Ok(builder.build())
    }

    fn array(&self, array: RawArray<'_>, environment: &mut Environment) -> Result<RawDocumentBuf> {
        let mut builder = ArrayBuilder::new();
        for item in array.iter() {
            match item {
                ValueRef::Document(inner) => {
                    if let Some(kept) = self.redact(inner, environment)? {
                        builder.push(kept);
                    }
                }
                ValueRef::Array(inner) => {
                    let kept = self.array(inner, environment)?;
                    builder.push_ref(ValueRef::Array(kept.as_raw_array()));
                }
                other => {
                    builder.push_ref(other);
                }
            }
        }
        Ok(builder.build())
    }
}

/// Whether an expression speaks of `$$ROOT`, as it is written.
fn mentions_root(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::String(text) => text == "$$ROOT" || text.starts_with("$$ROOT."),
        ValueRef::Document(document) => document.iter().any(|element| mentions_root(element.value())),
        ValueRef::Array(array) => array.iter().any(mentions_root),
        _ => false,
    }
}
