//! Documents put together, and fields by any name, dots and dollar signs included.

use sheaf_document::{ArrayValue, DocumentBuilder, DocumentValue, RawDocument, Value, ValueRef};

use super::Environment;
use super::measure::Budget;
use super::operator::{Arguments, Operator};
use super::{Expression, Frame, Node, Scope, literal};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$getField", parse_get_field),
    Operator::variadic("$mergeObjects", merge_objects),
    Operator::fixed("$objectToArray", 1, object_to_array),
    Operator::special("$setField", |value, scope| parse_set_field("$setField", value, scope)),
    Operator::special("$unsetField", |value, scope| parse_set_field("$unsetField", value, scope)),
];

/// A field read or written by name.
#[derive(Clone)]
pub(crate) enum FieldAccess {
    Get { field: Expression, input: Expression },
    Set { field: Box<str>, input: Expression, value: Expression },
}

/// Puts the fields of documents together; a later value replaces an earlier one in its place.
pub(crate) fn merge(base: RawDocument<'_>, over: RawDocument<'_>) -> sheaf_document::RawDocumentBuf {
    let mut builder = DocumentBuilder::with_capacity(base.len_bytes() + over.len_bytes());
    for element in base {
        let newer = over.iter().filter(|newer| newer.key_bytes() == element.key_bytes()).last();
        builder.append_element(newer.unwrap_or(element));
    }
    for element in over {
        if base.get_element(element.key()).is_none() {
            builder.append_element(element);
        }
    }
    builder.build()
}

fn merge_objects<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let mut budget = Budget::new(environment);
    let mut merged: Option<Value<'a>> = None;
    let mut values: Vec<Value<'a>> = arguments.take_all().into_vec();
    // A single operand that is an array stands for its elements.
    if let [Value::Array(_)] = values.as_slice()
        && let Some(Value::Array(array)) = values.pop()
    {
        values = array.into_items();
    }
    for value in values {
        match value {
            Value::Document(document) => {
                budget.add_bytes(document.as_raw().len_bytes())?;
                merged = Some(match merged {
                    None => Value::Document(document),
                    Some(base) => {
                        let base = base.as_document().unwrap_or(RawDocument::EMPTY);
                        Value::from(merge(base, document.as_raw()))
                    }
                });
            }
            value if value.is_nullish() => {}
            other => {
                let message = format!("$mergeObjects takes documents, found {}", other.type_name());
                return Err(Error::location(40400, message));
            }
        }
    }
    Ok(merged.unwrap_or(Value::Document(DocumentValue::Borrowed(RawDocument::EMPTY))))
}

fn object_to_array<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let document = match arguments.get(0) {
        Value::Document(document) => document.as_raw(),
        value if value.is_nullish() => return Ok(Value::Null),
        other => {
            let message = format!("$objectToArray takes a document, found {}", other.type_name());
            return Err(Error::location(40390, message));
        }
    };
    let mut array = sheaf_document::ArrayBuilder::new();
    for element in document {
        array.document(|pair| {
            pair.append("k", element.key());
            pair.append_element_as("v", element);
        });
    }
    Ok(Value::Array(ArrayValue::Owned(array.build())))
}

fn parse_get_field(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let (field, input) = match value {
        ValueRef::Document(document)
            if !document.first().is_some_and(|first| first.key().starts_with('$')) =>
        {
            let (mut field, mut input) = (None, None);
            for element in document {
                match element.key() {
                    "field" => field = Some(element.value()),
                    "input" => input = Some(element.value()),
                    other => {
                        return Err(Error::location(
                            3_041_701,
                            format!("$getField has no argument '{other}'"),
                        ));
                    }
                }
            }
            let field =
                field.ok_or_else(|| Error::location(3_041_702, "$getField needs the argument 'field'"))?;
            let input =
                input.ok_or_else(|| Error::location(3_041_703, "$getField needs the argument 'input'"))?;
            (field, Expression::parse(input, scope)?)
        }
        field => (field, Expression::parse(ValueRef::String("$$CURRENT"), scope)?),
    };
    let field = Expression::parse(field, scope)?;
    if let Some(constant) = field.as_constant() {
        field_name(constant)?;
    }
    Ok(Node::FieldAccess(Box::new(FieldAccess::Get { field, input })))
}

