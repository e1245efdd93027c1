//! Array filters: which elements `$[name]` means.

use std::collections::BTreeMap;

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use super::{UpdateContext, bad_value};
use crate::expression::Environment;
use crate::filter::Filter;
use crate::{Error, ErrorCode, Result};

/// The filters by name.
#[derive(Clone, Default)]
pub struct ArrayFilters {
    filters: BTreeMap<Box<str>, Filter>,
}

impl ArrayFilters {
    /// Reads the filters. Each speaks of one name, the first part of all its paths.
    pub fn parse(context: &UpdateContext<'_>) -> Result<Self> {
        let mut filters = BTreeMap::new();
        for document in context.array_filters {
            let filter = Filter::parse(*document, &mut context.scope.clone())?;
            if filter.text().is_some() {
                return Err(bad_value("an array filter cannot have $text"));
            }
            if filter.near().is_some() {
                return Err(Error::location(5_626_500, "an array filter cannot have $near"));
            }
            let name = identifier(*document)?;
            if filters.insert(name.into(), filter).is_some() {
                let reason = format!("more than one array filter speaks of '{name}'");
                return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
            }
        }
        Ok(Self { filters })
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.filters.keys().map(AsRef::as_ref)
    }

    /// Whether the filter of this name accepts an element.
    pub fn accept(&self, name: &str, item: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
        let filter = self.filters.get(name).ok_or_else(|| {
            bad_value(format!("no array filter speaks of '{name}', as the path '$[{name}]' needs"))
        })?;
        let mut wrapped = DocumentBuilder::new();
        wrapped.append_ref(name, item);
        filter.matches(wrapped.build().as_raw(), environment)
    }
}

/// The one name that all paths of the filter start with.
fn identifier(filter: RawDocument<'_>) -> Result<&str> {
    let mut found = None;
    collect(filter, &mut found)?;
    let parse_error = |reason: String| Error::new(ErrorCode::FAILED_TO_PARSE, reason);
    let name = found.ok_or_else(|| parse_error("an array filter needs a name: it is empty".to_owned()))?;
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let reason = format!(
            "the name of an array filter starts with a lower-case letter and has letters and digits, not '{name}'"
        );
        return Err(Error::new(ErrorCode::BAD_VALUE, reason));
    }
    Ok(name)
}

fn collect<'a>(filter: RawDocument<'a>, found: &mut Option<&'a str>) -> Result<()> {
    for element in filter {
        let key = element.key();
        if matches!(key, "$and" | "$or" | "$nor") {
            let members = element.value().as_array();
            for member in members.iter().flat_map(|members| members.iter()).filter_map(ValueRef::as_document)
            {
                collect(member, found)?;
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        let name = key.split('.').next().unwrap_or_default();
        match *found {
            None => *found = Some(name),
            Some(other) if other != name => {
                let reason = format!("an array filter speaks of one name, not of '{other}' and '{name}'");
                return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
