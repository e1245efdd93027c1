//! `$facet`: several pipelines over the same input, whose results become the fields of one document.
//!
//! The input is kept in memory as far as there is room, the rest waits in a file that each pipeline reads anew.

use std::sync::Arc;

use sheaf_document::{DOCUMENT_BYTES_MAX, DocumentBuilder, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::Pipeline;

use super::read_all;
use crate::executor::spill::{KeyedRow, SpillFile, SpillUse, SpillWriter, SpillingOperator, encode_row};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::plan::PreparedStage;
use crate::{Error, Result, error_code};

pub(super) fn run(
    facets: &[(Box<str>, Pipeline)],
    inner: &[Arc<[PreparedStage]>],
    input: &mut Operator,
    context: &mut ExecutionContext,
    used: &mut SpillUse,
) -> Result<RawDocumentBuf> {
    let (rows, file) = keep(input, context)?;
    if let Some(file) = &file {
        *used = SpillUse { spills: 1, ..file.used() };
    }
    let mut out = DocumentBuilder::new();
    for ((name, _), stages) in facets.iter().zip(inner) {
        let mut operator = Operator::of_rows_and_file(rows.clone(), file.as_ref().map(SpillFile::read))
            .with_stages(stages)?;
        let results = read_all(&mut operator, context, "$facet")?;
        out.try_array(name, |array| {
            for row in &results {
                array.push_ref(ValueRef::Document(row.document()?));
            }
            Ok::<(), Error>(())
        })?;
    }
    if out.len_bytes() > DOCUMENT_BYTES_MAX {
        return Err(Error::new(
            error_code::OBJECT_TOO_LARGE,
            format!(
                "the document of $facet has {} bytes, the limit is {DOCUMENT_BYTES_MAX}",
                out.len_bytes()
            ),
        ));
    }
    Ok(out.build())
}

/// All rows of an input: the first ones, and the file that has the others.
fn keep(input: &mut Operator, context: &mut ExecutionContext) -> Result<(Vec<Row>, Option<SpillFile>)> {
    let (mut rows, mut bytes) = (Vec::new(), 0usize);
    let mut file: Option<SpillWriter> = None;
    let mut batch = Vec::new();
    loop {
        context.check_time()?;
        input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            break;
        }
        bytes += batch.iter().map(Row::memory_bytes).sum::<usize>();
        let Some(space) = context.spill.as_ref().filter(|_| bytes > context.memory_bytes_max) else {
            context.check_memory("$facet", bytes)?;
            rows.append(&mut batch);
            continue;
        };
        let file = match &mut file {
            Some(file) => file,
            empty => empty.insert(space.create()?),
        };
        for row in batch.drain(..) {
            file.append(encode_row(&KeyedRow { key: Vec::new(), row })?.as_bytes())?;
        }
    }
    let file = file.map(SpillWriter::finish).transpose()?;
    if let (Some(file), Some(space)) = (&file, &context.spill) {
        space.totals.add(SpillingOperator::Facet, SpillUse { spills: 1, ..file.used() });
    }
    Ok((rows, file))
}
