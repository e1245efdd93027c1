//! The key pattern of an index: which fields, in which order, of which kind.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};

use crate::{Error, Result, error_code};

/// Most fields of a compound index, as in MongoDB.
pub const INDEX_FIELDS_MAX: usize = 32;

/// Code of a key with more fields.
const TOO_MANY_FIELDS: i32 = 13_103;

/// Code of the kind "wildcard", which is written as a path and not as a kind.
const WILDCARD_IS_NO_KIND: i32 = 7_246_202;

/// Code of a second wildcard field.
const SEVERAL_WILDCARDS: i32 = 7_246_201;

/// How a field takes part in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexFieldKind {
    /// Ascending order.
    Ascending,
    /// Descending order.
    Descending,
    /// By the hash of the value.
    Hashed,
    /// By the words of the text.
    Text,
    /// By position on a sphere.
    Sphere2d,
    /// By position on a plane.
    Plane2d,
    /// Every field below the path, in ascending or descending order.
    Wildcard {
        /// Whether the order is descending.
        descending: bool,
    },
}

/// A field of a key pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexField {
    /// The dotted path; for a wildcard field, the path in front of `$**` (empty for the whole document).
    pub path: String,
    /// How it takes part.
    pub kind: IndexFieldKind,
}

impl IndexField {
    /// Whether values are stored inverted.
    pub const fn is_descending(&self) -> bool {
        matches!(self.kind, IndexFieldKind::Descending | IndexFieldKind::Wildcard { descending: true })
    }
}

/// A parsed key pattern, with the document it was written as.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexKeyPattern {
    document: RawDocumentBuf,
    fields: Vec<IndexField>,
}

impl IndexKeyPattern {
    /// Parses and checks a key pattern such as `{city: 1, age: -1}`; `CannotCreateIndex` says what is wrong with it.
    pub fn parse(document: RawDocument<'_>) -> Result<Self> {
        let fields = document
            .iter()
            .map(|element| parse_field(element.key(), element.value()))
            .collect::<Result<Vec<_>>>()?;
        if fields.is_empty() {
            return Err(refused("an index key must have at least one field"));
        }
        if fields.len() > INDEX_FIELDS_MAX {
            return Err(Error::location(
                TOO_MANY_FIELDS,
                format!("an index key may have {INDEX_FIELDS_MAX} fields, this one has {}", fields.len()),
            ));
        }
        let hashed = fields.iter().filter(|field| field.kind == IndexFieldKind::Hashed).count();
        if hashed > 1 {
            return Err(Error::new(
                sheaf_language::ErrorCode(31303),
                "an index may have one hashed field at most",
            ));
        }
        if fields.iter().filter(|field| matches!(field.kind, IndexFieldKind::Wildcard { .. })).count() > 1 {
            return Err(Error::location(SEVERAL_WILDCARDS, "an index may have one wildcard field at most"));
        }
        for (position, field) in fields.iter().enumerate() {
            if fields.iter().take(position).any(|other| other.path == field.path && other.kind == field.kind)
            {
                return Err(refused(format!("index key field \"{}\" occurs twice", field.path)));
            }
        }
        Ok(Self { document: document.to_buf(), fields })
    }

    /// The pattern as it was written.
    pub fn document(&self) -> RawDocument<'_> {
        self.document.as_raw()
    }

    /// Its fields, first to last.
    pub fn fields(&self) -> &[IndexField] {
        &self.fields
    }

    /// Whether this is the pattern of the index on `_id`.
    pub fn is_id(&self) -> bool {
        matches!(self.fields.as_slice(), [field] if field.path == "_id" && field.kind == IndexFieldKind::Ascending)
    }

    /// Whether this is `_id` alone, the other way round.
    pub(super) fn is_descending_id(&self) -> bool {
        matches!(self.fields.as_slice(), [field] if field.path == "_id" && field.kind == IndexFieldKind::Descending)
    }

    /// The name MongoDB's clients would give it: `city_1_age_-1`.
    pub fn default_name(&self) -> String {
        let mut name = String::new();
        for element in self.document.as_raw() {
            if !name.is_empty() {
                name.push('_');
            }
            name.push_str(element.key());
            name.push('_');
            match element.value() {
                ValueRef::String(kind) => name.push_str(kind),
                ValueRef::Int32(number) => name.push_str(&number.to_string()),
                ValueRef::Int64(number) => name.push_str(&number.to_string()),
                ValueRef::Double(number) => name.push_str(&number.to_string()),
                _ => {}
            }
        }
        name
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::CANNOT_CREATE_INDEX, message)
}

