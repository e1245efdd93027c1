//! Reading a schema document, keyword by keyword.

use sheaf_document::{BsonType, Decimal128, RawArray, RawDocument, Value, ValueRef, compare};

use super::distinct::normalized;
use super::{Additional, Bound, Dependency, Items, Properties, Rule, Schema};
use crate::filter::element::TypeSet;
use crate::filter::modulo::integral;
use crate::filter::regular::RegexTest;
use crate::{Error, ErrorCode, Result};

/// The types that `type` may name, which are those of JSON.
const JSON_TYPES: [(&str, &[BsonType]); 6] = [
    ("array", &[BsonType::Array]),
    ("boolean", &[BsonType::Boolean]),
    ("null", &[BsonType::Null]),
    ("number", &[BsonType::Double, BsonType::Int32, BsonType::Int64, BsonType::Decimal128]),
    ("object", &[BsonType::Document]),
    ("string", &[BsonType::String]),
];

fn wrong_type(keyword: &str, expected: &str, found: ValueRef<'_>) -> Error {
    let message = format!("$jsonSchema: '{keyword}' must be {expected}, not {}", found.kind().name());
    Error::new(ErrorCode::TYPE_MISMATCH, message)
}

fn malformed(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, format!("$jsonSchema: {message}"))
}

/// Reads one schema; `keyword` names what it stands under.
pub(super) fn schema(keyword: &str, value: ValueRef<'_>) -> Result<Schema> {
    let ValueRef::Document(document) = value else {
        return Err(wrong_type(keyword, "a document", value));
    };
    let mut rules = Vec::new();
    for element in document {
        rules.extend(keyword_rule(element.key(), element.value(), document)?);
    }
    if document.get_element("type").is_some() && document.get_element("bsonType").is_some() {
        return Err(malformed("'type' and 'bsonType' cannot be used together"));
    }
    let speaks_of_fields = ["properties", "patternProperties", "additionalProperties"]
        .iter()
        .any(|keyword| document.get_element(keyword).is_some());
    if speaks_of_fields {
        rules.push(Rule::Properties(Box::new(properties(document)?)));
    }
    if document.get_element("items").is_some() || document.get_element("additionalItems").is_some() {
        rules.push(Rule::Items(items(document)?));
    }
    Ok(Schema { rules })
}

/// The rule of one keyword; nothing for keywords that say nothing, or are read together with others.
fn keyword_rule(keyword: &str, value: ValueRef<'_>, schema: RawDocument<'_>) -> Result<Option<Rule>> {
    Ok(Some(match keyword {
        "title" | "description" => {
            value.as_str().ok_or_else(|| wrong_type(keyword, "a string", value))?;
            return Ok(None);
        }
        "properties" | "patternProperties" | "additionalProperties" | "items" | "additionalItems" => {
            return Ok(None);
        }
        "exclusiveMinimum" | "exclusiveMaximum" => return exclusive(keyword, value, schema).map(|()| None),
        "type" => Rule::Types(types(keyword, value, json_type)?),
        "bsonType" => Rule::Types(types(keyword, value, bson_type)?),
        "enum" => Rule::OneOfValues(enumeration(value)?),
        "allOf" => Rule::All(schemas(keyword, value)?),
        "anyOf" => Rule::Any(schemas(keyword, value)?),
        "oneOf" => Rule::ExactlyOne(schemas(keyword, value)?),
        "not" => Rule::Not(Box::new(self::schema(keyword, value)?)),
        "minimum" => Rule::Minimum(bound(keyword, "exclusiveMinimum", value, schema)?),
        "maximum" => Rule::Maximum(bound(keyword, "exclusiveMaximum", value, schema)?),
        "multipleOf" => Rule::MultipleOf(divisor(value)?),
        "minLength" => Rule::LengthMin(count(keyword, value)?),
        "maxLength" => Rule::LengthMax(count(keyword, value)?),
        "pattern" => {
            let pattern = value.as_str().ok_or_else(|| wrong_type(keyword, "a string", value))?;
            Rule::Pattern(RegexTest::compile(pattern, "")?)
        }
        "minItems" => Rule::ItemsMin(count(keyword, value)?),
        "maxItems" => Rule::ItemsMax(count(keyword, value)?),
        "uniqueItems" => match value {
            ValueRef::Boolean(true) => Rule::UniqueItems,
            ValueRef::Boolean(false) => return Ok(None),
            other => return Err(wrong_type(keyword, "a boolean", other)),
        },
        "minProperties" => Rule::PropertiesMin(count(keyword, value)?),
        "maxProperties" => Rule::PropertiesMax(count(keyword, value)?),
        "required" => Rule::Required(names(keyword, value)?),
        "dependencies" => Rule::Dependencies(dependencies(value)?),
        unknown => return Err(malformed(format!("the keyword '{unknown}' is unknown or not supported"))),
    }))
}

