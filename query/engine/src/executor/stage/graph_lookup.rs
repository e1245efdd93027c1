//! `$graphLookup`: each document with what can be reached from it, step by step, each document once.

use std::collections::HashSet;

use sheaf_document::{ArrayBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::aggregate::GraphLookup;

use super::hash_side::Joining;
use super::subpipeline;
use crate::executor::ExecutionContext;
use crate::executor::spill::SpillUse;
use crate::plan::PreparedStage;
use crate::{Error, Result};

/// Bytes that the documents reached from one document may have: 100 MB, as in MongoDB.
const REACHED_BYTES_MAX: usize = 100 << 20;

pub(super) fn attach(
    lookup: &GraphLookup,
    prepared: &PreparedStage,
    document: RawDocument<'_>,
    context: &mut ExecutionContext,
    (joining, used): (&mut Joining, &mut SpillUse),
) -> Result<RawDocumentBuf> {
    let start = lookup.start_with.evaluate(document, &mut context.environment)?.into_owned();
    let mut frontier: Vec<Value<'static>> = match start {
        Value::Array(items) => items.into_items().into_iter().map(Value::into_owned).collect(),
        Value::Missing => vec![Value::Null],
        value => vec![value],
    };
    let mut reached = HashSet::new();
    let mut found = ArrayBuilder::new();
    let mut depth = 0u64;
    while !frontier.is_empty() && lookup.depth_max.is_none_or(|limit| depth <= limit) {
        context.check_time()?;
        let values = std::mem::take(&mut frontier);
        let filter = lookup.step_filter(values.clone());
        let filter = subpipeline::filter(filter.as_raw(), context)?;
        for row in joining.rows((&lookup.connect_to, &values), &filter, prepared, context, used)? {
            let step = row.document()?;
            if let Some(restriction) = &lookup.restriction {
                // Matched here, not asked for with the step, so that it sees the variables of the command.
                if !restriction.matches(step, &mut context.environment)? {
                    continue;
                }
            }
            let mut key = Vec::new();
            sheaf_document::key::encode(step.get("_id").unwrap_or(ValueRef::Null), false, None, &mut key);
            if !reached.insert(key) {
                continue;
            }
            frontier.extend(lookup.next_values(step).into_iter().map(Value::into_owned));
            let shown = lookup.found(step, i64::try_from(depth).unwrap_or(i64::MAX));
            found.push_ref(ValueRef::Document(shown.as_raw()));
            if found.len_bytes() > REACHED_BYTES_MAX {
                return Err(Error::location(
                    40_099,
                    format!("$graphLookup reached more than {REACHED_BYTES_MAX} bytes of documents"),
                ));
            }
        }
        depth += 1;
    }
    Ok(lookup.attach(document, found.build()))
}
