//! Evaluation of a schema's rules.

use sheaf_document::{Decimal128, RawArray, RawDocument, ValueRef, compare_refs};

use super::distinct::{all_differ, contains, field_count};
use super::{Additional, Bound, Dependency, Items, Properties, Rule, Schema};
use crate::Result;
use crate::filter::comparison::is_nan;

impl Rule {
    pub(super) fn matches(&self, value: ValueRef<'_>) -> Result<bool> {
        match self {
            Self::Types(types) => Ok(types.contains(value.kind())),
            Self::OneOfValues(values) => Ok(contains(values, value)),
            Self::All(schemas) => Ok(count_matching(schemas, value, usize::MAX)? == schemas.len()),
            Self::Any(schemas) => Ok(count_matching(schemas, value, 1)? == 1),
            Self::ExactlyOne(schemas) => Ok(count_matching(schemas, value, 2)? == 1),
            Self::Not(schema) => schema.matches_value(value).map(|matched| !matched),
            Self::Minimum(bound) => Ok(bound.holds(value, std::cmp::Ordering::Greater)),
            Self::Maximum(bound) => Ok(bound.holds(value, std::cmp::Ordering::Less)),
            Self::MultipleOf(divisor) => Ok(is_multiple(value, *divisor)),
            Self::LengthMin(_) | Self::LengthMax(_) | Self::Pattern(_) => match value {
                ValueRef::String(text) => self.matches_text(text),
                _ => Ok(true),
            },
            Self::ItemsMin(_) | Self::ItemsMax(_) | Self::UniqueItems | Self::Items(_) => match value {
                ValueRef::Array(array) => self.matches_array(array),
                _ => Ok(true),
            },
            _ => match value {
                ValueRef::Document(document) => self.matches_document(document),
                _ => Ok(true),
            },
        }
    }

    fn matches_text(&self, text: &str) -> Result<bool> {
        match self {
            Self::LengthMin(least) => Ok(text.chars().count() as u64 >= *least),
            Self::LengthMax(most) => Ok(text.chars().count() as u64 <= *most),
            Self::Pattern(pattern) => pattern.matches(Some(ValueRef::String(text))),
            _ => Ok(true),
        }
    }

    fn matches_array(&self, array: RawArray<'_>) -> Result<bool> {
        match self {
            Self::ItemsMin(least) => Ok(array.count() as u64 >= *least),
            Self::ItemsMax(most) => Ok(array.count() as u64 <= *most),
            Self::UniqueItems => Ok(all_differ(array)),
            Self::Items(items) => items.matches(array),
            _ => Ok(true),
        }
    }

    fn matches_document(&self, document: RawDocument<'_>) -> Result<bool> {
        match self {
            Self::PropertiesMin(least) => Ok(field_count(document) >= *least),
            Self::PropertiesMax(most) => Ok(field_count(document) <= *most),
            Self::Required(names) => Ok(has_all(document, names)),
            Self::Properties(properties) => properties.matches(document),
            Self::Dependencies(dependencies) => {
                for (name, dependency) in dependencies {
                    if document.get_element(name).is_some() && !dependency.matches(document)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }
}

/// How many match; looks no further than `enough`.
fn count_matching(schemas: &[Schema], value: ValueRef<'_>, enough: usize) -> Result<usize> {
    let mut count = 0;
    for schema in schemas {
        if schema.matches_value(value)? {
            count += 1;
            if count >= enough {
                break;
            }
        }
    }
    Ok(count)
}

fn has_all(document: RawDocument<'_>, names: &[Box<str>]) -> bool {
    names.iter().all(|name| document.get_element(name).is_some())
}

impl Bound {
    /// Whether a number lies on the wanted side; other values always do.
    fn holds(&self, value: ValueRef<'_>, side: std::cmp::Ordering) -> bool {
        let Some(bound) = self.value.as_ref().filter(|_| value.kind().is_number()) else { return true };
        match (is_nan(value), is_nan(bound)) {
            (false, false) => {
                let ordering = compare_refs(value, bound, None);
                ordering == side || (ordering.is_eq() && !self.is_exclusive)
            }
            (left, right) => left && right && !self.is_exclusive,
        }
    }
}

fn is_multiple(value: ValueRef<'_>, divisor: Decimal128) -> bool {
    let number = match value {
        ValueRef::Int32(number) => Decimal128::from(i64::from(number)),
        ValueRef::Int64(number) => Decimal128::from(number),
        ValueRef::Double(number) => Decimal128::from_f64(number),
        ValueRef::Decimal128(number) => number,
        _ => return true,
    };
    (number % divisor).is_zero()
}

impl Items {
    fn matches(&self, array: RawArray<'_>) -> Result<bool> {
        for (index, item) in array.iter().enumerate() {
            let matched = match self.first.get(index) {
                Some(schema) => schema.matches_value(item)?,
                None => self.rest.matches(item)?,
            };
            if !matched {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Properties {
    fn matches(&self, document: RawDocument<'_>) -> Result<bool> {
        for element in document {
            let (key, value) = (element.key(), element.value());
            let mut is_spoken_of = false;
            for (name, schema) in &self.named {
                if **name == *key {
                    is_spoken_of = true;
                    if !schema.matches_value(value)? {
                        return Ok(false);
                    }
                }
            }
            for (pattern, schema) in &self.patterns {
                if pattern.matches(Some(ValueRef::String(key)))? {
                    is_spoken_of = true;
                    if !schema.matches_value(value)? {
                        return Ok(false);
                    }
                }
            }
            if !is_spoken_of && !self.additional.matches(value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Additional {
    fn matches(&self, value: ValueRef<'_>) -> Result<bool> {
        match self {
            Self::Allowed => Ok(true),
            Self::Refused => Ok(false),
            Self::Follows(schema) => schema.matches_value(value),
        }
    }
}

impl Dependency {
    fn matches(&self, document: RawDocument<'_>) -> Result<bool> {
        match self {
            Self::Fields(names) => Ok(has_all(document, names)),
            Self::Schema(schema) => schema.matches(document),
        }
    }
}