fn types(keyword: &str, value: ValueRef<'_>, add: fn(TypeSet, &str) -> Result<TypeSet>) -> Result<TypeSet> {
    match value {
        ValueRef::String(name) => add(TypeSet::EMPTY, name),
        ValueRef::Array(list) => {
            let names = names(keyword, ValueRef::Array(list))?;
            names.iter().try_fold(TypeSet::EMPTY, |types, name| add(types, name))
        }
        other => Err(wrong_type(keyword, "a string or an array of strings", other)),
    }
}

fn json_type(types: TypeSet, name: &str) -> Result<TypeSet> {
    if name == "integer" {
        return Err(malformed("the type 'integer' is not supported; use bsonType 'int' or 'long'"));
    }
    match JSON_TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, kinds)) => Ok(kinds.iter().fold(types, |types, kind| types.with(*kind))),
        None => {
            let message =
                format!("$jsonSchema: 'type' does not know '{name}'; use bsonType for BSON's own types");
            Err(Error::new(ErrorCode::BAD_VALUE, message))
        }
    }
}

fn bson_type(types: TypeSet, name: &str) -> Result<TypeSet> {
    match (name, BsonType::from_name(name)) {
        ("number", _) => Ok(types.with_numbers()),
        ("integer", _) => Err(malformed("the type 'integer' is not supported; use 'int' or 'long'")),
        (_, Some(kind)) => Ok(types.with(kind)),
        (_, None) => {
            let message = format!("$jsonSchema: there is no type named '{name}'");
            Err(Error::new(ErrorCode::BAD_VALUE, message))
        }
    }
}

fn array<'a>(keyword: &str, value: ValueRef<'a>) -> Result<RawArray<'a>> {
    let list = value.as_array().ok_or_else(|| wrong_type(keyword, "an array", value))?;
    if list.is_empty() {
        return Err(malformed(format!("'{keyword}' must not be empty")));
    }
    Ok(list)
}

fn enumeration(value: ValueRef<'_>) -> Result<Vec<Value<'static>>> {
    let mut values: Vec<Value<'static>> = array("enum", value)?.iter().map(normalized).collect();
    values.sort_by(|left, right| compare(left, right, None));
    let count = values.len();
    values.dedup_by(|left, right| compare(left, right, None).is_eq());
    if values.len() != count {
        return Err(malformed("'enum' has a value twice"));
    }
    Ok(values)
}

fn schemas(keyword: &str, value: ValueRef<'_>) -> Result<Vec<Schema>> {
    array(keyword, value)?.iter().map(|item| schema(keyword, item)).collect()
}

fn names(keyword: &str, value: ValueRef<'_>) -> Result<Vec<Box<str>>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for item in array(keyword, value)?.iter() {
        let name = item.as_str().ok_or_else(|| wrong_type(keyword, "an array of strings", item))?;
        if names.iter().any(|known| **known == *name) {
            return Err(malformed(format!("'{keyword}' has '{name}' twice")));
        }
        names.push(name.into());
    }
    Ok(names)
}

fn exclusive(keyword: &str, value: ValueRef<'_>, schema: RawDocument<'_>) -> Result<()> {
    let bound = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
    if !matches!(value, ValueRef::Boolean(_)) {
        return Err(wrong_type(keyword, "a boolean", value));
    }
    if schema.get_element(bound).is_none() {
        return Err(malformed(format!("'{keyword}' needs '{bound}' beside it")));
    }
    Ok(())
}