fn field_name<'v>(value: &'v Value<'_>) -> Result<&'v str> {
    value.as_str().ok_or_else(|| {
        let message = format!("$getField takes a string as its field, found {}", value.type_name());
        Error::location(3_041_704, message)
    })
}

fn parse_set_field(operator: &str, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let message = format!("{operator} takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(4_161_100, message));
    };
    let unset = operator == "$unsetField";
    let (mut field, mut input, mut new_value) = (None, None, None);
    for element in document {
        match element.key() {
            "field" => field = Some(element.value()),
            "input" => input = Some(element.value()),
            "value" if !unset => new_value = Some(element.value()),
            other => {
                return Err(Error::location(4_161_101, format!("{operator} has no argument '{other}'")));
            }
        }
    }
    let missing =
        |code: i32, name: &str| Error::location(code, format!("{operator} needs the argument '{name}'"));
    let field = constant_name(operator, field.ok_or_else(|| missing(4_161_102, "field"))?)?;
    let new_value = match new_value {
        None if unset => Expression(Node::Constant(Value::Missing)),
        None => return Err(missing(4_161_103, "value")),
        Some(new_value) => Expression::parse(new_value, scope)?,
    };
    let input = Expression::parse(input.ok_or_else(|| missing(4_161_109, "input"))?, scope)?;
    Ok(Node::FieldAccess(Box::new(FieldAccess::Set { field, input, value: new_value })))
}

/// The field's name, which must be written out.
fn constant_name(operator: &str, value: ValueRef<'_>) -> Result<Box<str>> {
    let constant = match value {
        ValueRef::String(path) if path.starts_with('$') => {
            let message =
                format!("{operator} takes a constant field, '{path}' is a path; write it as a $literal");
            return Err(Error::location(4_161_108, message));
        }
        ValueRef::Document(document) => match document.first() {
            Some(first) if matches!(first.key(), "$literal" | "$const") => literal(first.value()),
            None => literal(value),
            _ => return Err(Error::location(4_161_106, format!("{operator} takes a constant field"))),
        },
        ValueRef::Array(_) => {
            return Err(Error::location(4_161_106, format!("{operator} takes a constant field")));
        }
        other => literal(other),
    };
    match &constant {
        Node::Constant(Value::String(name)) if name.contains('\0') => {
            Err(Error::location(9_534_700, format!("the field of {operator} contains a null byte")))
        }
        Node::Constant(Value::String(name)) => Ok(Box::from(name.as_ref())),
        _ => {
            let message = format!("{operator} takes a string as its field, found {}", value.kind().name());
            Err(Error::location(4_161_107, message))
        }
    }
}

impl FieldAccess {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Get { .. } => "$getField",
            Self::Set { .. } => "$setField",
        }
    }

    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        match self {
            Self::Get { field, input } => {
                visit("field", field);
                visit("input", input);
            }
            Self::Set { input, value, .. } => {
                visit("input", input);
                visit("value", value);
            }
        }
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        match self {
            Self::Get { field, input } => {
                let field = field.run(frame)?;
                let name = field_name(&field)?;
                Ok(match input.run(frame)? {
                    Value::Document(DocumentValue::Borrowed(document)) => Value::from(document.get(name)),
                    Value::Document(DocumentValue::Owned(document)) => {
                        Value::from(document.as_raw().get(name)).into_owned()
                    }
                    Value::Null | Value::Undefined => Value::Null,
                    _ => Value::Missing,
                })
            }
            Self::Set { field, input, value } => {
                let input = input.run(frame)?;
                let value = value.run(frame)?;
                match &input {
                    Value::Document(document) => Ok(Value::from(set_field(document.as_raw(), field, &value))),
                    input if input.is_nullish() => Ok(Value::Null),
                    other => {
                        let message = format!(
                            "{} takes a document as its input, found {}",
                            self.name(),
                            other.type_name()
                        );
                        Err(Error::location(4_161_105, message))
                    }
                }
            }
        }
    }
}

/// The document with one field set, in its place if it was there; a missing value takes it away.
fn set_field(document: RawDocument<'_>, field: &str, value: &Value<'_>) -> sheaf_document::RawDocumentBuf {
    let mut builder = DocumentBuilder::with_capacity(document.len_bytes() + field.len() + 16);
    let mut written = false;
    for element in document {
        if element.key() != field {
            builder.append_element(element);
        } else if !written {
            builder.append_value(field, value);
            written = true;
        }
    }
    if !written {
        builder.append_value(field, value);
    }
    builder.build()
}
