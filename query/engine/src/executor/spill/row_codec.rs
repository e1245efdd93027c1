//! Rows as records: `{k: [sort key], n: [which parts of the key are missing], i: document key, m: metadata, d: document}`.
//! What a row does not have is left out.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::expression::Metadata;

use super::{KeyedRow, Row, RowDocument, damaged};
use crate::Result;

/// The record of a row with its sort key.
pub(in crate::executor) fn encode_row(keyed: &KeyedRow) -> Result<RawDocumentBuf> {
    let document = keyed.row.document()?;
    let mut out = DocumentBuilder::with_capacity(document.len_bytes() + 128);
    if !keyed.key.is_empty() {
        out.array("k", |key| {
            for value in &keyed.key {
                key.push_value(value);
            }
        });
    }
    // An array has no place for what is missing: it stands there as null.
    if keyed.key.iter().any(|part| matches!(part, Value::Missing)) {
        out.array("n", |missing| {
            for part in &keyed.key {
                missing.push(matches!(part, Value::Missing));
            }
        });
    }
    if !keyed.row.document_key.is_empty() {
        out.append("i", Value::Binary { subtype: 0, bytes: keyed.row.document_key.as_slice().into() });
    }
    if let Some(metadata) = &keyed.row.metadata {
        out.document("m", |out| encode_metadata(metadata, out));
    }
    out.append_ref("d", ValueRef::Document(document));
    Ok(out.build())
}

/// The row of a record.
pub(in crate::executor) fn decode_row(record: &[u8]) -> Result<KeyedRow> {
    let record = RawDocument::from_bytes(record).map_err(|_| damaged())?;
    let owned = |value: ValueRef<'_>| Value::from(value).into_owned();
    let key = record.get("k").and_then(ValueRef::as_array);
    let mut key: Vec<_> = key.iter().flat_map(|key| key.iter()).map(owned).collect();
    if let Some(missing) = record.get("n").and_then(ValueRef::as_array) {
        for (part, is_missing) in key.iter_mut().zip(missing.iter()) {
            if is_missing == ValueRef::Boolean(true) {
                *part = Value::Missing;
            }
        }
    }
    let document_key = match record.get("i") {
        Some(ValueRef::Binary(key)) => key.bytes.to_vec(),
        _ => Vec::new(),
    };
    let document = record.get("d").and_then(ValueRef::as_document).ok_or_else(damaged)?;
    let metadata = record.get("m").and_then(ValueRef::as_document);
    let mut row = Row::entry(document_key);
    row.document = Some(RowDocument::Built(document.to_buf()));
    row.metadata = metadata.map(|metadata| Box::new(decode_metadata(metadata)));
    Ok(KeyedRow { key, row })
}

fn encode_metadata(metadata: &Metadata, out: &mut DocumentBuilder) {
    let numbers = [
        ("textScore", metadata.text_score),
        ("searchScore", metadata.search_score),
        ("vectorSearchScore", metadata.vector_search_score),
        ("score", metadata.score),
        ("random", metadata.random),
        ("geoDistance", metadata.geo_distance),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.append(name, number);
        }
    }
    if let Some(place) = &metadata.geo_point {
        out.append_value("geoPoint", place);
    }
    if let Some(id) = metadata.record_id {
        out.append("recordId", id);
    }
    if let Some(key) = &metadata.index_key {
        out.append_ref("indexKey", ValueRef::Document(key.as_raw()));
    }
    if let Some(key) = &metadata.sort_key {
        out.append_value("sortKey", key);
    }
    if let Some(details) = &metadata.score_details {
        out.append_value("scoreDetails", details);
    }
}

fn decode_metadata(written: RawDocument<'_>) -> Metadata {
    let number = |name: &str| match written.get(name) {
        Some(ValueRef::Double(number)) => Some(number),
        _ => None,
    };
    let value = |name: &str| written.get(name).map(|value| Value::from(value).into_owned());
    Metadata {
        text_score: number("textScore"),
        search_score: number("searchScore"),
        vector_search_score: number("vectorSearchScore"),
        score: number("score"),
        score_details: value("scoreDetails"),
        random: number("random"),
        geo_distance: number("geoDistance"),
        geo_point: value("geoPoint"),
        record_id: match written.get("recordId") {
            Some(ValueRef::Int64(id)) => Some(id),
            _ => None,
        },
        index_key: written.get("indexKey").and_then(ValueRef::as_document).map(RawDocument::to_buf),
        sort_key: value("sortKey"),
    }
}
