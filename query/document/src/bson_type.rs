//! The types of BSON, their tags (bsonspec.org 1.1), their names and their place in the order across types.

/// A BSON type by its tag on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum BsonType {
    /// 64-bit IEEE 754 binary floating point.
    Double = 0x01,
    /// UTF-8 string.
    String = 0x02,
    /// Embedded document.
    Document = 0x03,
    /// Array.
    Array = 0x04,
    /// Binary data with a subtype.
    Binary = 0x05,
    /// Undefined (deprecated).
    Undefined = 0x06,
    /// 12-byte object id.
    ObjectId = 0x07,
    /// Boolean.
    Boolean = 0x08,
    /// Milliseconds since the Unix epoch, UTC.
    DateTime = 0x09,
    /// Null.
    Null = 0x0A,
    /// Regular expression with options.
    Regex = 0x0B,
    /// DBPointer (deprecated).
    DbPointer = 0x0C,
    /// JavaScript code.
    JavaScript = 0x0D,
    /// Symbol (deprecated).
    Symbol = 0x0E,
    /// JavaScript code with scope (deprecated).
    JavaScriptWithScope = 0x0F,
    /// 32-bit integer.
    Int32 = 0x10,
    /// Internal timestamp (seconds, increment).
    Timestamp = 0x11,
    /// 64-bit integer.
    Int64 = 0x12,
    /// 128-bit IEEE 754 decimal floating point.
    Decimal128 = 0x13,
    /// Below every other value.
    MinKey = 0xFF,
    /// Above every other value.
    MaxKey = 0x7F,
}

impl BsonType {
    /// Every type, in the order of their tags.
    pub const ALL: [Self; 21] = [
        Self::Double,
        Self::String,
        Self::Document,
        Self::Array,
        Self::Binary,
        Self::Undefined,
        Self::ObjectId,
        Self::Boolean,
        Self::DateTime,
        Self::Null,
        Self::Regex,
        Self::DbPointer,
        Self::JavaScript,
        Self::Symbol,
        Self::JavaScriptWithScope,
        Self::Int32,
        Self::Timestamp,
        Self::Int64,
        Self::Decimal128,
        Self::MinKey,
        Self::MaxKey,
    ];

    /// The type with this tag on the wire, if there is one.
    pub const fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0x01 => Self::Double,
            0x02 => Self::String,
            0x03 => Self::Document,
            0x04 => Self::Array,
            0x05 => Self::Binary,
            0x06 => Self::Undefined,
            0x07 => Self::ObjectId,
            0x08 => Self::Boolean,
            0x09 => Self::DateTime,
            0x0A => Self::Null,
            0x0B => Self::Regex,
            0x0C => Self::DbPointer,
            0x0D => Self::JavaScript,
            0x0E => Self::Symbol,
            0x0F => Self::JavaScriptWithScope,
            0x10 => Self::Int32,
            0x11 => Self::Timestamp,
            0x12 => Self::Int64,
            0x13 => Self::Decimal128,
            0xFF => Self::MinKey,
            0x7F => Self::MaxKey,
            _ => return None,
        })
    }

    /// The tag on the wire.
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The number `$type` knows this type by: the tag as a signed byte, so -1 for `MinKey`.
    pub const fn number(self) -> i32 {
        match self {
            Self::MinKey => -1,
            other => other as i32,
        }
    }

    /// The name `$type` and `$convert` know this type by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::String => "string",
            Self::Document => "object",
            Self::Array => "array",
            Self::Binary => "binData",
            Self::Undefined => "undefined",
            Self::ObjectId => "objectId",
            Self::Boolean => "bool",
            Self::DateTime => "date",
            Self::Null => "null",
            Self::Regex => "regex",
            Self::DbPointer => "dbPointer",
            Self::JavaScript => "javascript",
            Self::Symbol => "symbol",
            Self::JavaScriptWithScope => "javascriptWithScope",
            Self::Int32 => "int",
            Self::Timestamp => "timestamp",
            Self::Int64 => "long",
            Self::Decimal128 => "decimal",
            Self::MinKey => "minKey",
            Self::MaxKey => "maxKey",
        }
    }

    /// The type with this name (see [`BsonType::name`]).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Place in MongoDB's order across types; types that compare with each other share a place.
    pub const fn order(self) -> u8 {
        match self {
            Self::MinKey => 0,
            Self::Undefined => 1,
            Self::Null => 5,
            Self::Double | Self::Int32 | Self::Int64 | Self::Decimal128 => 10,
            Self::String | Self::Symbol => 15,
            Self::Document => 20,
            Self::Array => 25,
            Self::Binary => 30,
            Self::ObjectId => 35,
            Self::Boolean => 40,
            Self::DateTime => 45,
            Self::Timestamp => 47,
            Self::Regex => 50,
            Self::DbPointer => 55,
            Self::JavaScript => 60,
            Self::JavaScriptWithScope => 65,
            Self::MaxKey => 127,
        }
    }

    /// Whether values of this type are numbers.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Double | Self::Int32 | Self::Int64 | Self::Decimal128)
    }
}
