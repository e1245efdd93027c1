//! `$setWindowFields`: each document with what functions make of the documents around it.
//!
//! Documents are parted by a key and sorted within each partition; a function sees, for every document, the *frame*
//! around it: positions counted from the document ([`frame::Frame::Documents`]) or the documents whose sort value lies
//! within a distance ([`frame::Frame::Range`]).
//!
//! Whoever drives brings the documents into the order of their keys ([`SetWindowFields::key`]) and shows them partition
//! by partition: [`SetWindowFields::gather`] keeps what the functions need of each, [`SetWindowFields::finish`] computes,
//! and [`SetWindowFields::attach`] is given the documents once more, in the same order. So a partition's documents need
//! not be in memory, only their inputs.
//!
//! Frames that begin with the partition only grow, so one accumulator walks along; any other frame is accumulated
//! anew for every document, which costs documents times frame.

mod frame;
mod function;
mod numeric;
mod positional;
mod scaler;

use std::cmp::Ordering;

use sheaf_document::{Collate, RawDocument, RawDocumentBuf, Value, ValueRef, compare};

use super::put_field::{Path, parse_path, put_field};
use crate::accumulator::Input;
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

/// What the functions need of the documents of one partition, in their order: the documents themselves may be
/// elsewhere meanwhile.
#[derive(Default)]
pub struct WindowPartition {
    keys: Vec<SortKey>,
    /// Per output, the columns that its function takes.
    columns: Vec<Vec<Column>>,
    bytes: usize,
}

impl WindowPartition {
    /// Bytes held, about.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The outputs of one partition that were not attached yet.
pub struct WindowValues {
    columns: Vec<std::vec::IntoIter<Value<'static>>>,
}

/// An input per document.
type Column = Vec<Input<'static>>;

/// How the documents of a partition are ordered.
struct Partition<'p> {
    keys: &'p [SortKey],
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

    /// Where a document belongs: its partition, then its place in the order.
    pub fn key(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<SortKey> {
        let partition = match &self.partition_by {
            None => Value::Null,
            Some(by) => match by.evaluate(document, environment)?.into_owned() {
                Value::Missing => Value::Null,
                Value::Array(_) => {
                    let reason = "the 'partitionBy' of $setWindowFields cannot be an array";
                    return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
                }
                value => value,
            },
        };
        let mut key = vec![partition];
        if let Some(sort) = &self.sort_by {
            key.append(&mut sort.key(document, environment)?);
        }
        Ok(key)
    }

    /// The order of two keys.
    pub fn compare(
        &self,
        left: &[Value<'_>],
        right: &[Value<'_>],
        collation: Option<&dyn Collate>,
    ) -> Ordering {
        let (Some((left, left_sort)), Some((right, right_sort))) = (left.split_first(), right.split_first())
        else {
            return left.len().cmp(&right.len());
        };
        compare(left, right, collation).then_with(|| match &self.sort_by {
            None => Ordering::Equal,
            Some(sort) => sort.compare(left_sort, right_sort, collation),
        })
    }

    /// Whether two keys are of one partition.
    pub fn is_same_partition(
        &self,
        left: &[Value<'_>],
        right: &[Value<'_>],
        collation: Option<&dyn Collate>,
    ) -> bool {
        match (left.first(), right.first()) {
            (Some(left), Some(right)) => compare(left, right, collation).is_eq(),
            _ => false,
        }
    }

    /// Notes what the functions need of the next document of a partition.
    pub fn gather(
        &self,
        document: RawDocument<'_>,
        mut key: SortKey,
        partition: &mut WindowPartition,
        environment: &mut Environment,
    ) -> Result<()> {
        partition.columns.resize_with(self.outputs.len(), Vec::new);
        for ((_, function), columns) in self.outputs.iter().zip(&mut partition.columns) {
            let inputs = function.inputs(document, environment)?;
            partition.bytes += inputs.iter().map(Input::bytes).sum::<usize>();
            columns.resize_with(inputs.len(), Vec::new);
            columns.iter_mut().zip(inputs).for_each(|(column, input)| column.push(input));
        }
        // All of a partition have the first part in common.
        key.drain(..1.min(key.len()));
        partition.bytes += key.iter().map(|part| size_of::<Value<'_>>() + heap_bytes(part)).sum::<usize>();
        partition.keys.push(key);
        Ok(())
    }

    /// Computes every output of a partition.
    pub fn finish(&self, partition: WindowPartition, environment: &mut Environment) -> Result<WindowValues> {
        let order = Partition { keys: &partition.keys, sort_by: self.sort_by.as_ref() };
        let mut columns = Vec::with_capacity(self.outputs.len());
        let mut bytes = 0usize;
        for ((_, function), inputs) in self.outputs.iter().zip(partition.columns) {
            let column = function.evaluate(inputs, &order, environment)?;
            bytes += column.iter().map(|value| size_of::<Value<'_>>() + heap_bytes(value)).sum::<usize>();
            if bytes > environment.value_bytes_max {
                let reason = "the windows of one partition take more memory than allowed";
                return Err(Error::new(ErrorCode::EXCEEDED_MEMORY_LIMIT, reason));
            }
            columns.push(column.into_iter());
        }
        Ok(WindowValues { columns })
    }

    /// The next document of a partition with its new fields.
    pub fn attach(&self, document: RawDocument<'_>, values: &mut WindowValues) -> RawDocumentBuf {
        let mut document = document.to_buf();
        for ((path, _), column) in self.outputs.iter().zip(&mut values.columns) {
            let value = column.next().filter(|value| !matches!(value, Value::Missing));
            document = put_field(document.as_raw(), path, value.as_ref());
        }
        document
    }
}

#[cfg(test)]
mod tests;
