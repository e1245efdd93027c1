//! The shape of a query: what is left of it without its constants. Queries of one shape share their settings.
//!
//! In a filter every constant becomes the name of its type, and `{a: 1}` is `{a: {$eq: 1}}`. A projection, a sort and
//! the other stages of a pipeline stay as they are written, so that two queries of one shape always read the same
//! fields in the same way. The hash is SHA-256 over the shape's bytes.

use sha2::{Digest, Sha256};
use sheaf_document::{ArrayBuilder, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, ValueRef};

/// Deepest nesting that is looked into; below it everything counts as the same.
const DEPTH_MAX: usize = 200;

/// Fields of commands that belong to the shape as they are written.
const KEPT: [&str; 8] = ["projection", "sort", "key", "collation", "min", "max", "returnKey", "tailable"];

/// Fields of commands whose presence alone belongs to the shape.
const NUMBERS: [&str; 2] = ["skip", "limit"];

/// The shape of a `find`, `aggregate` or `distinct` on a database; nothing for other commands.
pub(crate) fn shape(database: &str, name: &str, command: RawDocument<'_>) -> Option<RawDocumentBuf> {
    if !matches!(name, "find" | "aggregate" | "distinct") {
        return None;
    }
    let mut out = DocumentBuilder::new();
    out.document("cmdNs", |namespace| {
        namespace.append("db", database);
        match command.get(name).and_then(ValueRef::as_str) {
            Some(collection) => namespace.append("coll", collection),
            None => namespace.append("coll", "$cmd.aggregate"),
        };
    });
    out.append("command", name);
    let filter = command.get(if name == "distinct" { "query" } else { "filter" });
    let filter = filter.and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    if name != "aggregate" {
        out.document("filter", |fields| write_filter(filter, 0, fields));
    }
    if let Some(stages) = command.get("pipeline").and_then(ValueRef::as_array) {
        out.array("pipeline", |list| write_stages(stages, list));
    }
    for field in KEPT {
        if let Some(value) = command.get(field).filter(|value| !is_empty(*value)) {
            out.append_ref(field, value);
        }
    }
    for field in NUMBERS {
        if command.get(field).is_some_and(|value| !value.is_nullish()) {
            out.append(field, "?number");
        }
    }
    if let Some(variables) = command.get("let").and_then(ValueRef::as_document) {
        out.document("let", |names| {
            for variable in variables {
                names.append(variable.key(), kind(variable.value()));
            }
        });
    }
    Some(out.build())
}

/// The hash of a shape: 64 hexadecimal digits.
pub(crate) fn hash(shape: RawDocument<'_>) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(shape.as_bytes()) {
        // Writing to a string does not fail.
        let _written = write!(out, "{byte:02X}");
    }
    out
}

fn is_empty(value: ValueRef<'_>) -> bool {
    value.is_nullish() || value.as_document().is_some_and(RawDocument::is_empty)
}

/// The name that stands for a constant.
fn kind(value: ValueRef<'_>) -> String {
    match value {
        value if value.kind().is_number() => "?number".to_owned(),
        ValueRef::Array(array) => {
            let mut kinds = array.iter().map(kind);
            match kinds.next() {
                None => "[]".to_owned(),
                Some(first) if kinds.all(|other| other == first) => format!("?array<{first}>"),
                Some(_) => "?array<>".to_owned(),
            }
        }
        value => format!("?{}", value.kind().name()),
    }
}

fn write_stages(stages: RawArray<'_>, list: &mut ArrayBuilder) {
    for stage in stages.iter() {
        let Some(element) = stage.as_document().and_then(|stage| stage.first()) else {
            list.push(kind(stage));
            continue;
        };
        list.document(|out| match (element.key(), element.value()) {
            ("$match", ValueRef::Document(filter)) => {
                out.document("$match", |fields| write_filter(filter, 0, fields));
            }
            (name @ ("$limit" | "$skip" | "$sample"), value) => {
                out.append(name, kind(value));
            }
            _ => {
                out.append_element(element);
            }
        });
    }
}

fn write_filter(filter: RawDocument<'_>, depth: usize, out: &mut DocumentBuilder) {
    if depth > DEPTH_MAX {
        return;
    }
    for element in filter {
        match (element.key(), element.value()) {
            (key @ ("$and" | "$or" | "$nor"), ValueRef::Array(clauses)) => {
                out.array(key, |list| {
                    for clause in clauses.iter() {
                        match clause {
                            ValueRef::Document(clause) => {
                                list.document(|fields| write_filter(clause, depth + 1, fields));
                            }
                            other => {
                                list.push(kind(other));
                            }
                        }
                    }
                });
            }
            // Expressions name fields in their constants.
            ("$expr" | "$jsonSchema", _) => {
                out.append_element(element);
            }
            ("$comment", _) => {}
            (key, ValueRef::Document(conditions)) if is_operators(conditions) => {
                out.document(key, |fields| write_conditions(conditions, depth + 1, fields));
            }
            (key, value) if key.starts_with('$') => {
                out.append(key, kind(value));
            }
            (key, value) => {
                out.document(key, |equal| {
                    equal.append("$eq", kind(value));
                });
            }
        }
    }
}

fn is_operators(document: RawDocument<'_>) -> bool {
    document.first().is_some_and(|first| first.key().starts_with('$'))
}

fn write_conditions(conditions: RawDocument<'_>, depth: usize, out: &mut DocumentBuilder) {
    if depth > DEPTH_MAX {
        return;
    }
    for element in conditions {
        match (element.key(), element.value()) {
            (key @ "$elemMatch", ValueRef::Document(inner)) if !is_operators(inner) => {
                out.document(key, |fields| write_filter(inner, depth + 1, fields));
            }
            (key @ ("$elemMatch" | "$not"), ValueRef::Document(inner)) => {
                out.document(key, |fields| write_conditions(inner, depth + 1, fields));
            }
            // What is asked for, not a constant that it is compared with.
            ("$exists" | "$type" | "$options", _) => {
                out.append_element(element);
            }
            (key, value) => {
                out.append(key, kind(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let command = sheaf_document::json::parse_document(text).expect("valid");
        let name = command.as_raw().first().expect("a command").key().to_owned();
        hash(shape("shop", &name, command.as_raw()).expect("a query").as_raw())
    }

    #[test]
    fn constants_do_not_matter_and_fields_do() {
        let one = of(r#"{"find": "users", "filter": {"age": 7}}"#);
        assert_eq!(one, of(r#"{"find": "users", "filter": {"age": {"$eq": 99.5}}}"#));
        assert_ne!(one, of(r#"{"find": "users", "filter": {"age": "7"}}"#));
        assert_ne!(one, of(r#"{"find": "users", "filter": {"size": 7}}"#));
        assert_ne!(one, of(r#"{"find": "orders", "filter": {"age": 7}}"#));
        assert_ne!(one, of(r#"{"find": "users", "filter": {"age": 7}, "sort": {"age": 1}}"#));
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn stages_but_match_stay_as_they_are() {
        let one = of(r#"{"aggregate": "users", "pipeline": [{"$match": {"a": 1}}, {"$project": {"a": 1}}]}"#);
        let same =
            of(r#"{"aggregate": "users", "pipeline": [{"$match": {"a": 2}}, {"$project": {"a": 1}}]}"#);
        let other =
            of(r#"{"aggregate": "users", "pipeline": [{"$match": {"a": 1}}, {"$project": {"a": 0}}]}"#);
        assert_eq!(one, same);
        assert_ne!(one, other);
    }
}
