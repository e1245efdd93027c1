//! What a dotted path of a filter leads to.

use bson::{Bson, Document};

/// A value at the end of a path.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// There is no such field.
    Missing,
    /// A value; its elements, if it is an array, were found for themselves where that is asked for.
    Value(&'a Bson),
}

/// Every value that a path leads to. `into_arrays`: an array at the end of the path also stands for its elements.
pub fn values<'a>(document: &'a Document, path: &[&str], into_arrays: bool) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    from_document(document, path, into_arrays, &mut found);
    found
}

fn from_document<'a>(document: &'a Document, path: &[&str], into_arrays: bool, found: &mut Vec<Found<'a>>) {
    let (name, rest) = path.split_first().expect("a path has a name");
    match document.get(name) {
        None => found.push(Found::Missing),
        Some(value) if rest.is_empty() => leaf(value, into_arrays, found),
        Some(Bson::Document(inner)) => from_document(inner, rest, into_arrays, found),
        Some(Bson::Array(items)) => from_array(items, rest, into_arrays, found),
        Some(_) => found.push(Found::Missing),
    }
}

/// Through an array a path goes on in each document in it, and in the element whose position it names.
fn from_array<'a>(items: &'a [Bson], path: &[&str], into_arrays: bool, found: &mut Vec<Found<'a>>) {
    let (name, rest) = path.split_first().expect("a path has a name");
    for (position, item) in items.iter().enumerate() {
        if let Bson::Document(inner) = item {
            from_document(inner, path, into_arrays, found);
        }
        if *name != position.to_string() {
            continue;
        }
        match item {
            // The element itself was asked for, not what is in it.
            item if rest.is_empty() => found.push(Found::Value(item)),
            Bson::Document(inner) => from_document(inner, rest, into_arrays, found),
            Bson::Array(inner) => from_array(inner, rest, into_arrays, found),
            _ => {}
        }
    }
}

fn leaf<'a>(value: &'a Bson, into_arrays: bool, found: &mut Vec<Found<'a>>) {
    if let (Bson::Array(items), true) = (value, into_arrays) {
        found.extend(items.iter().map(Found::Value));
    }
    found.push(Found::Value(value));
}
