//! `collMod.index`: `{name | keyPattern, hidden, expireAfterSeconds, prepareUnique, unique}`.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::CollectionInfo;
use sheaf_engine::{Error, ErrorCode, Namespace, Result, error_code};

use super::refused;
use crate::arguments::{Arguments, BAD_VALUE};
use crate::collection_options::check_expiry;
use crate::number::to_double;
use crate::request::Request;

/// Largest time to live by an index, in seconds; more becomes this.
const EXPIRY_SECONDS_MAX: i64 = i32::MAX as i64;

/// The key of a clustered collection cannot be hidden.
const CLUSTERED_CANNOT_HIDE: ErrorCode = ErrorCode(6_011_800);

/// What is to change of which index.
pub(super) struct IndexChange {
    name: Option<String>,
    key: Option<RawDocumentBuf>,
    hidden: Option<bool>,
    expiry: Option<i64>,
    prepare_unique: Option<bool>,
    unique: bool,
}

/// Reads it.
pub(super) fn read(arguments: &Arguments<'_>) -> Result<Option<IndexChange>> {
    let Some(document) = arguments.document("index")? else { return Ok(None) };
    let index = Arguments::new("collMod.index", document)?;
    let name = index.string("name")?.map(str::to_owned);
    let key = index.document("keyPattern")?.map(RawDocument::to_buf);
    let hidden = index.flag("hidden")?;
    let expiry = index.integer("expireAfterSeconds")?;
    let prepare_unique = index.flag("prepareUnique")?;
    let unique = index.flag("unique")?;
    index.finish()?;
    match (&name, &key) {
        (Some(_), Some(_)) => return Err(refused("collMod.index has both a name and a key pattern")),
        (None, None) => return Err(refused("collMod.index needs a name or a key pattern")),
        _ => {}
    }
    if hidden.is_none() && expiry.is_none() && prepare_unique.is_none() && unique.is_none() {
        return Err(refused("collMod.index needs something to change"));
    }
    if unique == Some(false) {
        return Err(refused("collMod.index.unique can only be true: an index stays unique"));
    }
    let changes_more = hidden.is_some() || expiry.is_some() || prepare_unique.is_some();
    if unique.is_some() && changes_more {
        return Err(refused("collMod.index.unique stands alone: nothing else changes with it"));
    }
    let expiry = expiry.map(|seconds| seconds.min(EXPIRY_SECONDS_MAX));
    if let Some(seconds) = expiry {
        check_expiry(seconds)?;
    }
    Ok(Some(IndexChange { name, key, hidden, expiry, prepare_unique, unique: unique.is_some() }))
}

impl IndexChange {
    /// Changes the index, and says in the reply what was and what is.
    pub(super) fn apply(
        &self,
        request: &Request<'_>,
        namespace: &Namespace,
        info: &CollectionInfo,
        dry_run: bool,
        body: &mut DocumentBuilder,
    ) -> Result<()> {
        let clustered = info.options.as_raw().get("clusteredIndex").and_then(ValueRef::as_document);
        if let Some(clustered) = clustered {
            let key_name = clustered.get("name").and_then(ValueRef::as_str);
            if self.name.is_some() && self.name.as_deref() == key_name && self.hidden.is_some() {
                return Err(Error::new(
                    CLUSTERED_CANNOT_HIDE,
                    "the key of a clustered collection cannot be hidden",
                ));
            }
        }
        let indexes = request.session.engine().list_indexes(namespace)?;
        let found = self.find(&indexes, clustered.is_some())?;
        let name = found.get("name").and_then(ValueRef::as_str).unwrap_or_default();
        let is_id = name == "_id_";
        if is_id && self.hidden.is_some() {
            return Err(Error::new(BAD_VALUE, "the index on _id cannot be hidden"));
        }
        if is_id && self.expiry.is_some() {
            return Err(refused("documents do not expire by the index on _id"));
        }
        let was_hidden = matches!(found.get("hidden"), Some(ValueRef::Boolean(true)));
        let had_expiry = found.get("expireAfterSeconds").and_then(crate::number::to_integer);
        if self.expiry.is_some() && !is_single_field(found) {
            return Err(refused("documents expire by an index of one field only"));
        }
        let is = |option: &str| matches!(found.get(option), Some(ValueRef::Boolean(true)));
        if is_id && (self.unique || self.prepare_unique.is_some()) {
            return Err(refused("the index on _id is unique by itself"));
        }
        if self.unique {
            return make_unique(request, namespace, name, (is("unique"), is("prepareUnique")), dry_run, body);
        }
        let was_prepared = is("prepareUnique");
        let prepare_unique = self.prepare_unique.filter(|prepare| *prepare != was_prepared && !is("unique"));
        if prepare_unique == Some(true) {
            check_can_be_unique(found)?;
        }
        let (hidden, expiry) = (self.hidden.filter(|hidden| *hidden != was_hidden), self.expiry);
        if !dry_run {
            request.session.engine().change_index(namespace, name, |specification| {
                specification.prepare_unique = prepare_unique.unwrap_or(specification.prepare_unique);
                specification.hidden = hidden.unwrap_or(specification.hidden);
                specification.expire_after_seconds = expiry.or(specification.expire_after_seconds);
                Ok(())
            })?;
        }
        if let Some(seconds) = expiry {
            if let Some(before) = had_expiry {
                body.append("expireAfterSeconds_old", before);
            }
            body.append("expireAfterSeconds_new", seconds);
        }
        if let Some(prepare) = prepare_unique {
            body.append("prepareUnique_old", was_prepared).append("prepareUnique_new", prepare);
        }
        if let Some(hidden) = hidden {
            body.append("hidden_old", was_hidden).append("hidden_new", hidden);
        }
        Ok(())
    }

