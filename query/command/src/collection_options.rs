//! The options of a collection, as `create` takes them.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::{BUCKETS_PREFIX, CollectionOptions, ValidationAction, ValidationLevel};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::codes::INVALID_OPTIONS;
use crate::number::{to_double, to_truth};
use crate::request::collation;

/// Largest size of a capped collection in bytes: a petabyte, as in MongoDB.
const CAPPED_BYTES_MAX: i64 = 1 << 50;

fn refused(message: impl Into<String>) -> Error {
    Error::new(INVALID_OPTIONS, message)
}

/// Reads them.
pub(crate) fn read(arguments: &Arguments<'_>, namespace: &Namespace) -> Result<CollectionOptions> {
    let owned = |document: Option<RawDocument<'_>>| document.map(RawDocument::to_buf);
    let mut options = CollectionOptions {
        capped: arguments.flag("capped")?.unwrap_or(false),
        validator: owned(arguments.document("validator")?),
        validation_level: level(arguments)?,
        validation_action: action(arguments)?,
        collation: owned(collation(arguments)?),
        view_on: arguments.string("viewOn")?.map(str::to_owned),
        time_series: owned(arguments.document("timeseries")?),
        clustered_index: clustered_index(arguments)?,
        change_stream_pre_and_post_images: images(arguments)?,
        ..CollectionOptions::default()
    };
    options.pipeline = stages(arguments)?;
    read_sizes(arguments, &mut options)?;
    if options.view_on.is_some() {
        ignore_for_views(&mut options);
    }
    read_expiry(arguments, &mut options)?;
    let echoed = echoed(arguments)?;
    if options.view_on.is_none() {
        options.echoed = echoed;
    }
    crate::id_index::check(arguments, &options)?;
    crate::encrypted_fields::refuse(arguments, &options)?;
    arguments.ignore(&["autoIndexId", "temp", "flags", "recordIdsReplicated"]);
    check(&options, namespace)?;
    if options.time_series.is_some() && arguments.present("changeStreamPreAndPostImages").is_some() {
        return Err(refused("a time series has no pre- and post-images"));
    }
    Ok(options)
}

/// The stages of a view; nulls among them are left out.
pub(crate) fn stages(arguments: &Arguments<'_>) -> Result<Option<Vec<RawDocumentBuf>>> {
    let Some(stages) = arguments.array("pipeline")? else { return Ok(None) };
    let stages = stages.iter().enumerate().filter(|(_, stage)| !stage.is_nullish());
    let stages = stages.map(|(index, stage)| match stage {
        ValueRef::Document(stage) => Ok(stage.to_buf()),
        other => Err(arguments.wrong_type(&format!("pipeline.{index}"), other, "a document")),
    });
    stages.collect::<Result<_>>().map(Some)
}

/// Options of stored documents, which mean nothing for a view: they are checked, and MongoDB takes no notice then.
fn ignore_for_views(options: &mut CollectionOptions) {
    options.capped = false;
    options.size_bytes = None;
    options.documents_max = None;
    options.validator = None;
    options.validation_level = None;
    options.validation_action = None;
}

fn level(arguments: &Arguments<'_>) -> Result<Option<ValidationLevel>> {
    match arguments.string("validationLevel")? {
        None => Ok(None),
        Some(name) => ValidationLevel::from_name(name).map(Some).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("validationLevel is off, moderate or strict, not {name:?}"))
        }),
    }
}

fn action(arguments: &Arguments<'_>) -> Result<Option<ValidationAction>> {
    match arguments.string("validationAction")? {
        None => Ok(None),
        Some(name) => ValidationAction::from_name(name).map(Some).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("validationAction is error, warn or errorAndLog, not {name:?}"))
        }),
    }
}

