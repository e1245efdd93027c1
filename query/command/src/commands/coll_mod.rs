//! `collMod`: changes options of a collection, a view or an index.

mod index;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::{CollectionOptions, TimeSeries, ValidationAction, ValidationLevel};
use sheaf_engine::operation::{CollectionInfo, CollectionKind};
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::codes::INVALID_OPTIONS;
use crate::lookup;
use crate::number::to_integer;
use crate::request::Request;
use crate::{change_stream, collection_options};

/// Largest size of a capped collection in bytes: a petabyte.
const CAPPED_BYTES_MAX: i64 = 1 << 50;

/// What is to change, read and checked as far as that goes without the collection.
struct Change {
    validator: Option<RawDocumentBuf>,
    level: Option<ValidationLevel>,
    action: Option<ValidationAction>,
    view_on: Option<String>,
    pipeline: Option<Vec<RawDocumentBuf>>,
    expiry: Option<Expiry>,
    capped_size: Option<i64>,
    capped_max: Option<i64>,
    time_series: Option<RawDocumentBuf>,
    images: Option<bool>,
}

/// When documents expire.
#[derive(Clone, Copy)]
enum Expiry {
    Off,
    After(i64),
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(INVALID_OPTIONS, message)
}

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let index = index::read(arguments)?;
    let change = read(arguments)?;
    let dry_run = arguments.flag("dryRun")?.unwrap_or(false);
    change_stream::refuse_in_view(request.commands(), change.pipeline.as_deref().unwrap_or_default())?;
    arguments.ignore(&["recordIdsReplicated"]);
    arguments.finish()?;
    if change.validator.is_some() && namespace.is_system() {
        return Err(refused(format!("{namespace} belongs to the system and takes no validator")));
    }
    let is_oplog = namespace.database() == "local" && namespace.collection().starts_with("oplog.");
    if is_oplog && (change.capped_size.is_some() || change.capped_max.is_some()) {
        return Err(refused(format!("{namespace} has no size that collMod could change")));
    }
    let info = lookup::existing(request, &namespace)?;
    change.check(&info, &namespace)?;
    let mut body = DocumentBuilder::new();
    if let Some(index) = index {
        if info.kind != CollectionKind::Collection && info.kind != CollectionKind::TimeSeries {
            return Err(refused("collMod.index is not for views"));
        }
        index.apply(request, &namespace, &info, dry_run, &mut body)?;
    }
    if !dry_run && change.is_something() {
        request.session.engine().change_collection_options(&namespace, |options| change.apply(options))?;
    }
    Ok(body)
}

fn read(arguments: &Arguments<'_>) -> Result<Change> {
    let level = match arguments.string("validationLevel")? {
        None => None,
        Some(name) => Some(ValidationLevel::from_name(name).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("validationLevel is off, moderate or strict, not {name:?}"))
        })?),
    };
    let action = match arguments.string("validationAction")? {
        None => None,
        Some(name) => Some(ValidationAction::from_name(name).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("validationAction is error, warn or errorAndLog, not {name:?}"))
        })?),
    };
    let view_on = arguments.string("viewOn")?.map(str::to_owned);
    let images = match arguments.document("changeStreamPreAndPostImages")? {
        None => None,
        Some(document) => {
            let images = Arguments::new("collMod.changeStreamPreAndPostImages", document)?;
            let enabled = images.required("enabled", images.flag("enabled")?)?;
            images.finish()?;
            Some(enabled)
        }
    };
    Ok(Change {
        validator: arguments.document("validator")?.map(RawDocument::to_buf),
        level,
        action,
        view_on,
        pipeline: collection_options::stages(arguments)?,
        expiry: expiry(arguments)?,
        capped_size: bounded(arguments, "cappedSize", CAPPED_BYTES_MAX)?,
        capped_max: capped_max(arguments)?,
        time_series: arguments.document("timeseries")?.map(RawDocument::to_buf),
        images,
    })
}

/// A number from 1 to `max`.
fn bounded(arguments: &Arguments<'_>, key: &str, max: i64) -> Result<Option<i64>> {
    match arguments.integer(key)? {
        Some(number) if !(1..=max).contains(&number) => {
            Err(Error::new(BAD_VALUE, format!("collMod.{key} must be from 1 to {max}, but is {number}")))
        }
        number => Ok(number),
    }
}

/// Most documents of a capped collection; 0 and less is no limit.
fn capped_max(arguments: &Arguments<'_>) -> Result<Option<i64>> {
    match arguments.integer("cappedMax")? {
        Some(number) if number > i64::from(i32::MAX) => {
            Err(Error::new(BAD_VALUE, "collMod.cappedMax must be less than 2^31"))
        }
        number => Ok(number),
    }
}

