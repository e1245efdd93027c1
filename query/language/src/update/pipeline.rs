//! Updates by a pipeline: the document goes through stages that reshape one document, and what comes out replaces it.

use sheaf_document::{DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::Updated;
use crate::expression::{Environment, Expression, Scope};
use crate::filter::MatchedPosition;
use crate::projection::{Projection, ProjectionKind};
use crate::{Error, ErrorCode, Result};

/// Stages an update may have.
const STAGES_MAX: usize = 1000;

/// A stage that makes one document of one document.
#[derive(Clone)]
enum Stage {
    /// `$addFields`, `$set`, `$project`, `$unset`.
    Shape(Projection),
    /// `$replaceRoot`, `$replaceWith`.
    Replace(Expression),
}

/// A pipeline of an update.
#[derive(Clone)]
pub struct UpdatePipeline {
    stages: Vec<Stage>,
}

impl UpdatePipeline {
    /// Reads the stages.
    pub fn parse(stages: RawArray<'_>, scope: &mut Scope) -> Result<Self> {
        if stages.count() > STAGES_MAX {
            let reason = format!("an update's pipeline has at most {STAGES_MAX} stages");
            return Err(Error::location(7_749_501, reason));
        }
        let stages = stages.iter().map(|stage| parse_stage(stage, scope)).collect::<Result<_>>()?;
        Ok(Self { stages })
    }

    /// Makes the new document; it keeps the old `_id` if the stages drop it.
    pub fn apply(&self, before: RawDocument<'_>, environment: &mut Environment) -> Result<Updated> {
        let mut document = before.to_buf();
        for stage in &self.stages {
            document = match stage {
                Stage::Shape(projection) => {
                    projection.apply(document.as_raw(), environment, MatchedPosition::default())?
                }
                Stage::Replace(root) => replace(root, document.as_raw(), environment)?,
            };
        }
        let document = with_id(before, document);
        let modified = document.as_bytes() != before.as_bytes();
        Ok(Updated { document, modified })
    }
}

fn parse_stage(stage: ValueRef<'_>, scope: &mut Scope) -> Result<Stage> {
    let ValueRef::Document(stage) = stage else {
        let reason = format!("a stage is a document, not a value of type {}", stage.kind().name());
        return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
    };
    let (Some(stage), None) = (stage.first(), stage.iter().nth(1)) else {
        return Err(Error::location(40323, "a stage is a document with exactly one field, its name"));
    };
    let (name, operand) = (stage.key(), stage.value());
    let document = |code: i32| {
        let reason = format!("{name} needs a document, not a value of type {}", operand.kind().name());
        operand.as_document().ok_or_else(|| Error::location(code, reason))
    };
    Ok(match name {
        "$addFields" | "$set" => Stage::Shape(Projection::parse_added_fields(document(40272)?, scope)?),
        "$project" => Stage::Shape(Projection::parse(document(15969)?, ProjectionKind::Aggregate, scope)?),
        "$unset" => Stage::Shape(Projection::parse_unset(operand)?),
        "$replaceWith" => Stage::Replace(Expression::parse(operand, scope)?),
        "$replaceRoot" => Stage::Replace(parse_new_root(document(40229)?, scope)?),
        other => {
            let reason = format!("the stage '{other}' is not allowed in an update");
            return Err(Error::new(ErrorCode::INVALID_OPTIONS, reason));
        }
    })
}

fn parse_new_root(document: RawDocument<'_>, scope: &mut Scope) -> Result<Expression> {
    if let Some(unknown) = document.iter().find(|element| element.key() != "newRoot") {
        let reason = format!("$replaceRoot has no option '{}'", unknown.key());
        return Err(Error::location(40230, reason));
    }
    let root = document.get("newRoot");
    let root = root.ok_or_else(|| Error::location(40231, "$replaceRoot needs a 'newRoot'"))?;
    Expression::parse(root, scope)
}

fn replace(
    root: &Expression,
    document: RawDocument<'_>,
    environment: &mut Environment,
) -> Result<RawDocumentBuf> {
    match root.evaluate(document, environment)? {
        Value::Document(document) => Ok(document.as_raw().to_buf()),
        other => {
            let reason = format!("the new root must be a document, not {}", other.type_name());
            Err(Error::location(40228, reason))
        }
    }
}

/// `_id` first, the old one if there is no new one.
fn with_id(before: RawDocument<'_>, after: RawDocumentBuf) -> RawDocumentBuf {
    let Some(id) = after.as_raw().get_element("_id").or_else(|| before.get_element("_id")) else {
        return after;
    };
    if after.as_raw().first().is_some_and(|first| first.key() == "_id") {
        return after;
    }
    let mut builder = DocumentBuilder::with_capacity(after.as_bytes().len() + 32);
    builder.append_element(id);
    for element in after.as_raw() {
        if element.key() != "_id" {
            builder.append_element(element);
        }
    }
    builder.build()
}