fn read_sizes(arguments: &Arguments<'_>, options: &mut CollectionOptions) -> Result<()> {
    let size = arguments.integer("size")?;
    let max = arguments.integer("max")?;
    if !options.capped {
        return match (size, max) {
            (Some(_), _) | (_, Some(_)) => Err(refused("size and max are for capped collections")),
            (None, None) => Ok(()),
        };
    }
    let Some(size) = size else { return Err(refused("a capped collection needs the field \"size\"")) };
    if size < 1 {
        return Err(Error::new(BAD_VALUE, format!("create.size must be at least 1, but is {size}")));
    }
    if size > CAPPED_BYTES_MAX {
        return Err(Error::new(BAD_VALUE, format!("create.size must be at most {CAPPED_BYTES_MAX}")));
    }
    // A size is a multiple of 256 bytes.
    options.size_bytes = Some(size.saturating_add(255) & !255);
    options.documents_max = match max {
        Some(max) if max > i64::from(i32::MAX) => {
            return Err(Error::new(BAD_VALUE, "create.max must be less than 2^31"));
        }
        Some(max) if max > 0 => Some(max),
        _ => None,
    };
    Ok(())
}

fn read_expiry(arguments: &Arguments<'_>, options: &mut CollectionOptions) -> Result<()> {
    let Some(seconds) = arguments.integer("expireAfterSeconds")? else { return Ok(()) };
    if options.time_series.is_none() && options.clustered_index.is_none() {
        return Err(refused("expireAfterSeconds is for time series and clustered collections"));
    }
    if seconds < 0 {
        return Err(refused(format!("expireAfterSeconds must not be negative, but is {seconds}")));
    }
    options.expire_after_seconds = Some(seconds);
    Ok(())
}

/// `{key: {_id: 1}, unique: true, name}`, with every field filled in.
fn clustered_index(arguments: &Arguments<'_>) -> Result<Option<RawDocumentBuf>> {
    let Some(document) = arguments.present("clusteredIndex") else { return Ok(None) };
    // What counts as false asks for no clustered collection.
    if to_truth(document) == Some(false) {
        return Ok(None);
    }
    let ValueRef::Document(document) = document else {
        return Err(arguments.wrong_type("clusteredIndex", document, "a document"));
    };
    let index = Arguments::new("create.clusteredIndex", document)?;
    let key = index.required("key", index.document("key")?)?;
    let unique = index.required("unique", index.flag("unique")?)?;
    let name = index.string("name")?.unwrap_or("_id_");
    if index.integer("v")?.is_some_and(|version| version != 2) {
        return Err(Error::new(crate::arguments::TYPE_MISMATCH, "create.clusteredIndex.v must be 2"));
    }
    index.finish()?;
    let only_id = key.iter().count() == 1 && key.get("_id").and_then(to_double) == Some(1.0);
    if !only_id {
        return Err(Error::new(
            sheaf_engine::error_code::INVALID_INDEX_SPECIFICATION_OPTION,
            "create.clusteredIndex.key must be {_id: 1}",
        ));
    }
    if !unique {
        return Err(Error::new(
            sheaf_engine::ErrorCode(5_979_700),
            "create.clusteredIndex.unique must be true",
        ));
    }
    let mut out = DocumentBuilder::new();
    out.append("v", 2).append("key", key).append("name", name).append("unique", true);
    Ok(Some(out.build()))
}

fn images(arguments: &Arguments<'_>) -> Result<Option<RawDocumentBuf>> {
    let Some(document) = arguments.document("changeStreamPreAndPostImages")? else { return Ok(None) };
    let images = Arguments::new("create.changeStreamPreAndPostImages", document)?;
    let enabled = images.required("enabled", images.boolean("enabled")?)?;
    images.finish()?;
    if !enabled {
        return Ok(None);
    }
    let mut out = DocumentBuilder::new();
    out.append("enabled", true);
    Ok(Some(out.build()))
}

/// The storage engine that clients may address; what they tell it means nothing here.
const STORAGE_ENGINE: &str = "wiredTiger";