fn expiry(arguments: &Arguments<'_>) -> Result<Option<Expiry>> {
    match arguments.value("expireAfterSeconds") {
        None => Ok(None),
        Some(ValueRef::String("off")) => Ok(Some(Expiry::Off)),
        Some(ValueRef::String(other)) => {
            Err(refused(format!("collMod.expireAfterSeconds is a number or \"off\", not {other:?}")))
        }
        Some(value) => match to_integer(value) {
            None => Err(arguments.wrong_type("expireAfterSeconds", value, "a number or \"off\"")),
            Some(seconds) => {
                collection_options::check_expiry(seconds)?;
                Ok(Some(Expiry::After(seconds)))
            }
        },
    }
}

impl Change {
    fn is_something(&self) -> bool {
        self.validator.is_some()
            || self.level.is_some()
            || self.action.is_some()
            || self.view_on.is_some()
            || self.pipeline.is_some()
            || self.expiry.is_some()
            || self.capped_size.is_some()
            || self.capped_max.is_some()
            || self.time_series.is_some()
            || self.images.is_some()
    }

    /// Whether it fits what the collection is.
    fn check(&self, info: &CollectionInfo, namespace: &Namespace) -> Result<()> {
        let is_view = info.kind == CollectionKind::View;
        let is_series = info.kind == CollectionKind::TimeSeries;
        let validates = self.validator.is_some() || self.level.is_some() || self.action.is_some();
        if validates && (is_view || is_series) {
            return Err(refused(format!("{namespace} is a view and has no validator")));
        }
        if (self.view_on.is_some() || self.pipeline.is_some()) && !is_view {
            return Err(refused(format!("{namespace} is not a view: viewOn and pipeline are not for it")));
        }
        if let Some(source) = &self.view_on {
            if source.is_empty() {
                return Err(Error::new(BAD_VALUE, "collMod.viewOn must not be empty"));
            }
            Namespace::new(namespace.database(), source)?;
        }
        let options = info.options.as_raw();
        let is_capped = matches!(options.get("capped"), Some(ValueRef::Boolean(true)));
        if (self.capped_size.is_some() || self.capped_max.is_some()) && !is_capped {
            return Err(refused(format!("{namespace} is not capped")));
        }
        let is_clustered = options.get("clusteredIndex").is_some();
        if self.expiry.is_some() && !is_clustered && !is_series {
            return Err(refused(format!("{namespace} is neither a time series nor clustered")));
        }
        if self.time_series.is_some() && !is_series {
            return Err(refused(format!("{namespace} is not a time series")));
        }
        if let Some(series) = &self.time_series {
            let current = options.get("timeseries").and_then(ValueRef::as_document);
            let current = TimeSeries::parse(current.unwrap_or(RawDocument::EMPTY))?;
            let _checked = current.changed(series.as_raw())?;
        }
        if self.images.is_some() && (is_view || is_series) {
            return Err(refused(format!("{namespace} has no pre- and post-images")));
        }
        Ok(())
    }

    fn apply(&self, options: &mut CollectionOptions) -> Result<()> {
        if let Some(validator) = &self.validator {
            options.validator = (!validator.as_raw().is_empty()).then(|| validator.clone());
        }
        options.validation_level = self.level.or(options.validation_level);
        options.validation_action = self.action.or(options.validation_action);
        if self.view_on.is_some() {
            options.view_on.clone_from(&self.view_on);
        }
        if self.pipeline.is_some() {
            options.pipeline.clone_from(&self.pipeline);
        }
        match self.expiry {
            Some(Expiry::Off) => options.expire_after_seconds = None,
            Some(Expiry::After(seconds)) => options.expire_after_seconds = Some(seconds),
            None => {}
        }
        if self.capped_size.is_some() {
            options.size_bytes = self.capped_size;
        }
        if let Some(max) = self.capped_max {
            options.documents_max = (max > 0).then_some(max);
        }
        if let Some(series) = &self.time_series {
            let current = options.time_series.as_ref().map(|current| TimeSeries::parse(current.as_raw()));
            if let Some(current) = current.transpose()? {
                options.time_series = Some(current.changed(series.as_raw())?.to_document());
            }
        }
        match self.images {
            Some(true) => {
                let mut images = DocumentBuilder::new();
                images.append("enabled", true);
                options.change_stream_pre_and_post_images = Some(images.build());
            }
            Some(false) => options.change_stream_pre_and_post_images = None,
            None => {}
        }
        Ok(())
    }
}
