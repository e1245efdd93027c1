//! `dbStats`, `collStats` and `dataSize`: how much there is of what.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_engine::catalog::BUCKETS_PREFIX;
use sheaf_engine::operation::{CollectionKind, CollectionStatistics};
use sheaf_engine::{Error, ErrorCode, Namespace, Result, error_code};

use crate::arguments::BAD_VALUE;
use crate::lookup;
use crate::number::to_integer;
use crate::request::Request;
use crate::write_batch::count_value;

#[expect(clippy::cast_precision_loss, reason = "figures for people; the clients' types are doubles")]
fn double(number: u64) -> f64 {
    number as f64
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn scale(request: &Request<'_>) -> Result<u64> {
    match request.arguments.integer("scale")? {
        None => Ok(1),
        Some(scale) => u64::try_from(scale).ok().filter(|scale| *scale > 0).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("{}.scale must be at least 1, but is {scale}", request.name))
        }),
    }
}

pub(crate) fn database(request: &Request<'_>) -> Result<DocumentBuilder> {
    let scale = scale(request)?;
    let free_storage = request.arguments.flag("freeStorage")?.unwrap_or(false);
    request.arguments.finish()?;
    let engine = request.session.engine();
    let (mut collections, mut views, mut indexes) = (0i64, 0i64, 0i64);
    let mut total = CollectionStatistics::default();
    let mut index_bytes = 0u64;
    for info in engine.list_collections(request.database)? {
        if info.kind != CollectionKind::Collection {
            views += 1;
            continue;
        }
        let figures = engine.collection_statistics(&Namespace::new(request.database, &info.name)?)?;
        collections += 1;
        total.documents += figures.documents;
        total.document_bytes += figures.document_bytes;
        indexes += i64::try_from(figures.indexes.len()).unwrap_or(0);
        index_bytes += figures.indexes.iter().map(|index| index.bytes).sum::<u64>();
    }
    let mut body = DocumentBuilder::new();
    body.append("db", request.database).append("collections", collections).append("views", views);
    body.append("objects", long(total.documents));
    body.append("avgObjSize", double(total.document_bytes) / double(total.documents.max(1)));
    body.append("dataSize", double(total.document_bytes / scale));
    body.append("storageSize", double(total.document_bytes / scale));
    if free_storage {
        body.append("freeStorageSize", 0.0);
    }
    body.append("indexes", indexes).append("indexSize", double(index_bytes / scale));
    if free_storage {
        body.append("indexFreeStorageSize", 0.0);
    }
    body.append("totalSize", double((total.document_bytes + index_bytes) / scale));
    if free_storage {
        body.append("totalFreeStorageSize", 0.0);
    }
    body.append("scaleFactor", long(scale)).append("fsUsedSize", 0.0).append("fsTotalSize", 0.0);
    Ok(body)
}