fn check_engines(key: &str, document: RawDocument<'_>) -> Result<()> {
    if key != "storageEngine" {
        return Ok(());
    }
    match document.iter().find(|element| element.key() != STORAGE_ENGINE) {
        Some(element) => Err(refused(format!("there is no storage engine {:?}", element.key()))),
        None => Ok(()),
    }
}

fn echoed(arguments: &Arguments<'_>) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    for key in ["storageEngine", "indexOptionDefaults"] {
        let document = arguments.document(key)?.filter(|document| !document.is_empty());
        if let Some(document) = document {
            check_engines(key, document)?;
            out.append(key, document);
        }
    }
    Ok(out.build())
}

fn check(options: &CollectionOptions, namespace: &Namespace) -> Result<()> {
    if options.pipeline.is_some() && options.view_on.is_none() {
        return Err(refused("create.pipeline needs viewOn"));
    }
    if let Some(source) = &options.view_on {
        if source.is_empty() {
            return Err(Error::new(BAD_VALUE, "create.viewOn must not be empty"));
        }
        Namespace::new(namespace.database(), source)?;
        let no_view = options.capped
            || options.validator.is_some()
            || options.validation_level.is_some()
            || options.validation_action.is_some()
            || options.clustered_index.is_some()
            || options.change_stream_pre_and_post_images.is_some()
            || !options.echoed.as_raw().is_empty();
        if no_view {
            return Err(refused("a view takes no options but viewOn, pipeline and collation"));
        }
    }
    if options.clustered_index.is_some() && options.capped {
        return Err(refused("a clustered collection cannot be capped"));
    }
    check_system_name(namespace)?;
    let is_buckets = namespace.collection().starts_with(BUCKETS_PREFIX);
    if is_buckets && options.time_series.is_none() {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            format!("{namespace} would hold buckets of a time series and needs the option \"timeseries\""),
        ));
    }
    if options.time_series.is_some() { check_time_series(options) } else { Ok(()) }
}

/// Collections of the system that may be made by name, as restoring a dump does.
const SYSTEM_COLLECTIONS: [&str; 7] = [
    "system.js",
    "system.preimages",
    "system.profile",
    "system.roles",
    "system.users",
    "system.version",
    "system.views",
];

fn check_system_name(namespace: &Namespace) -> Result<()> {
    let name = namespace.collection();
    let is_known = SYSTEM_COLLECTIONS.contains(&name) || name.starts_with(BUCKETS_PREFIX);
    if !name.starts_with("system.") || is_known {
        return Ok(());
    }
    Err(Error::new(
        error_code::INVALID_NAMESPACE,
        format!("{namespace} would be a collection of the system, and there is none of that name"),
    ))
}

fn check_time_series(options: &CollectionOptions) -> Result<()> {
    let other = [
        ("capped", options.capped),
        ("viewOn", options.view_on.is_some()),
        ("clusteredIndex", options.clustered_index.is_some()),
        ("validator", options.validator.is_some()),
        ("validationLevel", options.validation_level.is_some()),
        ("validationAction", options.validation_action.is_some()),
    ];
    match other.into_iter().find(|(_, is_set)| *is_set) {
        Some((option, _)) => Err(refused(format!("a time series does not take the option \"{option}\""))),
        None => Ok(()),
    }
}

/// Largest time to live in seconds: its milliseconds must fit into 64 bits.
const EXPIRY_SECONDS_MAX: i64 = i64::MAX / 1000;

/// Checks seconds until documents expire.
pub(crate) fn check_expiry(seconds: i64) -> Result<()> {
    if seconds < 0 {
        return Err(refused(format!("expireAfterSeconds must not be negative, but is {seconds}")));
    }
    if seconds > EXPIRY_SECONDS_MAX {
        return Err(refused(format!(
            "expireAfterSeconds must be at most {EXPIRY_SECONDS_MAX}, but is {seconds}"
        )));
    }
    if seconds > i64::from(i32::MAX) && seconds > crate::clock::now_millis() / 1000 {
        return Err(refused("expireAfterSeconds must not reach back before 1970"));
    }
    Ok(())
}
