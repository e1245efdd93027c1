//! What geo indexes demand of documents: a value in an indexed field must be a place.

use sheaf_document::{RawDocument, ValueRef};
use sheaf_language::filter::path::{FieldPath, LeafArray, walk};
use sheaf_language::geometry::stored_geometry;

use super::Index;
use crate::catalog::IndexFieldKind;
use crate::{Error, Result};

impl Index {
    /// Refuses a document with something else than a place in a field of a geo index.
    pub(super) fn check_places(&self, document: RawDocument<'_>) -> Result<()> {
        for field in self.specification.key.fields() {
            let code = match field.kind {
                IndexFieldKind::Sphere2d => 16_755,
                IndexFieldKind::Plane2d => 16_804,
                _ => continue,
            };
            let path = FieldPath::parse(&field.path);
            let mut refused = None;
            walk(document, path.components(), LeafArray::Whole, &mut |value, _| {
                let is_place = match value {
                    None | Some(ValueRef::Null | ValueRef::Undefined) => true,
                    Some(ValueRef::Array(array)) if array.is_empty() => true,
                    Some(value) => stored_geometry(value).is_some() || is_list_of_places(value),
                };
                if !is_place {
                    refused = value.map(|value| format!("{value:?}"));
                }
                Ok(!is_place)
            })?;
            if let Some(found) = refused {
                return Err(Error::location(
                    code,
                    format!(
                        "the field \"{}\" is in a geo index and must be a place, not {found}",
                        field.path
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Several places in one field: an array of pairs.
fn is_list_of_places(value: ValueRef<'_>) -> bool {
    value.as_array().is_some_and(|array| {
        array.iter().all(|item| matches!(item, ValueRef::Array(_)) && stored_geometry(item).is_some())
    })
}
