//! `$jsonSchema`: JSON Schema draft 4 as MongoDB speaks it. `bsonType` names the types of BSON; `type: "integer"`,
//! `$ref`, `definitions`, `default`, `format`, `id` and `$schema` are refused.
//!
//! A schema speaks of one value. A rule for another type than the value's says nothing: `minimum` is fulfilled by
//! every string. Nothing looks through arrays by itself.

mod distinct;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

use sheaf_document::{Decimal128, RawDocument, Value, ValueRef};

use crate::Result;
use crate::filter::element::TypeSet;
use crate::filter::regular::RegexTest;

/// A compiled schema: every rule must hold.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    rules: Vec<Rule>,
}

/// One keyword, or several that belong together.
#[derive(Clone, Debug)]
enum Rule {
    /// `type`, `bsonType`.
    Types(TypeSet),
    /// `enum`; values are normalized.
    OneOfValues(Vec<Value<'static>>),
    /// `allOf`.
    All(Vec<Schema>),
    /// `anyOf`.
    Any(Vec<Schema>),
    /// `oneOf`.
    ExactlyOne(Vec<Schema>),
    /// `not`.
    Not(Box<Schema>),
    /// `minimum`, `exclusiveMinimum`.
    Minimum(Bound),
    /// `maximum`, `exclusiveMaximum`.
    Maximum(Bound),
    /// `multipleOf`.
    MultipleOf(Decimal128),
    /// `minLength`, in characters.
    LengthMin(u64),
    /// `maxLength`, in characters.
    LengthMax(u64),
    /// `pattern`.
    Pattern(RegexTest),
    /// `minItems`.
    ItemsMin(u64),
    /// `maxItems`.
    ItemsMax(u64),
    /// `uniqueItems: true`.
    UniqueItems,
    /// `items`, `additionalItems`.
    Items(Items),
    /// `minProperties`.
    PropertiesMin(u64),
    /// `maxProperties`.
    PropertiesMax(u64),
    /// `required`.
    Required(Vec<Box<str>>),
    /// `properties`, `patternProperties`, `additionalProperties`.
    Properties(Box<Properties>),
    /// `dependencies`.
    Dependencies(Vec<(Box<str>, Dependency)>),
}

/// A border of the numbers.
#[derive(Clone, Debug)]
struct Bound {
    value: Value<'static>,
    is_exclusive: bool,
}

/// What an array's items must follow.
#[derive(Clone, Debug)]
struct Items {
    /// By position.
    first: Vec<Schema>,
    /// All others; nothing to follow if absent.
    rest: Additional,
}

/// What a document's fields must follow.
#[derive(Clone, Debug)]
struct Properties {
    named: Vec<(Box<str>, Schema)>,
    patterns: Vec<(RegexTest, Schema)>,
    additional: Additional,
}

/// What is said about the items or fields that nothing else speaks of.
#[derive(Clone, Debug)]
enum Additional {
    Allowed,
    Refused,
    Follows(Box<Schema>),
}

/// What the presence of a field demands.
#[derive(Clone, Debug)]
enum Dependency {
    Fields(Vec<Box<str>>),
    Schema(Schema),
}

impl Schema {
    /// Reads a schema.
    pub fn parse(value: ValueRef<'_>) -> Result<Self> {
        parse::schema("$jsonSchema", value)
    }

    /// Whether the document follows it.
    pub fn matches(&self, document: RawDocument<'_>) -> Result<bool> {
        self.matches_value(ValueRef::Document(document))
    }

    /// Whether a value follows it.
    pub fn matches_value(&self, value: ValueRef<'_>) -> Result<bool> {
        for rule in &self.rules {
            if !rule.matches(value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
