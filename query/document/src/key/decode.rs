//! Keys back into values.

use std::borrow::Cow;

use super::{ESCAPE, PLACE_BASE, number, tag, type_bits};
use crate::{
    ArrayBuilder, ArrayValue, DEPTH_MAX, Decimal128, DocumentBuilder, DocumentValue, Error, ObjectId,
    RawDocumentBuf, Result, Timestamp, Value,
};

/// Takes one value off the front of `key`, with its type bits off the front of `bits`. The value must have been encoded
/// without a collation.
pub fn decode<'k>(key: &mut &'k [u8], descending: bool, bits: &mut &'k [u8]) -> Result<Value<'static>> {
    let mut reader = Reader { key, len: key.len(), mask: if descending { 0xFF } else { 0 }, bits, depth: 0 };
    let value = reader.value()?;
    (*key, *bits) = (reader.key, reader.bits);
    Ok(value)
}

struct Reader<'k> {
    key: &'k [u8],
    len: usize,
    mask: u8,
    bits: &'k [u8],
    depth: usize,
}

impl<'k> Reader<'k> {
    fn malformed(&self, reason: &'static str) -> Error {
        Error::Malformed { offset: self.len - self.key.len(), reason }
    }

    fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.key.split_first().ok_or(self.malformed("the key is cut off"))?;
        self.key = rest;
        Ok(byte ^ self.mask)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (chunk, rest) = self.key.split_first_chunk::<N>().ok_or(self.malformed("the key is cut off"))?;
        self.key = rest;
        Ok(chunk.map(|byte| byte ^ self.mask))
    }

    fn bytes(&mut self, len: usize) -> Result<Vec<u8>> {
        let (chunk, rest) = self.key.split_at_checked(len).ok_or(self.malformed("the key is cut off"))?;
        self.key = rest;
        Ok(chunk.iter().map(|byte| byte ^ self.mask).collect())
    }

    fn text(&mut self) -> Result<String> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                0 => break,
                ESCAPE => match self.byte()? {
                    escaped @ 1..=2 => text.push(escaped - 1),
                    _ => return Err(self.malformed("unknown escape in the text of a key")),
                },
                byte => text.push(byte),
            }
        }
        String::from_utf8(text).map_err(|_| self.malformed("the text of a key is not UTF-8"))
    }

    fn piece(&mut self) -> Result<u8> {
        let (&piece, rest) = self.bits.split_first().ok_or(self.malformed("type bits are missing"))?;
        self.bits = rest;
        Ok(piece)
    }

    fn piece_bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (chunk, rest) =
            self.bits.split_first_chunk::<N>().ok_or(self.malformed("type bits are missing"))?;
        self.bits = rest;
        Ok(*chunk)
    }

    fn value(&mut self) -> Result<Value<'static>> {
        let tag = self.byte()?;
        self.value_of(tag)
    }

    fn value_of(&mut self, tag: u8) -> Result<Value<'static>> {
        Ok(match tag {
            tag::MIN_KEY => Value::MinKey,
            tag::UNDEFINED => Value::Undefined,
            tag::NULL => Value::Null,
            tag::NAN..tag::STRING => self.number(tag)?,
            tag::STRING => {
                let text = Cow::Owned(self.text()?);
                match self.piece()? {
                    type_bits::STRING => Value::String(text),
                    type_bits::SYMBOL => Value::Symbol(text),
                    _ => return Err(self.malformed("the type bits are not those of a string")),
                }
            }
            tag::DOCUMENT => Value::from(self.nested(Self::document)?),
            tag::ARRAY => Value::Array(ArrayValue::Owned(self.nested(Self::items)?)),
            tag::BINARY => {
                let len = u32::from_be_bytes(self.array()?);
                let subtype = self.byte()?;
                let len = usize::try_from(len).map_err(|_| self.malformed("the key is cut off"))?;
                Value::Binary { subtype, bytes: Cow::Owned(self.bytes(len)?) }
            }
            tag::OBJECT_ID => Value::ObjectId(ObjectId(self.array()?)),
            tag::FALSE => Value::Boolean(false),
            tag::TRUE => Value::Boolean(true),
            tag::DATE_TIME => Value::DateTime((u64::from_be_bytes(self.array()?) ^ (1 << 63)).cast_signed()),
            tag::TIMESTAMP => Value::Timestamp(Timestamp::from_u64(u64::from_be_bytes(self.array()?))),
            tag::REGEX => {
                Value::Regex { pattern: Cow::Owned(self.text()?), options: Cow::Owned(self.text()?) }
            }
            tag::DB_POINTER => {
                self.array::<4>()?;
                Value::DbPointer { namespace: Cow::Owned(self.text()?), id: ObjectId(self.array()?) }
            }
            tag::JAVASCRIPT => Value::JavaScript(Cow::Owned(self.text()?)),
            tag::JAVASCRIPT_WITH_SCOPE => {
                let code = Cow::Owned(self.text()?);
                Value::JavaScriptWithScope { code, scope: DocumentValue::Owned(self.nested(Self::document)?) }
            }
            tag::MAX_KEY => Value::MaxKey,
            _ => return Err(self.malformed("unknown tag in a key")),
        })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<RawDocumentBuf>) -> Result<RawDocumentBuf> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.malformed("the key is nested too deeply"));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn document(&mut self) -> Result<RawDocumentBuf> {
        let mut builder = DocumentBuilder::new();
        loop {
            match self.byte()? {
                tag::END => return Ok(builder.build()),
                place if place < PLACE_BASE => return Err(self.malformed("unknown place of a type in a key")),
                _ => {
                    let name = self.text()?;
                    if name.contains('\0') {
                        return Err(self.malformed("the name of a field contains a zero byte"));
                    }
                    let value = self.value()?;
                    builder.append_value(&name, &value);
                }
            }
        }
    }

    fn items(&mut self) -> Result<RawDocumentBuf> {
        let mut builder = ArrayBuilder::new();
        loop {
            match self.byte()? {
                tag::END => return Ok(builder.build()),
                tag => {
                    let value = self.value_of(tag)?;
                    builder.push_value(&value);
                }
            }
        }
    }

    /// Reads past the number; the type bits say what it is.
    fn number(&mut self, tag: u8) -> Result<Value<'static>> {
        let magnitude = self.magnitude(tag)?;
        let negative = tag < tag::ZERO;
        let fits =
            |signed: Option<i64>, reader: &Self| signed.ok_or(reader.malformed("the number is no integer"));
        Ok(match self.piece()? {
            type_bits::INT => {
                let long = fits(magnitude.as_integer(negative), self)?;
                let int =
                    i32::try_from(long).map_err(|_| self.malformed("the number is no 32-bit integer"))?;
                Value::Int32(int)
            }
            type_bits::LONG => Value::Int64(fits(magnitude.as_integer(negative), self)?),
            type_bits::DOUBLE => Value::Double(magnitude.as_double(negative)),
            type_bits::NEGATIVE_ZERO => Value::Double(-0.0),
            type_bits::DOUBLE_NAN => Value::Double(f64::from_le_bytes(self.piece_bytes()?)),
            type_bits::DECIMAL => Value::Decimal128(Decimal128(self.piece_bytes()?)),
            _ => return Err(self.malformed("the type bits are not those of a number")),
        })
    }

    fn magnitude(&mut self, tag: u8) -> Result<Magnitude> {
        if tag == tag::NAN || tag == tag::ZERO {
            return Ok(Magnitude::Parts { part: 0, fraction: 0 });
        }
        let negative = tag < tag::ZERO;
        let positive_tag = if negative { number::MIRROR - tag } else { tag };
        if negative {
            self.mask = !self.mask;
        }
        let magnitude = self.payload(positive_tag);
        if negative {
            self.mask = !self.mask;
        }
        magnitude
    }

    fn payload(&mut self, positive_tag: u8) -> Result<Magnitude> {
        match positive_tag {
            number::BELOW_ONE | number::HUGE => {
                let double = f64::from_bits(u64::from_be_bytes(self.array()?));
                self.rest()?;
                Ok(Magnitude::Double(double))
            }
            number::BELOW_ONE..number::HUGE => {
                let mut part = 0u64;
                for _ in 0..positive_tag - number::BELOW_ONE {
                    part = part << 8 | u64::from(self.byte()?);
                }
                let mut fraction = 0;
                if self.byte()? == number::MORE {
                    fraction = u64::from_be_bytes(self.array()?);
                    self.rest()?;
                }
                Ok(Magnitude::Parts { part, fraction })
            }
            _ => Err(self.malformed("unknown tag in a key")),
        }
    }

    fn rest(&mut self) -> Result<()> {
        if self.byte()? == number::MORE {
            self.array::<18>()?;
        }
        Ok(())
    }
}

/// The absolute value of a number that is no decimal.
enum Magnitude {
    Double(f64),
    Parts { part: u64, fraction: u64 },
}

impl Magnitude {
    fn as_integer(&self, negative: bool) -> Option<i64> {
        match *self {
            Self::Parts { part, fraction: 0 } => {
                let part = i64::try_from(part).ok()?;
                Some(if negative { -part } else { part })
            }
            // The only integer of 64 bits that is so large.
            Self::Double(double) if negative && double == 9_223_372_036_854_775_808.0 => Some(i64::MIN),
            _ => None,
        }
    }

    fn as_double(&self, negative: bool) -> f64 {
        let magnitude = match *self {
            Self::Double(double) => double,
            #[expect(
                clippy::cast_precision_loss,
                reason = "what came from a double goes back into one exactly"
            )]
            Self::Parts { part, fraction } => part as f64 + fraction as f64 / 18_446_744_073_709_551_616.0,
        };
        if negative { -magnitude } else { magnitude }
    }
}
