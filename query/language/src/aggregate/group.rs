//! `$group`: documents with the same key become one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef, equal, hash_value};

use crate::accumulator::{Accumulator, AccumulatorSpec};
use crate::expression::{Environment, Expression, Scope, heap_bytes};
use crate::{Error, ErrorCode, Result};

/// A key and what is accumulated per group.
#[derive(Clone)]
pub struct Group {
    key: Expression,
    fields: Vec<(Box<str>, AccumulatorSpec)>,
}

impl Group {
    /// Reads `{_id: e, name: {$accumulator: e}, ...}`.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let ValueRef::Document(document) = value else {
            let reason = format!("$group needs a document, not a value of type {}", value.kind().name());
            return Err(Error::location(15_947, reason));
        };
        let mut key = None;
        let mut fields = Vec::new();
        for element in document {
            if element.key() == "_id" {
                if key.replace(Expression::parse(element.value(), scope)?).is_some() {
                    return Err(Error::location(15_948, "$group has more than one '_id'"));
                }
            } else {
                fields.push(parse_field(element.key(), element.value(), scope)?);
            }
        }
        let key =
            key.ok_or_else(|| Error::location(15_955, "$group needs an '_id', the key of its groups"))?;
        Ok(Self { key, fields })
    }

    /// A group by this key with these fields.
    pub(super) fn new(key: Expression, fields: Vec<(Box<str>, AccumulatorSpec)>) -> Self {
        Self { key, fields }
    }

    /// The key of a document; what is missing counts as null.
    pub fn key<'a>(&'a self, document: RawDocument<'a>, environment: &mut Environment) -> Result<Value<'a>> {
        Ok(match self.key.evaluate(document, environment)? {
            Value::Missing => Value::Null,
            value => value,
        })
    }

    /// The fields with their accumulators.
    pub fn fields(&self) -> &[(Box<str>, AccumulatorSpec)] {
        &self.fields
    }
}

/// Reads `name: {$accumulator: argument}`.
pub(super) fn parse_field(
    name: &str,
    value: ValueRef<'_>,
    scope: &mut Scope,
) -> Result<(Box<str>, AccumulatorSpec)> {
    if name.contains('.') {
        return Err(Error::location(40_235, format!("the field name '{name}' cannot contain a dot")));
    }
    if name.starts_with('$') {
        return Err(Error::location(40_236, format!("the field name '{name}' cannot start with a dollar")));
    }
    let ValueRef::Document(document) = value else {
        let reason =
            format!("the field '{name}' needs an accumulator, not a value of type {}", value.kind().name());
        return Err(Error::location(40_234, reason));
    };
    let mut elements = document.iter();
    let Some(first) = elements.next() else {
        return Err(Error::location(
            40_234,
            format!("the field '{name}' needs an accumulator, not an empty document"),
        ));
    };
    if !first.key().starts_with('$') {
        let reason = format!("the field '{name}' needs an accumulator, not a document");
        return Err(Error::location(40_234, reason));
    }
    if elements.next().is_some() {
        return Err(Error::location(40_238, format!("the field '{name}' needs exactly one accumulator")));
    }
    let spec = AccumulatorSpec::parse(first.key(), first.value(), scope).map_err(group_error)?;
    Ok((name.into(), spec))
}

/// Division by zero has codes of its own inside of groups: clients know them from there.
fn group_error(error: Error) -> Error {
    let code = match error.code {
        ErrorCode::BAD_VALUE if error.message.starts_with("$divide ") => 4_848_401,
        ErrorCode(16_610) => 4_848_403,
        _ => return error,
    };
    Error::location(code, error.message)
}

/// The groups collected so far.
pub struct Groups<'g> {
    group: &'g Group,
    hasher: RandomState,
    /// Positions in `states` of the groups with this hash.
    index: HashMap<u64, Vec<usize>>,
    states: Vec<(Value<'static>, Vec<Accumulator>)>,
    bytes: usize,
}

impl<'g> Groups<'g> {
    /// No groups yet.
    pub fn new(group: &'g Group) -> Self {
        Self { group, hasher: RandomState::new(), index: HashMap::new(), states: Vec::new(), bytes: 0 }
    }

    /// Adds a document to its group.
    pub fn add(&mut self, document: RawDocument<'_>, environment: &mut Environment) -> Result<()> {
        let group = self.group;
        let key = group.key(document, environment)?;
        let position = self.position(key, environment)?;
        let Some((_, states)) = self.states.get_mut(position) else { return Ok(()) };
        for ((_, spec), state) in group.fields.iter().zip(states) {
            let before = state.bytes();
            state.add(spec, document, environment).map_err(group_error)?;
            self.bytes = (self.bytes + state.bytes()).saturating_sub(before);
        }
        Ok(())
    }

    fn position(&mut self, key: Value<'_>, environment: &mut Environment) -> Result<usize> {
        let mut hasher = self.hasher.build_hasher();
        hash_value(&key, environment.collate(), &mut hasher);
        let places = self.index.entry(std::hash::Hasher::finish(&hasher)).or_default();
        for place in places.iter() {
            if self.states.get(*place).is_some_and(|(other, _)| equal(other, &key, environment.collate())) {
                return Ok(*place);
            }
        }
        let key = key.to_bytes_form().into_owned();
        let states: Vec<Accumulator> =
            self.group.fields.iter().map(|(_, spec)| spec.start(&key, environment)).collect::<Result<_>>()?;
        self.bytes += heap_bytes(&key) + size_of_val(states.as_slice()) + GROUP_BYTES;
        places.push(self.states.len());
        self.states.push((key, states));
        Ok(self.states.len() - 1)
    }

    /// Bytes held, about.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of groups.
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// A document per group, in the order in which the keys were first seen.
    pub fn into_documents(self) -> impl Iterator<Item = RawDocumentBuf> {
        let group = self.group;
        self.states.into_iter().map(move |(key, states)| {
            let mut builder = DocumentBuilder::new();
            builder.append_value("_id", &key);
            for ((name, spec), state) in group.fields.iter().zip(states) {
                builder.append_value(name, &state.finish(spec));
            }
            builder.build()
        })
    }
}

/// Bytes a group takes in the tables beside its key and its states.
const GROUP_BYTES: usize = 96;
