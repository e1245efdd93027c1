//! What a collection or view is created with.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::Collation;

use crate::{Error, Result, error_code};

/// When the validator applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValidationLevel {
    /// Never.
    Off,
    /// To inserts, and to updates of documents that pass it already.
    Moderate,
    /// To all inserts and updates.
    #[default]
    Strict,
}

impl ValidationLevel {
    /// The name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Moderate => "moderate",
            Self::Strict => "strict",
        }
    }

    /// The level of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Moderate, Self::Strict].into_iter().find(|level| level.name() == name)
    }
}

/// What happens to a document that does not pass the validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValidationAction {
    /// It is refused.
    #[default]
    Error,
    /// It is written and a warning logged.
    Warn,
    /// It is refused and logged.
    ErrorAndLog,
}

impl ValidationAction {
    /// The name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::ErrorAndLog => "errorAndLog",
        }
    }

    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::ErrorAndLog].into_iter().find(|action| action.name() == name)
    }
}

/// What a collection or view is created with. [`CollectionOptions::default`] is a plain collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionOptions {
    /// Keep at most [`CollectionOptions::size_bytes`] of documents, in insertion order, dropping the oldest.
    pub capped: bool,
    /// Size of a capped collection in bytes.
    pub size_bytes: Option<i64>,
    /// Most documents of a capped collection.
    pub documents_max: Option<i64>,
    /// A filter that documents must match.
    pub validator: Option<RawDocumentBuf>,
    /// When the validator applies.
    pub validation_level: Option<ValidationLevel>,
    /// What happens to a document that does not pass it.
    pub validation_action: Option<ValidationAction>,
    /// How strings compare by default, with every field filled in.
    pub collation: Option<RawDocumentBuf>,
    /// For a view: the collection or view it reads.
    pub view_on: Option<String>,
    /// For a view: its stages.
    pub pipeline: Option<Vec<RawDocumentBuf>>,
    /// For a time series: how measurements are bucketed.
    pub time_series: Option<RawDocumentBuf>,
    /// Seconds after which measurements or documents of a clustered collection expire.
    pub expire_after_seconds: Option<i64>,
    /// For a clustered collection: its key, as `listIndexes` shows it.
    pub clustered_index: Option<RawDocumentBuf>,
    /// Keep documents as they were before and after a change, for change streams.
    pub change_stream_pre_and_post_images: Option<RawDocumentBuf>,
    /// Options that are kept and echoed but mean nothing here (`storageEngine`, `indexOptionDefaults`).
    pub echoed: RawDocumentBuf,
}

impl CollectionOptions {
    /// Whether this is a view (a time series is not).
    pub fn is_view(&self) -> bool {
        self.view_on.is_some() && self.time_series.is_none()
    }

    /// The same with every field of the collation filled in; the locale `simple` is no collation.
    pub(crate) fn with_full_collation(mut self) -> Result<Self> {
        if let Some(given) = &self.collation {
            let collation = Collation::parse(given.as_raw())?;
            self.collation = (!collation.is_simple()).then(|| collation.to_document());
        }
        Ok(self)
    }

    /// Whether this is a time series: a view over its buckets.
    pub fn is_time_series(&self) -> bool {
        self.view_on.is_some() && self.time_series.is_some()
    }

    /// Whether this is the collection that holds a time series' buckets.
    pub fn is_buckets(&self) -> bool {
        self.view_on.is_none() && self.time_series.is_some()
    }

    /// Whether the documents are kept by `_id` and clients are told so.
    pub fn is_clustered(&self) -> bool {
        self.clustered_index.is_some() || self.is_buckets()
    }

