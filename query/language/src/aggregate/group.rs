//! `$group`: documents with the same key become one.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

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
///
/// Whoever drives may take groups out by the hash of their key ([`Groups::evict`]) and write them as records, with the
/// inputs that come later behind them; [`Groups::add_record`] takes both back, in a table of its own.
pub struct Groups {
    hasher: RandomState,
    /// Positions in `groups` of those with this hash.
    index: HashMap<u64, Vec<usize>, BuildHasherDefault<Hashed>>,
    groups: Vec<OneGroup>,
    bytes: usize,
}

/// Takes a hash for its own hash: it is one already, of a table nobody outside can foresee.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A group.
pub struct OneGroup {
    hash: u64,
    key: Value<'static>,
    states: Vec<Accumulator>,
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

impl Groups {
    /// No groups yet.
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), index: HashMap::default(), groups: Vec::new(), bytes: 0 }
    }

    /// The hash that a key has here: another table has other hashes.
    pub fn hash(&self, key: &Value<'_>, environment: &Environment) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hash_value(key, environment.collate(), &mut hasher);
        hasher.finish()
    }

    /// Adds a document to the group of a key with this hash.
    pub fn add(
        &mut self,
        group: &Group,
        (key, hash): (Value<'_>, u64),
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let position = self.position(group, key, hash, environment)?;
        let Some(found) = self.groups.get_mut(position) else { return Ok(()) };
        for ((_, spec), state) in group.fields.iter().zip(&mut found.states) {
            let before = state.bytes();
            state.add(spec, document, environment).map_err(group_error)?;
            self.bytes = (self.bytes + state.bytes()).saturating_sub(before);
        }
        Ok(())
    }

    /// Adds a record of [`Group::input_record`] or [`Group::state_record`] to the group of its key. A state must come
    /// before any input of its group.
    pub fn add_record(
        &mut self,
        group: &Group,
        (key, hash): (Value<'_>, u64),
        record: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let position = self.position(group, key, hash, environment)?;
        let Some(found) = self.groups.get_mut(position) else { return Ok(()) };
        let inputs = record.get("i").and_then(ValueRef::as_document);
        let saved = record.get("s").and_then(ValueRef::as_array);
        let mut saved = saved.iter().flat_map(|states| states.iter());
        for (number, ((_, spec), state)) in group.fields.iter().zip(&mut found.states).enumerate() {
            let before = state.bytes();
            match (inputs, saved.next()) {
                (Some(inputs), _) => {
                    let input = spec.read_input(inputs.get(&number.to_string()))?;
                    state.add_input(spec, input, environment).map_err(group_error)?;
                }
                (None, Some(saved)) => *state = spec.load(saved, &found.key, environment)?,
                (None, None) => return Err(Error::new(ErrorCode::INTERNAL, "a record of $group is cut off")),
            }
            self.bytes = (self.bytes + state.bytes()).saturating_sub(before);
        }
        Ok(())
    }

    fn position(
        &mut self,
        group: &Group,
        key: Value<'_>,
        hash: u64,
        environment: &mut Environment,
    ) -> Result<usize> {
        let places = self.index.entry(hash).or_default();
        for place in places.iter() {
            if self.groups.get(*place).is_some_and(|other| equal(&other.key, &key, environment.collate())) {
                return Ok(*place);
            }
        }
        let key = key.to_bytes_form().into_owned();
        let states: Vec<Accumulator> =
            group.fields.iter().map(|(_, spec)| spec.start(&key, environment)).collect::<Result<_>>()?;
        let made = OneGroup { hash, key, states };
        self.bytes += made.bytes();
        places.push(self.groups.len());
        self.groups.push(made);
        Ok(self.groups.len() - 1)
    }

    /// Bytes held, about.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of groups.
    pub fn count(&self) -> usize {
        self.groups.len()
    }

    /// The groups, in the order in which their keys were first seen.
    pub fn iter(&self) -> impl Iterator<Item = &OneGroup> {
        self.groups.iter()
    }

    /// Takes the groups out whose key has such a hash.
    pub fn evict(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<OneGroup> {
        let (evicted, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.groups).into_iter().partition(|group| wanted(group.hash));
        self.index.clear();
        for (position, group) in kept.iter().enumerate() {
            self.index.entry(group.hash).or_default().push(position);
        }
        self.groups = kept;
        self.bytes = self.groups.iter().map(OneGroup::bytes).sum();
        evicted
    }

    /// The groups, in the order in which their keys were first seen.
    pub fn into_groups(self) -> std::vec::IntoIter<OneGroup> {
        self.groups.into_iter()
    }
}

impl OneGroup {
    /// The hash of its key, in the table it comes from.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Bytes it holds, about.
    pub fn bytes(&self) -> usize {
        let states: usize = self.states.iter().map(Accumulator::bytes).sum();
        heap_bytes(&self.key) + size_of_val(self.states.as_slice()) + states + GROUP_BYTES
    }

    /// The document that comes out of it.
    pub fn into_document(self, group: &Group) -> RawDocumentBuf {
        let mut builder = DocumentBuilder::new();
        builder.append_value("_id", &self.key);
        for ((name, spec), state) in group.fields.iter().zip(self.states) {
            builder.append_value(name, &state.finish(spec));
        }
        builder.build()
    }
}

/// Records: a group's state, `{k: key, s: [state, ...]}`, or what one document gives it, `{k: key, i: {"0": input, ...}}`.
impl Group {
    /// What a document gives the group of its key.
    pub fn input_record(
        &self,
        key: &Value<'_>,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<RawDocumentBuf> {
        let mut record = DocumentBuilder::new();
        record.append_value("k", key);
        record.try_document("i", |inputs| {
            for (number, (_, spec)) in self.fields.iter().enumerate() {
                let input = spec.input(document, environment).map_err(group_error)?;
                input.append_to(&number.to_string(), inputs);
            }
            Ok::<(), Error>(())
        })?;
        Ok(record.build())
    }

    /// The state of a group.
    pub fn state_record(&self, group: &OneGroup) -> RawDocumentBuf {
        let mut record = DocumentBuilder::new();
        record.append_value("k", &group.key);
        record.array("s", |states| {
            for state in &group.states {
                states.push_ref(ValueRef::Document(state.save().as_raw()));
            }
        });
        record.build()
    }

    /// The key of a record.
    pub fn record_key<'a>(&self, record: RawDocument<'a>) -> Value<'a> {
        Value::from(record.get("k").unwrap_or(ValueRef::Null))
    }
}

/// Bytes a group takes in the tables beside its key and its states.
const GROUP_BYTES: usize = 96;
