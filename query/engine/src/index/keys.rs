//! From a document to its keys in an index.
//!
//! Each field of the key is a walker: it stands at a value and has names left to go. All walkers go on until they are
//! at their end or at an array. Then:
//!
//! 1. No walker is at an array: the values are one key.
//! 2. A walker at an array whose next name is a position in it goes to that element, and on.
//! 3. All others must be at the *same* array (else the key would be a cross product: `CannotIndexParallelArrays`).
//!    For each element there is one round: a walker at its end gets the element as its value, one with names left goes
//!    on in the element (a missing value if that is not a document). An empty array gives one round, with undefined
//!    for walkers at their end and a missing value for the others.
//!
//! Example: `{a.b: 1, a.c: 1, d: 1}` over `{a: [{b: 1, c: 2}, {b: 3}], d: 4}` has the keys (1, 2, 4) and
//! (3, missing, 4). An array within an array is not entered again, unless a position leads to it.

use sheaf_document::{RawArray, RawDocument, ValueRef};
use sheaf_language::filter::path::Component;

use super::multikey::bit;
use super::{KeyKind, KeyPath};
use crate::{Error, Result, error_code};

/// Most keys that one document may have in one index. Protects from documents that would write millions of entries.
pub(crate) const KEYS_MAX: usize = 1_000_000;

/// A field of a key being made.
#[derive(Clone, Copy)]
struct Walker<'p, 'd> {
    /// Where it stands; `None`: there is nothing.
    value: Option<ValueRef<'d>>,
    /// The names left to go.
    rest: &'p [Component],
    /// How many names it went.
    gone: usize,
    /// Whether it is at its end for good, even if the value is an array.
    is_done: bool,
}

/// Calls `emit` with the values of each key (missing ones are `None`), duplicates included. Returns for each field the
/// bits of the arrays on its path.
pub(crate) fn for_each_key<'d>(
    document: RawDocument<'d>,
    paths: &[KeyPath],
    emit: &mut dyn FnMut(&[Option<ValueRef<'d>>]) -> Result<()>,
) -> Result<Vec<u64>> {
    let root = Some(ValueRef::Document(document));
    let mut walkers = Vec::with_capacity(paths.len());
    for key in paths {
        walkers.push(Walker { value: root, rest: key.path.components(), gone: 0, is_done: false });
        if key.kind == KeyKind::Hashed {
            check_no_array(document, key)?;
        }
    }
    let mut multikey = vec![0u64; paths.len()];
    let mut budget = KEYS_MAX;
    expand(walkers, &mut multikey, &mut budget, emit)?;
    Ok(multikey)
}

/// Refuses arrays anywhere on the path of a hashed field: a hash stands for one value.
fn check_no_array(document: RawDocument<'_>, key: &KeyPath) -> Result<()> {
    let root = Some(ValueRef::Document(document));
    let mut walker = Walker { value: root, rest: key.path.components(), gone: 0, is_done: false };
    let mut arrays = 0;
    if walk(&mut walker, &mut arrays).is_none() && arrays == 0 {
        return Ok(());
    }
    Err(Error::location(16766, "a hashed index does not take arrays"))
}

/// The error of a document with more than [`KEYS_MAX`] keys.
pub(super) fn too_many() -> Error {
    Error::new(
        error_code::CANNOT_BUILD_INDEX_KEYS,
        format!("a document has more than {KEYS_MAX} keys in an index"),
    )
}

fn expand<'d>(
    mut walkers: Vec<Walker<'_, 'd>>,
    multikey: &mut [u64],
    budget: &mut usize,
    emit: &mut dyn FnMut(&[Option<ValueRef<'d>>]) -> Result<()>,
) -> Result<()> {
    let mut common: Option<RawArray<'d>> = None;
    for (walker, bits) in walkers.iter_mut().zip(multikey.iter_mut()) {
        let Some(array) = walk(walker, bits) else { continue };
        match common {
            Some(other) if other.as_bytes().as_ptr() != array.as_bytes().as_ptr() => {
                return Err(Error::new(
                    error_code::CANNOT_INDEX_PARALLEL_ARRAYS,
                    "the document has arrays side by side in two fields of one index",
                ));
            }
            _ => common = Some(array),
        }
    }
    let Some(array) = common else {
        *budget = budget.checked_sub(1).ok_or_else(too_many)?;
        let values: Vec<_> = walkers.iter().map(|walker| walker.value).collect();
        return emit(&values);
    };
    let at_array = |walker: &Walker<'_, 'd>| {
        !walker.is_done
            && matches!(walker.value, Some(ValueRef::Array(at)) if at.as_bytes().as_ptr() == array.as_bytes().as_ptr())
    };
    if array.is_empty() {
        for walker in walkers.iter_mut().filter(|walker| at_array(walker)) {
            walker.value = walker.rest.is_empty().then_some(ValueRef::Undefined);
            walker.is_done = true;
        }
        return expand(walkers, multikey, budget, emit);
    }
    for element in array.iter() {
        let mut round = walkers.clone();
        for walker in round.iter_mut().filter(|walker| at_array(walker)) {
            if walker.rest.is_empty() {
                walker.value = Some(element);
                walker.is_done = true;
            } else {
                walker.value = Some(element).filter(|value| matches!(value, ValueRef::Document(_)));
                walker.is_done = walker.value.is_none();
            }
        }
        expand(round, multikey, budget, emit)?;
    }
    Ok(())
}

/// Goes on to the end or to an array, which is returned.
fn walk<'d>(walker: &mut Walker<'_, 'd>, bits: &mut u64) -> Option<RawArray<'d>> {
    while !walker.is_done {
        match (walker.value, walker.rest.split_first()) {
            (Some(ValueRef::Array(array)), next) => {
                *bits |= bit(walker.gone);
                let element = next.and_then(|(component, rest)| Some((array.get(component.index()?)?, rest)));
                let Some((element, rest)) = element else { return Some(array) };
                walker.value = Some(element);
                walker.rest = rest;
                walker.gone += 1;
            }
            (Some(ValueRef::Document(nested)), Some((component, rest))) => {
                walker.value = nested.get(component.name());
                walker.rest = rest;
                walker.gone += 1;
            }
            (_, None) => walker.is_done = true,
            (_, Some(_)) => {
                walker.value = None;
                walker.is_done = true;
            }
        }
    }
    None
}
