//! How much memory a computed value takes, so that an expression that doubles a value again and again is stopped.

use sheaf_document::{ArrayValue, DocumentValue, RawDocument, Value, ValueRef};

use super::environment::Environment;
use crate::{Error, ErrorCode, Result};

/// Deepest nesting of a value that an expression may build.
const DEPTH_MAX: usize = 200;

/// Bytes of a value beyond its own `size_of`.
pub fn heap_bytes(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) | Value::JavaScript(text) | Value::Symbol(text) => text.len(),
        Value::Document(document) => document.as_raw().len_bytes(),
        Value::Array(ArrayValue::Borrowed(array)) => array.as_bytes().len(),
        Value::Array(ArrayValue::Owned(array)) => array.as_bytes().len(),
        Value::Array(ArrayValue::Items(items)) => items_bytes(items),
        Value::Binary { bytes, .. } => bytes.len(),
        Value::Regex { pattern, options } => pattern.len() + options.len(),
        Value::DbPointer { namespace, .. } => namespace.len(),
        Value::JavaScriptWithScope { code, scope } => code.len() + scope.as_raw().len_bytes(),
        _ => 0,
    }
}

fn items_bytes(items: &[Value<'_>]) -> usize {
    items.iter().map(|item| size_of::<Value<'_>>() + heap_bytes(item)).sum()
}

/// A running total that refuses to pass the limit of one value.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn new(environment: &Environment) -> Self {
        Self { left: environment.value_bytes_max }
    }

    /// Charges one more value.
    pub(crate) fn add(&mut self, value: &Value<'_>) -> Result<()> {
        self.add_bytes(size_of::<Value<'_>>() + heap_bytes(value))
    }

    /// Charges bytes.
    pub(crate) fn add_bytes(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Error::new(
                ErrorCode::EXCEEDED_MEMORY_LIMIT,
                "an expression's value takes more memory than allowed",
            )
        })?;
        Ok(())
    }
}

/// Refuses a value that is nested too deeply.
pub(crate) fn check_depth(value: &Value<'_>) -> Result<()> {
    if value_depth(value, 0) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::OVERFLOW, format!("a value is nested deeper than {DEPTH_MAX} levels")))
}

/// Whether the value stays within the depth limit.
fn value_depth(value: &Value<'_>, depth: usize) -> bool {
    depth <= DEPTH_MAX
        && match value {
            Value::Document(DocumentValue::Borrowed(document)) => document_depth(*document, depth),
            Value::Document(DocumentValue::Owned(document)) => document_depth(document.as_raw(), depth),
            Value::Array(ArrayValue::Borrowed(array)) => array.iter().all(|item| ref_depth(item, depth + 1)),
            Value::Array(ArrayValue::Owned(array)) => document_depth(array.as_raw(), depth),
            Value::Array(ArrayValue::Items(items)) => items.iter().all(|item| value_depth(item, depth + 1)),
            _ => true,
        }
}

fn document_depth(document: RawDocument<'_>, depth: usize) -> bool {
    document.iter().all(|element| ref_depth(element.value(), depth + 1))
}

fn ref_depth(value: ValueRef<'_>, depth: usize) -> bool {
    depth <= DEPTH_MAX
        && match value {
            ValueRef::Document(document) => document_depth(document, depth),
            ValueRef::Array(array) => array.iter().all(|item| ref_depth(item, depth + 1)),
            _ => true,
        }
}
