//! `$setWindowFields`: each document with what functions make of the documents around it.
//!
//! Documents are parted by a key and sorted within each partition; a function sees, for every document, the *frame*
//! around it: positions counted from the document ([`frame::Frame::Documents`]) or the documents whose sort value lies
//! within a distance ([`frame::Frame::Range`]). [`SetWindowFields::apply`] does all of it over documents in memory.
//!
//! Frames that begin with the partition only grow, so one accumulator walks along; any other frame is accumulated
//! anew for every document, which costs documents times frame.

mod frame;
mod function;
mod numeric;
mod positional;

use std::cmp::Ordering;

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef, compare};

use super::put_field::{Path, parse_path, put_field};
use crate::expression::{Environment, Expression, Scope, heap_bytes};
use crate::sort::{SortKey, SortSpec};
use crate::{Error, ErrorCode, Result};

use function::{Function, parse_output};

/// How documents are parted and sorted, and what is computed.
#[derive(Clone)]
pub struct SetWindowFields {
    partition_by: Option<Expression>,
    sort_by: Option<SortSpec>,
    outputs: Vec<(Path, Function)>,
}

/// A document with what it is placed by.
struct Placed {
    document: RawDocumentBuf,
    partition: Value<'static>,
    key: SortKey,
}

/// The documents of one partition, in order, and how they are sorted.
struct Partition<'p> {
    documents: Vec<RawDocument<'p>>,
    keys: Vec<&'p SortKey>,
    sort_by: Option<&'p SortSpec>,
}

impl SetWindowFields {
    /// Reads `{partitionBy: e, sortBy: {..}, output: {field: {$function: .., window: {..}}}}`.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let ValueRef::Document(document) = value else {
            let reason =
                format!("$setWindowFields needs a document, not a value of type {}", value.kind().name());
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
        };
        let (mut partition_by, mut sort_by, mut output) = (None, None, None);
        for element in document {
            match (element.key(), element.value()) {
                ("partitionBy", value) => partition_by = Some(Expression::parse(value, scope)?),
                ("sortBy", ValueRef::Null) => {}
                ("sortBy", ValueRef::Document(sort)) => sort_by = Some(SortSpec::parse(sort, scope)?),
                ("output", ValueRef::Document(fields)) => output = Some(fields),
                ("sortBy" | "output", other) => {
                    let (name, found) = (element.key(), other.kind().name());
                    let reason =
                        format!("the '{name}' of $setWindowFields is a document, not of type {found}");
                    return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
                }
                (other, _) => {
                    return Err(Error::location(
                        40_415,
                        format!("$setWindowFields has no argument '{other}'"),
                    ));
                }
            }
        }
        let output =
            output.ok_or_else(|| Error::location(40_414, "$setWindowFields needs the argument 'output'"))?;
        let mut outputs = Vec::new();
        for element in output {
            let function = parse_output(element.key(), element.value(), sort_by.as_ref(), scope)?;
            outputs.push((parse_path(element.key())?, function));
        }
        Ok(Self { partition_by, sort_by, outputs })
    }

    /// The documents with their new fields, partition by partition, each in its order.
    pub fn apply(
        &self,
        documents: Vec<RawDocumentBuf>,
        environment: &mut Environment,
    ) -> Result<Vec<RawDocumentBuf>> {
        let placed = self.place(documents, environment)?;
        let mut result = Vec::with_capacity(placed.len());
        let collation = environment.collator.clone();
        let same = |left: &Placed, right: &Placed| {
            compare(&left.partition, &right.partition, collation.as_deref()).is_eq()
        };
        for members in placed.chunk_by(same) {
            let partition = Partition {
                documents: members.iter().map(|placed| placed.document.as_raw()).collect(),
                keys: members.iter().map(|placed| &placed.key).collect(),
                sort_by: self.sort_by.as_ref(),
            };
            self.extend_with(&partition, &mut result, environment)?;
        }
        Ok(result)
    }

    /// The documents in the order of partition and sort.
    fn place(&self, documents: Vec<RawDocumentBuf>, environment: &mut Environment) -> Result<Vec<Placed>> {
        let mut placed = Vec::with_capacity(documents.len());
        for document in documents {
            let partition = match &self.partition_by {
                None => Value::Null,
                Some(by) => match by.evaluate(document.as_raw(), environment)?.into_owned() {
                    Value::Missing => Value::Null,
                    Value::Array(_) => {
                        let reason = "the 'partitionBy' of $setWindowFields cannot be an array";
                        return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
                    }
                    value => value,
                },
            };
            let key = match &self.sort_by {
                None => SortKey::default(),
                Some(sort) => sort.key(document.as_raw(), environment)?,
            };
            placed.push(Placed { document, partition, key });
        }
        let collation = environment.collate();
        placed.sort_by(|left, right| {
            let partitions = compare(&left.partition, &right.partition, collation);
            partitions.then_with(|| match &self.sort_by {
                None => Ordering::Equal,
                Some(sort) => sort.compare(&left.key, &right.key, collation),
            })
        });
        Ok(placed)
    }

    /// Computes every output over one partition and appends its documents.
    fn extend_with(
        &self,
        partition: &Partition<'_>,
        result: &mut Vec<RawDocumentBuf>,
        environment: &mut Environment,
    ) -> Result<()> {
        let mut columns = Vec::with_capacity(self.outputs.len());
        let mut bytes = 0usize;
        for (_, function) in &self.outputs {
            let column = function.evaluate(partition, environment)?;
            bytes += column.iter().map(|value| size_of::<Value<'_>>() + heap_bytes(value)).sum::<usize>();
            if bytes > environment.value_bytes_max {
                let reason = "the windows of one partition take more memory than allowed";
                return Err(Error::new(ErrorCode::EXCEEDED_MEMORY_LIMIT, reason));
            }
            columns.push(column.into_iter());
        }
        for document in &partition.documents {
            let mut document = document.to_buf();
            for ((path, _), column) in self.outputs.iter().zip(&mut columns) {
                let value = column.next().filter(|value| !matches!(value, Value::Missing));
                document = put_field(document.as_raw(), path, value.as_ref());
            }
            result.push(document);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
