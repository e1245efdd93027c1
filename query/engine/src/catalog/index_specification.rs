//! What an index is created with.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use super::index_key::{IndexFieldKind, IndexKeyPattern};
use crate::{Error, Result, error_code};

/// Name of the index every collection has on `_id`.
pub const ID_INDEX_NAME: &str = "_id_";

/// Most indexes of a collection, the one on `_id` included, as in MongoDB.
pub const INDEXES_MAX: usize = 64;

/// The key pattern and the options of an index, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexSpecification {
    /// Its name.
    pub name: String,
    /// Its key pattern.
    pub key: IndexKeyPattern,
    /// No two documents may have the same key.
    pub unique: bool,
    /// Documents without any of the key's fields have no entry.
    pub sparse: bool,
    /// The planner does not see it.
    pub hidden: bool,
    /// Only documents that match this filter have entries.
    pub partial_filter: Option<RawDocumentBuf>,
    /// Documents are deleted when the date in the key's field is older than this many seconds, as it was given.
    pub expire_after_seconds: Option<i64>,
    /// How strings compare in it, with every field filled in; `None`: by their bytes.
    pub collation: Option<RawDocumentBuf>,
    /// For a wildcard index on the whole document: which paths.
    pub wildcard_projection: Option<RawDocumentBuf>,
    /// Options of text and geo indexes, as they were given.
    pub kind_options: RawDocumentBuf,
}

/// Options that are accepted and mean nothing here; old clients and restore tools send them.
const IGNORED_OPTIONS: [&str; 6] = ["v", "ns", "background", "safe", "dropDups", "storageEngine"];

/// Options that belong to one kind of field.
const KIND_OPTIONS: [&str; 9] = [
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
    "bucketSize",
];

impl IndexSpecification {
    /// A plain index with this key pattern and its default name.
    pub fn new(key: RawDocument<'_>) -> Result<Self> {
        Ok(Self::plain(IndexKeyPattern::parse(key)?))
    }

    fn plain(key: IndexKeyPattern) -> Self {
        Self {
            name: key.default_name(),
            key,
            unique: false,
            sparse: false,
            hidden: false,
            partial_filter: None,
            expire_after_seconds: None,
            collation: None,
            wildcard_projection: None,
            kind_options: RawDocumentBuf::new(),
        }
    }

    /// The index every collection has.
    pub(crate) fn id() -> Result<Self> {
        let mut key = DocumentBuilder::new();
        key.append("_id", 1);
        let mut specification = Self::new(key.build().as_raw())?;
        ID_INDEX_NAME.clone_into(&mut specification.name);
        Ok(specification)
    }

    /// Parses and checks a specification as `createIndexes` takes it. Unknown options are refused.
    pub fn parse(document: RawDocument<'_>) -> Result<Self> {
        let key = match document.get("key") {
            Some(ValueRef::Document(key)) => IndexKeyPattern::parse(key)?,
            Some(other) => return Err(wrong_type("key", other, "a document")),
            None => return Err(Error::new(error_code::FAILED_TO_PARSE, "an index needs the field \"key\"")),
        };
        let mut specification = Self::plain(key);
        let mut named = false;
        let mut kind_options = DocumentBuilder::new();
        for element in document {
            let value = element.value();
            match element.key() {
                "key" => {}
                "name" => {
                    let name = value.as_str().ok_or_else(|| wrong_type("name", value, "a string"))?;
                    name.clone_into(&mut specification.name);
                    named = true;
                }
                "unique" => specification.unique = flag("unique", value)?,
                "sparse" => specification.sparse = flag("sparse", value)?,
                "hidden" => specification.hidden = flag("hidden", value)?,
                "partialFilterExpression" => {
                    specification.partial_filter = Some(nested("partialFilterExpression", value)?);
                }
                "expireAfterSeconds" => specification.expire_after_seconds = Some(expiry(value)?),
                "collation" => specification.collation = Some(nested("collation", value)?),
                "wildcardProjection" => {
                    specification.wildcard_projection = Some(nested("wildcardProjection", value)?);
                }
                option if KIND_OPTIONS.contains(&option) => {
                    kind_options.append_element(element);
                }
                option if IGNORED_OPTIONS.contains(&option) => {}
                option => {
                    return Err(Error::new(
                        error_code::INVALID_INDEX_SPECIFICATION_OPTION,
                        format!(
                            "index option \"{option}\" is unknown (index key {:?})",
                            specification.key.document()
                        ),
                    ));
                }
            }
        }
        if !named {
            return Err(Error::new(error_code::FAILED_TO_PARSE, "an index needs the field \"name\""));
        }
        specification.kind_options = kind_options.build();
        specification.check()?;
        specification.fill_in()?;
        Ok(specification)
    }

