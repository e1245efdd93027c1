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
    /// New documents may not have a key that is there already, so that the index can become unique.
    pub prepare_unique: bool,
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
            prepare_unique: false,
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
        let mut specification = Self::read(document)?;
        if let Some(version) = document.get("v") {
            specification.check_version(version)?;
        }
        specification.check()?;
        specification.fill_in()?;
        Ok(specification)
    }

    /// Reads a specification that was checked when its index was created. What is refused today may have been fine then.
    pub(super) fn read_stored(document: RawDocument<'_>) -> Result<Self> {
        let mut specification = Self::read(document)?;
        specification.fill_in()?;
        Ok(specification)
    }

    fn read(document: RawDocument<'_>) -> Result<Self> {
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
                "prepareUnique" => specification.prepare_unique = flag("prepareUnique", value)?,
                "sparse" => specification.sparse = flag("sparse", value)?,
                "hidden" => specification.hidden = flag("hidden", value)?,
                "partialFilterExpression" => {
                    specification.partial_filter = Some(nested("partialFilterExpression", value)?);
                }
                "expireAfterSeconds" => specification.expire_after_seconds = Some(expiry(value)?),
                "collation" => {
                    let collation = nested("collation", value)?;
                    if collation.as_raw().is_empty() {
                        return Err(Error::new(
                            error_code::BAD_VALUE,
                            "index option \"collation\" must not be empty",
                        ));
                    }
                    specification.collation = Some(collation);
                }
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
        if self.has_kind(IndexFieldKind::Plane2d) {
            super::plane_key::plane_range(self.kind_options.as_raw())?;
        }
        Ok(())
    }

    /// The version of an index says nothing here, but there are only two, and wildcard indexes came with the second.
    fn check_version(&self, version: ValueRef<'_>) -> Result<()> {
        let number = match version {
            ValueRef::Int32(number) => i64::from(number),
            ValueRef::Int64(number) => number,
            _ => return Ok(()),
        };
        if self.is_wildcard() && number != 2 {
            return Err(refused(format!("a wildcard index has the version 2, not {number}")));
        }
        Ok(())
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
        if self.key.is_descending_id() {
            return Err(Error::new(error_code::BAD_VALUE, "the index on _id alone is ascending"));
        }
        if self.key.is_id() {
            self.check_id()?;
        } else if self.name == ID_INDEX_NAME {
            return Err(Error::new(
                error_code::BAD_VALUE,
                format!("the name {ID_INDEX_NAME} belongs to the index on _id"),
            ));
        }
        if let Some(filter) = &self.partial_filter {
            super::partial_key::check(filter.as_raw())?;
        }
        self.check_geo()?;
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
        super::wildcard_key::check(self)?;
        if self.wildcard_projection.is_some() && !self.is_wildcard() {
            return Err(Error::new(error_code::BAD_VALUE, "wildcardProjection belongs to a wildcard index"));
        }
        if !self.kind_options.as_raw().is_empty() && !self.has_special_kind() {
            return Err(refused("the options of text and geo indexes belong to such an index only"));
        }
        Ok(())
    }

    fn check_geo(&self) -> Result<()> {
        let fields = self.key.fields();
        let planes = fields.iter().filter(|field| field.kind == IndexFieldKind::Plane2d).count();
        let has_sphere = self.has_kind(IndexFieldKind::Sphere2d);
        if planes > 1 || planes == 1 && has_sphere {
            return Err(refused("an index may have one 2d field, and no 2dsphere field beside it"));
        }
        if planes == 1 && fields.first().is_none_or(|field| field.kind != IndexFieldKind::Plane2d) {
            return Err(refused("the 2d field must be the first of its index"));
        }
        Ok(())
    }

    /// Whether it has a text or geo field.
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

    /// The options of text and geo indexes, numbers in one type each.
    pub(super) fn listed_kind_options(&self) -> Result<RawDocumentBuf> {
        if self.has_kind(IndexFieldKind::Plane2d) {
            return super::plane_key::normalize(self.kind_options.as_raw());
        }
        Ok(self.kind_options.clone())
    }

    /// The specification as `listIndexes` shows it.
    pub(crate) fn to_listed_document(&self) -> Result<RawDocumentBuf> {
        let listed = Self { kind_options: self.listed_kind_options()?, ..self.clone() };
        Ok(listed.to_document())
    }

    /// The specification as the catalog stores it, options of text and geo indexes as they were given.
    pub fn to_document(&self) -> RawDocumentBuf {
        let mut out = DocumentBuilder::new();
        out.append("v", 2);
        out.append_ref("key", ValueRef::Document(self.key.document()));
        out.append("name", self.name.as_str());
        for (option, is_set) in [
            ("unique", self.unique && !self.key.is_id()),
            ("sparse", self.sparse),
            ("hidden", self.hidden),
            ("prepareUnique", self.prepare_unique),
        ] {
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
        #[expect(clippy::cast_possible_truncation, reason = "as for doubles")]
        ValueRef::Decimal128(number) if !number.is_nan() => {
            number.to_string().parse::<f64>().ok().map(|number| number as i64)
        }
        _ => None,
    };
    seconds.filter(|seconds| (0..=i64::from(i32::MAX)).contains(seconds)).ok_or_else(|| {
        refused(format!("expireAfterSeconds must be a number from 0 to {}, found {value:?}", i32::MAX))
    })
}
