//! Values: borrowed from a document ([`ValueRef`]) or made by an evaluation ([`Value`]).

use std::borrow::Cow;

use crate::raw::{RawArray, RawDocument, RawDocumentBuf};
use crate::scalar::Binary;
use crate::{ArrayBuilder, BsonType, Decimal128, ObjectId, Regex, Timestamp};

/// A value in the bytes of a document.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants are the types of BSON, described at BsonType")]
pub enum ValueRef<'a> {
    Double(f64),
    String(&'a str),
    Document(RawDocument<'a>),
    Array(RawArray<'a>),
    Binary(Binary<'a>),
    Undefined,
    ObjectId(ObjectId),
    Boolean(bool),
    DateTime(i64),
    Null,
    Regex(Regex<'a>),
    DbPointer { namespace: &'a str, id: ObjectId },
    JavaScript(&'a str),
    Symbol(&'a str),
    JavaScriptWithScope { code: &'a str, scope: RawDocument<'a> },
    Int32(i32),
    Timestamp(Timestamp),
    Int64(i64),
    Decimal128(Decimal128),
    MinKey,
    MaxKey,
}

impl<'a> ValueRef<'a> {
    /// The type.
    pub const fn kind(self) -> BsonType {
        match self {
            Self::Double(_) => BsonType::Double,
            Self::String(_) => BsonType::String,
            Self::Document(_) => BsonType::Document,
            Self::Array(_) => BsonType::Array,
            Self::Binary(_) => BsonType::Binary,
            Self::Undefined => BsonType::Undefined,
            Self::ObjectId(_) => BsonType::ObjectId,
            Self::Boolean(_) => BsonType::Boolean,
            Self::DateTime(_) => BsonType::DateTime,
            Self::Null => BsonType::Null,
            Self::Regex(_) => BsonType::Regex,
            Self::DbPointer { .. } => BsonType::DbPointer,
            Self::JavaScript(_) => BsonType::JavaScript,
            Self::Symbol(_) => BsonType::Symbol,
            Self::JavaScriptWithScope { .. } => BsonType::JavaScriptWithScope,
            Self::Int32(_) => BsonType::Int32,
            Self::Timestamp(_) => BsonType::Timestamp,
            Self::Int64(_) => BsonType::Int64,
            Self::Decimal128(_) => BsonType::Decimal128,
            Self::MinKey => BsonType::MinKey,
            Self::MaxKey => BsonType::MaxKey,
        }
    }

    /// The string, if it is one (a symbol is not).
    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The document, if it is one.
    pub const fn as_document(self) -> Option<RawDocument<'a>> {
        match self {
            Self::Document(document) => Some(document),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub const fn as_array(self) -> Option<RawArray<'a>> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Null or undefined.
    pub const fn is_nullish(self) -> bool {
        matches!(self, Self::Null | Self::Undefined)
    }

    /// Appends the value in BSON, without tag and key.
    pub fn write_to(self, out: &mut Vec<u8>) {
        match self {
            Self::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::String(text) | Self::JavaScript(text) | Self::Symbol(text) => write_string(text, out),
            Self::Document(document) => out.extend_from_slice(document.as_bytes()),
            Self::Array(array) => out.extend_from_slice(array.as_bytes()),
            Self::Binary(binary) => write_binary(binary, out),
            Self::Undefined | Self::Null | Self::MinKey | Self::MaxKey => {}
            Self::ObjectId(id) => out.extend_from_slice(&id.0),
            Self::Boolean(truth) => out.push(u8::from(truth)),
            Self::DateTime(millis) => out.extend_from_slice(&millis.to_le_bytes()),
            Self::Regex(regex) => {
                out.extend_from_slice(regex.pattern.as_bytes());
                out.push(0);
                let options = out.len();
                out.extend_from_slice(regex.options.as_bytes());
                // The format wants the letters in the order of the alphabet, whoever wrote them. What is no ASCII is no
                // option and stays as it is.
                if regex.options.is_ascii() {
                    out.get_mut(options..).unwrap_or_default().sort_unstable();
                }
                out.push(0);
            }
            Self::DbPointer { namespace, id } => {
                write_string(namespace, out);
                out.extend_from_slice(&id.0);
            }
            Self::JavaScriptWithScope { code, scope } => {
                let len = 4 + 4 + code.len() + 1 + scope.len_bytes();
                write_len(len, out);
                write_string(code, out);
                out.extend_from_slice(scope.as_bytes());
            }
            Self::Int32(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::Timestamp(timestamp) => out.extend_from_slice(&timestamp.as_u64().to_le_bytes()),
            Self::Int64(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::Decimal128(decimal) => out.extend_from_slice(&decimal.0),
        }
    }
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_le_bytes());
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    write_len(text.len() + 1, out);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn write_binary(binary: Binary<'_>, out: &mut Vec<u8>) {
    if binary.subtype == 2 {
        write_len(binary.bytes.len() + 4, out);
        out.push(2);
        write_len(binary.bytes.len(), out);
    } else {
        write_len(binary.bytes.len(), out);
        out.push(binary.subtype);
    }
    out.extend_from_slice(binary.bytes);
}

/// The document of a [`Value`]: borrowed or owned bytes.
#[derive(Clone, Debug)]
pub enum DocumentValue<'a> {
    /// Bytes of somebody else's document.
    Borrowed(RawDocument<'a>),
    /// Bytes made by an evaluation.
    Owned(RawDocumentBuf),
}

impl DocumentValue<'_> {
    /// The document, whoever owns it.
    pub fn as_raw(&self) -> RawDocument<'_> {
        match self {
            Self::Borrowed(document) => *document,
            Self::Owned(document) => document.as_raw(),
        }
    }
}

/// The array of a [`Value`]: borrowed bytes, owned bytes, or the values an evaluation collected.
#[derive(Clone, Debug)]
pub enum ArrayValue<'a> {
    /// Bytes of somebody else's array.
    Borrowed(RawArray<'a>),
    /// Bytes made by an evaluation (see [`ArrayBuilder::build`]).
    Owned(RawDocumentBuf),
    /// Values; a [`Value::Missing`] among them counts as null.
    Items(Vec<Value<'a>>),
}

impl<'a> ArrayValue<'a> {
    /// The number of values.
    pub fn count(&self) -> usize {
        match self {
            Self::Borrowed(array) => array.count(),
            Self::Owned(array) => array.as_raw_array().count(),
            Self::Items(items) => items.len(),
        }
    }

    /// The values, taken out: borrowed ones stay borrowed, owned bytes are copied value by value.
    pub fn into_items(self) -> Vec<Value<'a>> {
        match self {
            Self::Borrowed(array) => array.iter().map(Value::from).collect(),
            Self::Owned(array) => {
                array.as_raw_array().iter().map(|item| Value::from(item).into_owned()).collect()
            }
            Self::Items(items) => items,
        }
    }

    /// The values, looked at one by one; borrowing from `self`.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Cow<'_, Value<'a>>> + '_> {
        match self {
            Self::Borrowed(array) => Box::new(array.iter().map(|item| Cow::Owned(Value::from(item)))),
            Self::Owned(array) => {
                Box::new(array.as_raw_array().iter().map(|item| Cow::Owned(Value::from(item).into_owned())))
            }
            Self::Items(items) => Box::new(items.iter().map(Cow::Borrowed)),
        }
    }
}

/// A value that an evaluation produces: borrows from the document where it can, owns where it must.
///
/// `Missing` is what a path to nothing evaluates to; it is no BSON type and never written.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants are the types of BSON, described at BsonType")]
pub enum Value<'a> {
    Missing,
    Double(f64),
    String(Cow<'a, str>),
    Document(DocumentValue<'a>),
    Array(ArrayValue<'a>),
    Binary { subtype: u8, bytes: Cow<'a, [u8]> },
    Undefined,
    ObjectId(ObjectId),
    Boolean(bool),
    DateTime(i64),
    Null,
    Regex { pattern: Cow<'a, str>, options: Cow<'a, str> },
    DbPointer { namespace: Cow<'a, str>, id: ObjectId },
    JavaScript(Cow<'a, str>),
    Symbol(Cow<'a, str>),
    JavaScriptWithScope { code: Cow<'a, str>, scope: DocumentValue<'a> },
    Int32(i32),
    Timestamp(Timestamp),
    Int64(i64),
    Decimal128(Decimal128),
    MinKey,
    MaxKey,
}

impl<'a> Value<'a> {
    /// The type; nothing for `Missing`.
    pub fn kind(&self) -> Option<BsonType> {
        match self {
            Self::Missing => None,
            Self::Array(_) => Some(BsonType::Array),
            other => other.as_ref().map(ValueRef::kind),
        }
    }

    /// The name of the type, "missing" for `Missing`: what `$type` evaluates to.
    pub fn type_name(&self) -> &'static str {
        self.kind().map_or("missing", BsonType::name)
    }

    /// Missing, null or undefined.
    pub const fn is_nullish(&self) -> bool {
        matches!(self, Self::Missing | Self::Null | Self::Undefined)
    }

    /// The value by reference; nothing for `Missing` and for an array of [`ArrayValue::Items`], which has no bytes
    /// yet (see [`Value::to_bytes_form`]).
    pub fn as_ref(&self) -> Option<ValueRef<'_>> {
        Some(match self {
            Self::Missing | Self::Array(ArrayValue::Items(_)) => return None,
            Self::Double(number) => ValueRef::Double(*number),
            Self::String(text) => ValueRef::String(text),
            Self::Document(document) => ValueRef::Document(document.as_raw()),
            Self::Array(ArrayValue::Borrowed(array)) => ValueRef::Array(*array),
            Self::Array(ArrayValue::Owned(array)) => ValueRef::Array(array.as_raw_array()),
            Self::Binary { subtype, bytes } => ValueRef::Binary(Binary { subtype: *subtype, bytes }),
            Self::Undefined => ValueRef::Undefined,
            Self::ObjectId(id) => ValueRef::ObjectId(*id),
            Self::Boolean(truth) => ValueRef::Boolean(*truth),
            Self::DateTime(millis) => ValueRef::DateTime(*millis),
            Self::Null => ValueRef::Null,
            Self::Regex { pattern, options } => ValueRef::Regex(Regex { pattern, options }),
            Self::DbPointer { namespace, id } => ValueRef::DbPointer { namespace, id: *id },
            Self::JavaScript(code) => ValueRef::JavaScript(code),
            Self::Symbol(text) => ValueRef::Symbol(text),
            Self::JavaScriptWithScope { code, scope } => {
                ValueRef::JavaScriptWithScope { code, scope: scope.as_raw() }
            }
            Self::Int32(number) => ValueRef::Int32(*number),
            Self::Timestamp(timestamp) => ValueRef::Timestamp(*timestamp),
            Self::Int64(number) => ValueRef::Int64(*number),
            Self::Decimal128(decimal) => ValueRef::Decimal128(*decimal),
            Self::MinKey => ValueRef::MinKey,
            Self::MaxKey => ValueRef::MaxKey,
        })
    }

    /// The same value with every array in bytes, so that [`Value::as_ref`] answers for all but `Missing`.
    pub fn to_bytes_form(self) -> Value<'a> {
        match self {
            Self::Array(ArrayValue::Items(items)) => {
                let mut array = ArrayBuilder::new();
                for item in &items {
                    array.push_value(item);
                }
                Self::Array(ArrayValue::Owned(array.build()))
            }
            other => other,
        }
    }

    /// The same value owning its bytes.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Missing => Value::Missing,
            Self::Double(number) => Value::Double(number),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Self::Document(document) => Value::Document(own_document(document)),
            Self::Array(array) => Value::Array(match array {
                ArrayValue::Borrowed(array) => {
                    ArrayValue::Owned(RawDocumentBuf::from_parts(array.as_bytes().to_vec()))
                }
                ArrayValue::Owned(array) => ArrayValue::Owned(array),
                ArrayValue::Items(items) => {
                    ArrayValue::Items(items.into_iter().map(Value::into_owned).collect())
                }
            }),
            Self::Binary { subtype, bytes } => {
                Value::Binary { subtype, bytes: Cow::Owned(bytes.into_owned()) }
            }
            Self::Undefined => Value::Undefined,
            Self::ObjectId(id) => Value::ObjectId(id),
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::DateTime(millis) => Value::DateTime(millis),
            Self::Null => Value::Null,
            Self::Regex { pattern, options } => Value::Regex {
                pattern: Cow::Owned(pattern.into_owned()),
                options: Cow::Owned(options.into_owned()),
            },
            Self::DbPointer { namespace, id } => {
                Value::DbPointer { namespace: Cow::Owned(namespace.into_owned()), id }
            }
            Self::JavaScript(code) => Value::JavaScript(Cow::Owned(code.into_owned())),
            Self::Symbol(text) => Value::Symbol(Cow::Owned(text.into_owned())),
            Self::JavaScriptWithScope { code, scope } => {
                Value::JavaScriptWithScope { code: Cow::Owned(code.into_owned()), scope: own_document(scope) }
            }
            Self::Int32(number) => Value::Int32(number),
            Self::Timestamp(timestamp) => Value::Timestamp(timestamp),
            Self::Int64(number) => Value::Int64(number),
            Self::Decimal128(decimal) => Value::Decimal128(decimal),
            Self::MinKey => Value::MinKey,
            Self::MaxKey => Value::MaxKey,
        }
    }

    /// The string, if it is one (a symbol is not).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The document, if it is one.
    pub fn as_document(&self) -> Option<RawDocument<'_>> {
        match self {
            Self::Document(document) => Some(document.as_raw()),
            _ => None,
        }
    }

    /// An array of these values.
    pub fn array(items: Vec<Value<'a>>) -> Self {
        Self::Array(ArrayValue::Items(items))
    }
}

fn own_document(document: DocumentValue<'_>) -> DocumentValue<'static> {
    DocumentValue::Owned(match document {
        DocumentValue::Borrowed(document) => document.to_buf(),
        DocumentValue::Owned(document) => document,
    })
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Double(number) => Self::Double(number),
            ValueRef::String(text) => Self::String(Cow::Borrowed(text)),
            ValueRef::Document(document) => Self::Document(DocumentValue::Borrowed(document)),
            ValueRef::Array(array) => Self::Array(ArrayValue::Borrowed(array)),
            ValueRef::Binary(binary) => {
                Self::Binary { subtype: binary.subtype, bytes: Cow::Borrowed(binary.bytes) }
            }
            ValueRef::Undefined => Self::Undefined,
            ValueRef::ObjectId(id) => Self::ObjectId(id),
            ValueRef::Boolean(truth) => Self::Boolean(truth),
            ValueRef::DateTime(millis) => Self::DateTime(millis),
            ValueRef::Null => Self::Null,
            ValueRef::Regex(regex) => {
                Self::Regex { pattern: Cow::Borrowed(regex.pattern), options: Cow::Borrowed(regex.options) }
            }
            ValueRef::DbPointer { namespace, id } => {
                Self::DbPointer { namespace: Cow::Borrowed(namespace), id }
            }
            ValueRef::JavaScript(code) => Self::JavaScript(Cow::Borrowed(code)),
            ValueRef::Symbol(text) => Self::Symbol(Cow::Borrowed(text)),
            ValueRef::JavaScriptWithScope { code, scope } => {
                Self::JavaScriptWithScope { code: Cow::Borrowed(code), scope: DocumentValue::Borrowed(scope) }
            }
            ValueRef::Int32(number) => Self::Int32(number),
            ValueRef::Timestamp(timestamp) => Self::Timestamp(timestamp),
            ValueRef::Int64(number) => Self::Int64(number),
            ValueRef::Decimal128(decimal) => Self::Decimal128(decimal),
            ValueRef::MinKey => Self::MinKey,
            ValueRef::MaxKey => Self::MaxKey,
        }
    }
}

impl<'a> From<Option<ValueRef<'a>>> for Value<'a> {
    fn from(value: Option<ValueRef<'a>>) -> Self {
        value.map_or(Self::Missing, Self::from)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int64(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl From<ObjectId> for Value<'_> {
    fn from(id: ObjectId) -> Self {
        Self::ObjectId(id)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(timestamp: Timestamp) -> Self {
        Self::Timestamp(timestamp)
    }
}

impl From<Decimal128> for Value<'_> {
    fn from(decimal: Decimal128) -> Self {
        Self::Decimal128(decimal)
    }
}

impl<'a> From<RawDocument<'a>> for Value<'a> {
    fn from(document: RawDocument<'a>) -> Self {
        Self::Document(DocumentValue::Borrowed(document))
    }
}

impl From<RawDocumentBuf> for Value<'_> {
    fn from(document: RawDocumentBuf) -> Self {
        Self::Document(DocumentValue::Owned(document))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Self::array(items)
    }
}