fn bound(keyword: &str, exclusive: &str, value: ValueRef<'_>, schema: RawDocument<'_>) -> Result<Bound> {
    if !value.kind().is_number() {
        return Err(wrong_type(keyword, "a number", value));
    }
    let is_exclusive = schema.get(exclusive) == Some(ValueRef::Boolean(true));
    Ok(Bound { value: Value::from(value).into_owned(), is_exclusive })
}

fn divisor(value: ValueRef<'_>) -> Result<Decimal128> {
    let number = match value {
        ValueRef::Int32(number) => Decimal128::from(i64::from(number)),
        ValueRef::Int64(number) => Decimal128::from(number),
        ValueRef::Double(number) => Decimal128::from_f64(number),
        ValueRef::Decimal128(number) => number,
        other => return Err(wrong_type("multipleOf", "a number", other)),
    };
    if number.is_zero() || number.is_negative() || !number.is_finite() {
        return Err(malformed("'multipleOf' must be a finite number above 0"));
    }
    Ok(number)
}

fn count(keyword: &str, value: ValueRef<'_>) -> Result<u64> {
    integral(value)
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(|| malformed(format!("'{keyword}' must be a whole number that is not negative")))
}

fn document<'a>(keyword: &str, value: ValueRef<'a>) -> Result<RawDocument<'a>> {
    value.as_document().ok_or_else(|| wrong_type(keyword, "a document", value))
}

fn additional(keyword: &str, value: Option<ValueRef<'_>>) -> Result<Additional> {
    match value {
        None | Some(ValueRef::Boolean(true)) => Ok(Additional::Allowed),
        Some(ValueRef::Boolean(false)) => Ok(Additional::Refused),
        Some(value @ ValueRef::Document(_)) => Ok(Additional::Follows(Box::new(schema(keyword, value)?))),
        Some(other) => Err(wrong_type(keyword, "a boolean or a document", other)),
    }
}

fn properties(schema_document: RawDocument<'_>) -> Result<Properties> {
    let (mut named, mut patterns) = (Vec::new(), Vec::new());
    if let Some(value) = schema_document.get("properties") {
        for element in document("properties", value)? {
            named.push((Box::from(element.key()), schema(element.key(), element.value())?));
        }
    }
    if let Some(value) = schema_document.get("patternProperties") {
        for element in document("patternProperties", value)? {
            let pattern = RegexTest::compile(element.key(), "").map_err(|error| {
                Error::new(ErrorCode::BAD_VALUE, format!("$jsonSchema: 'patternProperties': {error}"))
            })?;
            patterns.push((pattern, schema(element.key(), element.value())?));
        }
    }
    let additional = additional("additionalProperties", schema_document.get("additionalProperties"))?;
    Ok(Properties { named, patterns, additional })
}

fn items(schema_document: RawDocument<'_>) -> Result<Items> {
    let rest = additional("additionalItems", schema_document.get("additionalItems"))?;
    match schema_document.get("items") {
        // Without a list of positions there are no additional items.
        None => Ok(Items { first: Vec::new(), rest: Additional::Allowed }),
        Some(value @ ValueRef::Document(_)) => {
            let each = Additional::Follows(Box::new(schema("items", value)?));
            Ok(Items { first: Vec::new(), rest: each })
        }
        Some(ValueRef::Array(list)) => {
            let first = list.iter().map(|item| schema("items", item)).collect::<Result<_>>()?;
            Ok(Items { first, rest })
        }
        Some(other) => Err(wrong_type("items", "a document or an array of documents", other)),
    }
}

fn dependencies(value: ValueRef<'_>) -> Result<Vec<(Box<str>, Dependency)>> {
    document("dependencies", value)?
        .iter()
        .map(|element| {
            let dependency = match element.value() {
                value @ ValueRef::Document(_) => Dependency::Schema(schema(element.key(), value)?),
                value @ ValueRef::Array(_) => Dependency::Fields(names("dependencies", value)?),
                other => return Err(wrong_type("dependencies", "documents or arrays", other)),
            };
            Ok((Box::from(element.key()), dependency))
        })
        .collect()
}
