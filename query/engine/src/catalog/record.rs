//! The catalog's records, as `KEY_LAYOUT.md` describes them.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::collection::Collection;
use super::collection_options::CollectionOptions;
use super::index_specification::IndexSpecification;
use super::time_series::{buckets_of, series_of};
use crate::index::{Index, IndexContent};
use crate::key_layout::{CollectionId, IndexId};
use crate::{Error, Namespace, Result, error_code};

/// The format version of keys and values that this build writes and reads.
pub(super) const FORMAT_VERSION: i32 = 2;

/// A damaged or foreign catalog record.
pub(super) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(error_code::DATA_CORRUPTION_DETECTED, format!("the catalog is damaged: {what}"))
}

/// A record of one number.
pub(super) fn number_record(name: &str, number: i64) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.append(name, number);
    out.build()
}

/// The number in such a record.
pub(super) fn read_number(bytes: &[u8], name: &str) -> Result<i64> {
    let document = RawDocument::from_bytes(bytes).map_err(damaged)?;
    match document.get(name) {
        Some(ValueRef::Int64(number)) => Ok(number),
        Some(ValueRef::Int32(number)) => Ok(i64::from(number)),
        _ => Err(damaged(format_args!("field \"{name}\" is not there"))),
    }
}

/// The record of a collection.
pub(super) fn collection_record(collection: &Collection) -> RawDocumentBuf {
    let mut out = DocumentBuilder::with_capacity(512);
    out.append("id", i64::from(collection.id.0));
    out.append("database", collection.namespace.database());
    out.append("name", collection.namespace.collection());
    out.append("uuid", Value::Binary { subtype: 4, bytes: collection.uuid.to_vec().into() });
    out.append("options", collection.options.to_document());
    out.array("indexes", |array| {
        for index in &collection.indexes {
            array.document(|entry| {
                entry.append("id", i64::from(index.id.0));
                entry.append("specification", index.specification.to_document());
                if index.is_filled {
                    entry.append("filled", true);
                }
            });
        }
    });
    out.build()
}

/// Reads the record of a collection back. `multikey` gives an index's stored multikey paths.
pub(super) fn read_collection(
    bytes: &[u8],
    mut multikey: impl FnMut(IndexId) -> Result<Vec<u64>>,
) -> Result<Collection> {
    let record = RawDocument::validate(bytes).map_err(damaged)?;
    let id = CollectionId(read_id(record)?);
    let name = |field: &str| {
        record
            .get(field)
            .and_then(ValueRef::as_str)
            .ok_or_else(|| damaged(format_args!("\"{field}\" is missing")))
    };
    let namespace = Namespace::new(name("database")?, name("name")?)?;
    let uuid = match record.get("uuid") {
        Some(ValueRef::Binary(binary)) => {
            binary.bytes.try_into().map_err(|_| damaged("a UUID does not have 16 bytes"))?
        }
        _ => return Err(damaged("\"uuid\" is missing")),
    };
    let mut options = match record.get("options") {
        Some(ValueRef::Document(options)) => CollectionOptions::from_document(options)?,
        _ => return Err(damaged("\"options\" are missing")),
    };
    // Of a time series the options do not show that it is a view.
    if options.time_series.is_some() && series_of(&namespace).is_none() {
        options.view_on = Some(buckets_of(&namespace)?.collection().to_owned());
    }
    let Some(ValueRef::Array(entries)) = record.get("indexes") else {
        return Err(damaged("\"indexes\" are missing"));
    };
    let mut indexes = Vec::new();
    for entry in entries.iter() {
        let entry = entry.as_document().ok_or_else(|| damaged("an index is not a document"))?;
        let Some(ValueRef::Document(specification)) = entry.get("specification") else {
            return Err(damaged("an index has no specification"));
        };
        let index_id = IndexId(read_id(entry)?);
        let mut specification = IndexSpecification::read_stored(specification)?;
        if specification.key.is_id() {
            specification.unique = options.capped;
            name_id_index(&mut specification, &options);
        }
        let mut index = Index::new(index_id, specification)?;
        // Plain indexes had their entries before there was this mark.
        index.is_filled = entry.get("filled").is_some() || matches!(index.content, IndexContent::Values);
        index.multikey.load(&multikey(index_id)?);
        indexes.push(Arc::new(index));
    }
    Collection::new(id, namespace, uuid, options, indexes)
}

/// The key of a clustered collection may have a name of its own.
pub(super) fn name_id_index(specification: &mut IndexSpecification, options: &CollectionOptions) {
    let clustered = options.clustered_index.as_ref().map(RawDocumentBuf::as_raw);
    if let Some(name) = clustered.and_then(|index| index.get("name")).and_then(ValueRef::as_str) {
        name.clone_into(&mut specification.name);
    }
}

fn read_id(document: RawDocument<'_>) -> Result<u32> {
    match document.get("id") {
        Some(ValueRef::Int64(id)) => u32::try_from(id).map_err(|_| damaged("an identifier is out of range")),
        _ => Err(damaged("an identifier is missing")),
    }
}

/// The record of an index's multikey paths.
pub(crate) fn multikey_record(paths: &[u64]) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.array("paths", |array| {
        for path in paths {
            array.push(path.cast_signed());
        }
    });
    out.build()
}

/// Reads such a record back.
pub(super) fn read_multikey(bytes: &[u8]) -> Result<Vec<u64>> {
    let document = RawDocument::from_bytes(bytes).map_err(damaged)?;
    let Some(ValueRef::Array(paths)) = document.get("paths") else {
        return Err(damaged("multikey paths are missing"));
    };
    let number = |value| match value {
        ValueRef::Int64(path) => Ok(path.cast_unsigned()),
        _ => Err(damaged("a multikey path is not a number")),
    };
    paths.iter().map(number).collect()
}
