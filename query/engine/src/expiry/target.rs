//! What a pass looks at: an index whose documents expire, or a collection whose documents do.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};

use crate::catalog::{Collection, IndexFieldKind};
use crate::index::Index;
use crate::operation::Hint;

/// Documents of a collection that expire by the same field.
pub(super) struct Target {
    pub(super) collection: Arc<Collection>,
    /// The field with the date.
    path: String,
    /// The index on it; none where documents are kept by it.
    index: Option<Arc<Index>>,
    /// Seconds from the date until the document expires.
    seconds: i64,
}

/// Collects the targets of a collection. Returns how many indexes cannot be used.
pub(super) fn collect(collection: &Arc<Collection>, targets: &mut Vec<Target>) -> u64 {
    let target = |path: &str, index: Option<&Arc<Index>>, seconds: i64| Target {
        collection: Arc::clone(collection),
        path: path.to_owned(),
        index: index.cloned(),
        seconds,
    };
    if let (Some(seconds), true) =
        (collection.options.expire_after_seconds, collection.options.clustered_index.is_some())
    {
        targets.push(target("_id", None, seconds));
    }
    if let (Some(seconds), Ok(Some(series))) =
        (collection.options.expire_after_seconds, collection.time_series())
        && collection.options.is_buckets()
    {
        targets.push(target(&format!("control.max.{}", series.time_field), None, seconds));
    }
    let mut unusable = 0;
    for index in collection.secondary_indexes() {
        let Some(seconds) = index.specification.expire_after_seconds else { continue };
        match index.specification.key.fields() {
            // Of an index on the time of measurements: a bucket goes with its last one.
            [_, newest] if collection.options.is_buckets() => {
                targets.push(target(&newest.path, Some(index), seconds));
            }
            [field] if matches!(field.kind, IndexFieldKind::Ascending | IndexFieldKind::Descending) => {
                targets.push(target(&field.path, Some(index), seconds));
            }
            _ => unusable += 1,
        }
    }
    unusable
}

impl Target {
    /// Which documents have expired at this time; none if nothing can have.
    pub(super) fn filter(&self, now_millis: i64) -> Option<RawDocumentBuf> {
        let oldest = now_millis.checked_sub(self.seconds.checked_mul(1_000)?)?;
        let mut expired = DocumentBuilder::new();
        expired.document(&self.path, |condition| {
            condition.append_value("$lte", &Value::DateTime(oldest));
        });
        let expired = expired.build();
        // Named, so that the planner sees that the index has every document asked for.
        let partial = self.index.as_ref().and_then(|index| index.specification.partial_filter.as_ref());
        let Some(partial) = partial else { return Some(expired) };
        let mut both = DocumentBuilder::new();
        both.array("$and", |parts| {
            parts.push_ref(ValueRef::Document(expired.as_raw()));
            parts.push_ref(ValueRef::Document(partial.as_raw()));
        });
        Some(both.build())
    }

    /// The index to use: not one of buckets, which begins with another field.
    pub(super) fn hint(&self) -> Option<Hint<'_>> {
        let index = self.index.as_ref().filter(|_| !self.collection.options.is_buckets());
        index.map(|index| Hint::Name(&index.specification.name))
    }
}