    fn find<'i>(&self, indexes: &'i [RawDocumentBuf], is_clustered: bool) -> Result<RawDocument<'i>> {
        let matching: Vec<RawDocument<'i>> = indexes
            .iter()
            .map(RawDocumentBuf::as_raw)
            .filter(|index| match (&self.name, &self.key) {
                (Some(name), _) => index.get("name").and_then(ValueRef::as_str) == Some(name.as_str()),
                (None, Some(key)) => {
                    !(is_clustered && key.as_raw().get("_id").is_some())
                        && index
                            .get("key")
                            .and_then(ValueRef::as_document)
                            .is_some_and(|known| is_same_key(known, key.as_raw()))
                }
                (None, None) => false,
            })
            .collect();
        match matching.as_slice() {
            [index] => Ok(*index),
            [] => Err(Error::new(
                error_code::INDEX_NOT_FOUND,
                format!("collMod: there is no index {:?} {:?}", self.name, self.key),
            )),
            _ => Err(Error::new(
                ErrorCode(181),
                "collMod: several indexes have this key pattern; name the one that is meant",
            )),
        }
    }
}

/// Whether the key has one field, which is no wildcard. An index of hashes or places may say when documents expire, as
/// `createIndexes` allows it too; it finds none, and passes over the database count it as unusable.
fn is_single_field(index: RawDocument<'_>) -> bool {
    let key = index.get("key").and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    key.iter().count() == 1 && key.iter().all(|field| !field.key().ends_with("$**"))
}

/// Only keys of values can be told apart: not words, places or hashes, and not what a wildcard stands for.
fn check_can_be_unique(index: RawDocument<'_>) -> Result<()> {
    let key = index.get("key").and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    let is_plain = |field: sheaf_document::Element<'_>| {
        to_double(field.value()).is_some() && !field.key().ends_with("$**")
    };
    if key.iter().all(is_plain) {
        return Ok(());
    }
    Err(refused("an index of this kind cannot become unique"))
}

/// Makes an index unique that keeps new duplicates out already.
fn make_unique(
    request: &Request<'_>,
    namespace: &Namespace,
    name: &str,
    (is_unique, is_prepared): (bool, bool),
    dry_run: bool,
    body: &mut DocumentBuilder,
) -> Result<()> {
    if is_unique {
        return Ok(());
    }
    if !is_prepared && !dry_run {
        return Err(refused("an index becomes unique after collMod with prepareUnique: true"));
    }
    request.session.engine().make_index_unique(namespace, name, dry_run)?;
    if !dry_run {
        body.append("unique_new", true);
    }
    Ok(())
}

/// Whether two key patterns are the same; the types of numbers do not matter.
fn is_same_key(left: RawDocument<'_>, right: RawDocument<'_>) -> bool {
    left.iter().count() == right.iter().count()
        && left.iter().zip(right).all(|(left, right)| {
            left.key() == right.key()
                && match (to_double(left.value()), to_double(right.value())) {
                    (Some(left), Some(right)) => left == right,
                    _ => left.value() == right.value(),
                }
        })
}
