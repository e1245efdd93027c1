//! What an upsert that matched nothing starts from: the fields that the filter demands by equality.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use super::{Equality, Filter};
use crate::{Error, ErrorCode, Result};

/// A field of the new document.
enum Seed<'f> {
    Value(&'f Value<'static>),
    Document(Vec<(&'f str, Seed<'f>)>),
}

impl Filter {
    /// The document that operators of an upsert are applied to: every equality of the filter at its path. Two
    /// equalities that speak of the same field are refused.
    pub fn upsert_document(&self) -> Result<RawDocumentBuf> {
        seed(&self.equalities())
    }

    /// As [`Filter::upsert_document`] for a replacement, which takes nothing but `_id` from the filter.
    pub fn upsert_id(&self) -> Result<RawDocumentBuf> {
        let of_id = |equality: &Equality<'_>| {
            equality.path.components().first().is_some_and(|first| first.name() == "_id")
        };
        seed(&self.equalities().into_iter().filter(of_id).collect::<Vec<_>>())
    }
}

fn seed(equalities: &[Equality<'_>]) -> Result<RawDocumentBuf> {
    let mut root = Vec::new();
    for equality in equalities {
        let names: Vec<&str> = equality.path.components().iter().map(|component| component.name()).collect();
        if let Some(name) = names.iter().find(|name| name.starts_with('$')) {
            let message = format!("an upsert cannot create the field '{name}' of '{}'", equality.path);
            return Err(Error::new(ErrorCode::DOLLAR_PREFIXED_FIELD_NAME, message));
        }
        if !plant(&mut root, &names, equality.value) {
            let message = format!(
                "an upsert cannot tell what to set: the filter speaks of '{}', or a path above or below it, twice",
                equality.path
            );
            return Err(Error::new(ErrorCode::NOT_SINGLE_VALUE_FIELD, message));
        }
    }
    Ok(write(&root))
}

/// Puts a value at the end of a path; says whether the place was free.
fn plant<'f>(fields: &mut Vec<(&'f str, Seed<'f>)>, path: &[&'f str], value: &'f Value<'static>) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    let known = fields.iter().position(|(known, _)| known == name);
    match known.and_then(|position| fields.get_mut(position)) {
        Some((_, Seed::Document(nested))) if !rest.is_empty() => plant(nested, rest, value),
        Some(_) => false,
        None if rest.is_empty() => {
            fields.push((name, Seed::Value(value)));
            true
        }
        None => {
            let mut nested = Vec::new();
            let is_free = plant(&mut nested, rest, value);
            fields.push((name, Seed::Document(nested)));
            is_free
        }
    }
}

fn write(fields: &[(&str, Seed<'_>)]) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    append(fields, &mut builder);
    builder.build()
}

fn append(fields: &[(&str, Seed<'_>)], out: &mut DocumentBuilder) {
    for (name, seed) in fields {
        match seed {
            Seed::Value(value) => out.append_value(name, value),
            Seed::Document(nested) => out.document(name, |out| append(nested, out)),
        };
    }
}