    /// The options as `listCollections` shows them, and as the catalog stores them.
    pub fn to_document(&self) -> RawDocumentBuf {
        let mut out = DocumentBuilder::new();
        if self.capped {
            out.append("capped", true);
        }
        append_number(&mut out, "size", self.size_bytes);
        append_number(&mut out, "max", self.documents_max);
        if let Some(seconds) = self.expire_after_seconds {
            out.append("expireAfterSeconds", seconds);
        }
        if self.is_buckets() {
            out.append("clusteredIndex", true);
        }
        append_document(&mut out, "clusteredIndex", self.clustered_index.as_ref());
        append_document(
            &mut out,
            "changeStreamPreAndPostImages",
            self.change_stream_pre_and_post_images.as_ref(),
        );
        append_document(&mut out, "timeseries", self.time_series.as_ref());
        for element in self.echoed.as_raw() {
            out.append_element(element);
        }
        append_document(&mut out, "validator", self.validator.as_ref());
        if let Some(level) = self.validation_level {
            out.append("validationLevel", level.name());
        }
        if let Some(action) = self.validation_action {
            out.append("validationAction", action.name());
        }
        if let Some(source) = self.view_on.as_ref().filter(|_| !self.is_time_series()) {
            out.append("viewOn", source.as_str());
        }
        if let Some(stages) = &self.pipeline {
            out.array("pipeline", |array: &mut ArrayBuilder| {
                for stage in stages {
                    array.push_ref(ValueRef::Document(stage.as_raw()));
                }
            });
        }
        append_document(&mut out, "collation", self.collation.as_ref());
        out.build()
    }

    /// Reads what [`CollectionOptions::to_document`] wrote. Checks types only: the values were checked on creation.
    pub fn from_document(document: RawDocument<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut echoed = DocumentBuilder::new();
        for element in document {
            let value = element.value();
            match (element.key(), value) {
                ("capped", ValueRef::Boolean(capped)) => options.capped = capped,
                ("size", _) => options.size_bytes = Some(whole_number(value, "size")?),
                ("max", _) => options.documents_max = Some(whole_number(value, "max")?),
                ("expireAfterSeconds", _) => {
                    options.expire_after_seconds = Some(whole_number(value, "expireAfterSeconds")?);
                }
                // Says of buckets what the other options say.
                ("clusteredIndex", ValueRef::Boolean(_)) => {}
                ("clusteredIndex", ValueRef::Document(index)) => {
                    options.clustered_index = Some(index.to_buf())
                }
                ("changeStreamPreAndPostImages", ValueRef::Document(images)) => {
                    options.change_stream_pre_and_post_images = Some(images.to_buf());
                }
                ("timeseries", ValueRef::Document(series)) => options.time_series = Some(series.to_buf()),
                ("validator", ValueRef::Document(validator)) => options.validator = Some(validator.to_buf()),
                ("validationLevel", ValueRef::String(name)) => {
                    options.validation_level = ValidationLevel::from_name(name);
                }
                ("validationAction", ValueRef::String(name)) => {
                    options.validation_action = ValidationAction::from_name(name);
                }
                ("viewOn", ValueRef::String(source)) => options.view_on = Some(source.to_owned()),
                ("pipeline", ValueRef::Array(stages)) => {
                    let stages = stages.iter().filter_map(ValueRef::as_document).map(RawDocument::to_buf);
                    options.pipeline = Some(stages.collect());
                }
                ("collation", ValueRef::Document(collation)) => options.collation = Some(collation.to_buf()),
                ("storageEngine" | "indexOptionDefaults", _) => {
                    echoed.append_element(element);
                }
                (name, _) => {
                    return Err(Error::new(
                        error_code::INVALID_OPTIONS,
                        format!("collection option \"{name}\" is unknown or of the wrong type"),
                    ));
                }
            }
        }
        options.echoed = echoed.build();
        Ok(options)
    }
}

fn append_number(out: &mut DocumentBuilder, key: &str, number: Option<i64>) {
    // MongoDB shows a number that fits as int32.
    let value = number.map(|number| i32::try_from(number).map_or(Value::Int64(number), Value::Int32));
    if let Some(value) = value {
        out.append_value(key, &value);
    }
}

fn append_document(out: &mut DocumentBuilder, key: &str, document: Option<&RawDocumentBuf>) {
    if let Some(document) = document {
        out.append_ref(key, ValueRef::Document(document.as_raw()));
    }
}

fn whole_number(value: ValueRef<'_>, name: &str) -> Result<i64> {
    match value {
        ValueRef::Int32(number) => Ok(i64::from(number)),
        ValueRef::Int64(number) => Ok(number),
        other => Err(Error::new(
            error_code::TYPE_MISMATCH,
            format!(
                "collection option \"{name}\" must be a whole number, not of type {}",
                other.kind().name()
            ),
        )),
    }
}