    /// Whether a field of the key is of this kind.
    pub fn has_kind(&self, kind: IndexFieldKind) -> bool {
        self.key.fields().iter().any(|field| field.kind == kind)
    }

    /// Whether this is a wildcard index.
    pub fn is_wildcard(&self) -> bool {
        self.key.fields().iter().any(|field| matches!(field.kind, IndexFieldKind::Wildcard { .. }))
    }

    /// Fills in what the options of text and geo indexes leave out.
    fn fill_in(&mut self) -> Result<()> {
        if self.has_kind(IndexFieldKind::Text) {
            let (key, options) = super::text_key::normalize(&self.key, self.kind_options.as_raw())?;
            self.key = key;
            self.kind_options = options;
        }
        if self.has_kind(IndexFieldKind::Sphere2d) {
            let version = self.kind_options.as_raw().get("2dsphereIndexVersion");
            let mut options = DocumentBuilder::new();
            for element in self.kind_options.as_raw().iter().filter(|e| e.key() != "2dsphereIndexVersion") {
                options.append_element(element);
            }
            match version {
                None => options.append("2dsphereIndexVersion", 3),
                Some(ValueRef::Int32(version @ 1..=3)) => options.append("2dsphereIndexVersion", version),
                Some(_) => return Err(refused("2dsphereIndexVersion must be 1, 2 or 3")),
            };
            self.kind_options = options.build();
        }
        Ok(())
    }

    /// Whether the index has entries. Text, geo and wildcard indexes are described and checked, and searches that need
    /// them find them, but they keep no entries: such searches look at the documents.
    pub(crate) fn has_entries(&self) -> bool {
        !self.has_special_kind() && !self.is_wildcard()
    }

    fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(refused("the name of an index must not be empty"));
        }
        if self.name == "*" || self.name.contains('\0') {
            return Err(Error::new(
                error_code::BAD_VALUE,
                format!("an index cannot be named {:?}", self.name),
            ));
        }
        if self.key.is_id() {
            self.check_id()?;
        } else if self.name == ID_INDEX_NAME {
            return Err(Error::new(
                error_code::BAD_VALUE,
                format!("the name {ID_INDEX_NAME} belongs to the index on _id"),
            ));
        }
        if self.sparse && self.partial_filter.is_some() {
            return Err(refused("an index cannot be both sparse and partial"));
        }
        if self.expire_after_seconds.is_some() && (self.key.fields().len() > 1 || self.is_wildcard()) {
            return Err(refused("a TTL index has a key of one plain field"));
        }
        if self.unique && self.has_kind(IndexFieldKind::Hashed) {
            return Err(Error::new(sheaf_language::ErrorCode(16764), "a hashed index cannot be unique"));
        }
        if self.unique && self.has_kind(IndexFieldKind::Text) {
            return Err(refused("a text index cannot be unique"));
        }
        if self.is_wildcard() && (self.unique || self.sparse) {
            return Err(refused("a wildcard index cannot be unique or sparse"));
        }
        self.check_wildcard()?;
        if self.wildcard_projection.is_some() && !self.is_wildcard() {
            return Err(Error::new(error_code::BAD_VALUE, "wildcardProjection belongs to a wildcard index"));
        }
        if !self.kind_options.as_raw().is_empty() && !self.has_special_kind() {
            return Err(refused("the options of text and geo indexes belong to such an index only"));
        }
        Ok(())
    }

    fn check_wildcard(&self) -> Result<()> {
        if !self.is_wildcard() {
            return Ok(());
        }
        let whole = self
            .key
            .fields()
            .iter()
            .any(|field| matches!(field.kind, IndexFieldKind::Wildcard { .. }) && field.path.is_empty());
        let Some(projection) = &self.wildcard_projection else {
            if self.key.fields().len() > 1 && whole {
                return Err(refused(
                    "a compound wildcard index on the whole document needs a wildcardProjection",
                ));
            }
            return Ok(());
        };
        if !whole {
            return Err(Error::new(
                error_code::FAILED_TO_PARSE,
                "wildcardProjection belongs to a wildcard index on the whole document",
            ));
        }
        if projection.as_raw().is_empty() {
            return Err(Error::new(error_code::FAILED_TO_PARSE, "wildcardProjection must not be empty"));
        }
        let mut scope = sheaf_language::expression::Scope::new();
        let kind = sheaf_language::projection::ProjectionKind::Aggregate;
        sheaf_language::Projection::parse(projection.as_raw(), kind, &mut scope)?;
        Ok(())
    }

    fn has_special_kind(&self) -> bool {
        self.has_kind(IndexFieldKind::Text)
            || self.has_kind(IndexFieldKind::Sphere2d)
            || self.has_kind(IndexFieldKind::Plane2d)
    }

    fn check_id(&self) -> Result<()> {
        let refused_option = [
            ("sparse", self.sparse),
            ("hidden", self.hidden),
            ("partialFilterExpression", self.partial_filter.is_some()),
            ("expireAfterSeconds", self.expire_after_seconds.is_some()),
        ];
        match refused_option.into_iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => Err(Error::new(
                error_code::INVALID_INDEX_SPECIFICATION_OPTION,
                format!("the index on _id cannot have the option \"{option}\""),
            )),
            None => Ok(()),
        }
    }

    /// The specification as `listIndexes` shows it, and as the catalog stores it.
    pub fn to_document(&self) -> RawDocumentBuf {
        let mut out = DocumentBuilder::new();
        out.append("v", 2);
        out.append_ref("key", ValueRef::Document(self.key.document()));
        out.append("name", self.name.as_str());
        for (option, is_set) in
            [("unique", self.unique && !self.key.is_id()), ("sparse", self.sparse), ("hidden", self.hidden)]
        {
            if is_set {
                out.append(option, true);
            }
        }
        if let Some(seconds) = self.expire_after_seconds {
            match i32::try_from(seconds) {
                Ok(seconds) => out.append("expireAfterSeconds", seconds),
                Err(_) => out.append("expireAfterSeconds", seconds),
            };
        }
        for (option, document) in [
            ("partialFilterExpression", &self.partial_filter),
            ("collation", &self.collation),
            ("wildcardProjection", &self.wildcard_projection),
        ] {
            if let Some(document) = document {
                out.append_ref(option, ValueRef::Document(document.as_raw()));
            }
        }
        for element in self.kind_options.as_raw() {
            out.append_element(element);
        }
        out.build()
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::CANNOT_CREATE_INDEX, message)
}

fn wrong_type(option: &str, value: ValueRef<'_>, expected: &str) -> Error {
    Error::new(
        error_code::TYPE_MISMATCH,
        format!("index option \"{option}\" must be {expected}, not of type {}", value.kind().name()),
    )
}

/// A flag: a boolean, or a number that is not zero.
fn flag(option: &str, value: ValueRef<'_>) -> Result<bool> {
    match value {
        ValueRef::Boolean(truth) => Ok(truth),
        ValueRef::Int32(number) => Ok(number != 0),
        ValueRef::Int64(number) => Ok(number != 0),
        ValueRef::Double(number) => Ok(number != 0.0),
        ValueRef::Decimal128(number) => Ok(!number.is_zero()),
        other => Err(wrong_type(option, other, "a boolean")),
    }
}

fn nested(option: &str, value: ValueRef<'_>) -> Result<RawDocumentBuf> {
    let document = value.as_document().ok_or_else(|| wrong_type(option, value, "a document"))?;
    Ok(document.to_buf())
}

/// Seconds until expiry: a whole number from 0 to 2^31 - 1.
fn expiry(value: ValueRef<'_>) -> Result<i64> {
    let seconds = match value {
        ValueRef::Int32(number) => Some(i64::from(number)),
        ValueRef::Int64(number) => Some(number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a cast of a float saturates; the range is checked below"
        )]
        ValueRef::Double(number) if !number.is_nan() => Some(number as i64),
        _ => None,
    };
    seconds.filter(|seconds| (0..=i64::from(i32::MAX)).contains(seconds)).ok_or_else(|| {
        refused(format!("expireAfterSeconds must be a number from 0 to {}, found {value:?}", i32::MAX))
    })
}