fn parse_field(path: &str, value: ValueRef<'_>) -> Result<IndexField> {
    if path.is_empty() {
        return Err(refused("the name of an index key field must not be empty"));
    }
    let direction = match value {
        ValueRef::Int32(number) => f64::from(number),
        ValueRef::Double(number) => number,
        #[expect(clippy::cast_precision_loss, reason = "only the sign is looked at")]
        ValueRef::Int64(number) => number as f64,
        ValueRef::Decimal128(number) if number.is_nan() || number.is_zero() => 0.0,
        ValueRef::Decimal128(number) => {
            if number.is_negative() {
                -1.0
            } else {
                1.0
            }
        }
        ValueRef::String(kind) => return parse_named_kind(path, kind),
        other => {
            return Err(Error::new(
                error_code::CANNOT_CREATE_INDEX,
                format!(
                    "index key field \"{path}\" must be a number or the name of an index kind, not of type {}",
                    other.kind().name()
                ),
            ));
        }
    };
    if direction == 0.0 || direction.is_nan() {
        return Err(refused(format!("the direction of index key field \"{path}\" must not be 0 or NaN")));
    }
    let descending = direction < 0.0;
    if let Some(prefix) = wildcard_prefix(path) {
        if !prefix.is_empty() {
            validate_path(prefix)?;
        }
        return Ok(IndexField { path: prefix.to_owned(), kind: IndexFieldKind::Wildcard { descending } });
    }
    validate_path(path)?;
    let kind = if descending { IndexFieldKind::Descending } else { IndexFieldKind::Ascending };
    Ok(IndexField { path: path.to_owned(), kind })
}

/// For `$**` the empty path, for `a.b.$**` the path `a.b`.
fn wildcard_prefix(path: &str) -> Option<&str> {
    if path == "$**" { Some("") } else { path.strip_suffix(".$**") }
}

fn parse_named_kind(path: &str, kind: &str) -> Result<IndexField> {
    let parsed = match kind {
        "hashed" => IndexFieldKind::Hashed,
        "text" => IndexFieldKind::Text,
        "2dsphere" => IndexFieldKind::Sphere2d,
        "2d" => IndexFieldKind::Plane2d,
        "wildcard" if wildcard_prefix(path).is_none() => {
            return Err(Error::location(
                WILDCARD_IS_NO_KIND,
                format!("index key field \"{path}\" is no wildcard: a wildcard field is named \"$**\""),
            ));
        }
        unknown => {
            return Err(refused(format!(
                "index key field \"{path}\" names an unknown index kind \"{unknown}\""
            )));
        }
    };
    if !(path == "$**" && parsed == IndexFieldKind::Text) {
        validate_path(path)?;
    }
    Ok(IndexField { path: path.to_owned(), kind: parsed })
}

fn validate_path(path: &str) -> Result<()> {
    for part in path.split('.') {
        if part.is_empty() {
            return Err(refused(format!("index key path \"{path}\" has an empty part")));
        }
        if part.starts_with('$') && !matches!(part, "$id" | "$ref" | "$db") {
            return Err(refused(format!("index key path \"{path}\" has a part that starts with '$'")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sheaf_document::DocumentBuilder;

    use super::*;

    fn parse(fields: &[(&str, ValueRef<'_>)]) -> Result<IndexKeyPattern> {
        let mut builder = DocumentBuilder::new();
        for (path, value) in fields {
            builder.append_ref(path, *value);
        }
        IndexKeyPattern::parse(builder.build().as_raw())
    }

    #[test]
    fn patterns_are_parsed() {
        let pattern = parse(&[
            ("city", ValueRef::Int32(1)),
            ("a.b", ValueRef::Double(-1.0)),
            ("h", ValueRef::String("hashed")),
        ])
        .expect("valid");
        assert_eq!(pattern.default_name(), "city_1_a.b_-1_h_hashed");
        let kinds: Vec<_> = pattern.fields().iter().map(|field| field.kind).collect();
        assert_eq!(kinds, [IndexFieldKind::Ascending, IndexFieldKind::Descending, IndexFieldKind::Hashed]);
        assert!(parse(&[("_id", ValueRef::Int32(1))]).expect("valid").is_id());
        let wildcard = parse(&[("a.$**", ValueRef::Int32(1))]).expect("valid");
        assert_eq!(wildcard.fields()[0].path, "a");
    }

    #[test]
    fn bad_patterns_are_refused() {
        let cannot = error_code::CANNOT_CREATE_INDEX;
        for (fields, code) in [
            (vec![], cannot),
            (vec![("a", ValueRef::Int32(0))], cannot),
            (vec![("a", ValueRef::Double(f64::NAN))], cannot),
            (vec![("a", ValueRef::String("btree"))], cannot),
            (vec![("a", ValueRef::Boolean(true))], cannot),
            (vec![("a..b", ValueRef::Int32(1))], cannot),
            (vec![("$a", ValueRef::Int32(1))], cannot),
            (vec![("a", ValueRef::Int32(1)), ("a", ValueRef::Int32(1))], cannot),
        ] {
            assert_eq!(parse(&fields).expect_err("refused").code, code, "{fields:?}");
        }
    }
}