pub(crate) fn collection(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    let scale = scale(request)?;
    request.arguments.ignore(&["verbose", "waitForLock", "numericOnly"]);
    request.arguments.finish()?;
    let info = lookup::find(request, &namespace)?;
    if let Some(info) = &info {
        lookup::refuse_view(request, &namespace, info)?;
    }
    let figures = match &info {
        Some(info) if info.kind != CollectionKind::View => {
            request.session.engine().collection_statistics(&namespace)?
        }
        _ => CollectionStatistics::default(),
    };
    let index_bytes: u64 = figures.indexes.iter().map(|index| index.bytes).sum();
    let limits = info.as_ref().and_then(|info| capped_limits(info.options.as_raw()));
    let mut body = DocumentBuilder::new();
    body.append("ns", namespace.to_string());
    let scaled = |bytes: u64| count_value(bytes / scale);
    body.append_value("size", &scaled(figures.document_bytes))
        .append_value("count", &count_value(figures.documents));
    if let Some(average) = figures.document_bytes.checked_div(figures.documents) {
        body.append_value("avgObjSize", &count_value(average));
    }
    body.append_value("storageSize", &scaled(figures.document_bytes)).append("freeStorageSize", 0);
    if info.is_some_and(|info| info.kind == CollectionKind::TimeSeries) {
        body.document("timeseries", |series| {
            let buckets = format!("{}.{BUCKETS_PREFIX}{}", namespace.database(), namespace.collection());
            series.append("bucketsNs", buckets);
            series.append_value("bucketCount", &count_value(figures.documents));
            let average = figures.document_bytes.checked_div(figures.documents).unwrap_or(0);
            series.append_value("avgBucketSize", &count_value(average));
        });
    }
    body.append("capped", limits.is_some());
    if let Some((documents, bytes)) = limits {
        body.append_value("max", &count_value(documents)).append_value("maxSize", &scaled(bytes));
    }
    body.append("nindexes", i32::try_from(figures.indexes.len()).unwrap_or(i32::MAX));
    body.append("indexBuilds", Vec::<Value<'_>>::new());
    body.append_value("totalIndexSize", &scaled(index_bytes));
    body.append_value("totalSize", &scaled(figures.document_bytes + index_bytes));
    body.document("indexSizes", |sizes| {
        for index in &figures.indexes {
            sizes.append_value(&index.name, &scaled(index.bytes));
        }
    });
    body.append_value("scaleFactor", &count_value(scale));
    Ok(body)
}

/// The most documents (0: no limit) and bytes of a capped collection.
fn capped_limits(options: RawDocument<'_>) -> Option<(u64, u64)> {
    let limit = |name| options.get(name).and_then(to_integer).and_then(|limit| u64::try_from(limit).ok());
    let is_capped = matches!(options.get("capped"), Some(ValueRef::Boolean(true)));
    is_capped.then(|| (limit("max").unwrap_or(0), limit("size").unwrap_or(0)))
}

pub(crate) fn data_size(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let ValueRef::String(name) = request.subject() else {
        return Err(arguments.wrong_type("dataSize", request.subject(), "a namespace"));
    };
    let namespace = Namespace::parse(name)?;
    let key = arguments.document("keyPattern")?;
    let (min, max) = (arguments.document("min")?, arguments.document("max")?);
    let estimate = arguments.flag("estimate")?;
    arguments.finish()?;
    let info = lookup::find(request, &namespace)?;
    if info.as_ref().is_some_and(|info| info.kind != CollectionKind::Collection) {
        return Err(Error::new(
            error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("dataSize does not work on {namespace}, which is a view"),
        ));
    }
    let (documents, bytes) = match (info, min, max) {
        (None, ..) => (0, 0),
        (Some(_), Some(min), Some(max)) => measure_range(request, &namespace, key, min, max)?,
        (Some(_), ..) => {
            let figures = request.session.engine().collection_statistics(&namespace)?;
            (figures.documents, figures.document_bytes)
        }
    };
    let mut body = DocumentBuilder::new();
    if let Some(estimate) = estimate {
        body.append("estimate", estimate);
    }
    body.append("size", long(bytes)).append("numObjects", long(documents)).append("millis", 0);
    Ok(body)
}

/// The end of a range does not come behind its beginning.
const BOUNDS_IN_WRONG_ORDER: ErrorCode = ErrorCode(51_175);

/// Documents and bytes in a range of an index.
fn measure_range(
    request: &Request<'_>,
    namespace: &Namespace,
    key: Option<RawDocument<'_>>,
    min: RawDocument<'_>,
    max: RawDocument<'_>,
) -> Result<(u64, u64)> {
    let mut operation = sheaf_engine::operation::FindOperation::new(namespace.clone(), RawDocument::EMPTY);
    operation.hint = key.map(sheaf_engine::operation::Hint::KeyPattern);
    operation.min = Some(min);
    operation.max = Some(max);
    let mut cursor = match request.session.engine().find(&operation) {
        // Nothing lies between ends in the wrong order.
        Err(error) if error.code == BOUNDS_IN_WRONG_ORDER => return Ok((0, 0)),
        found => found?,
    };
    let (mut documents, mut bytes) = (0, 0);
    while !cursor.is_exhausted() {
        for document in cursor.next_batch(1000, sheaf_document::DOCUMENT_BYTES_MAX)?.documents {
            documents += 1;
            bytes += u64::try_from(document.as_bytes().len()).unwrap_or(0);
        }
    }
    Ok((documents, bytes))
}
