//! `$convert` and its short forms `$toInt`, `$toString` and so on.
//!
//! What a conversion cannot do is one kind of failure (code 241) that `onError` stands in for; wrong arguments are
//! errors that it does not. Binary data and text convert by a named format, binary data and numbers by a byte order,
//! numbers and text in a base.

mod base;
mod binary;
mod format;
mod number;

use sheaf_document::{BsonType, RawDocument, Value, ValueRef};

use super::date::date_millis;
use super::number::{Number, integral_i32};
use super::operator::Operator;
use super::{Expression, Frame, Node, Scope, is_truthy};
use crate::{Error, ErrorCode, Result};

use base::Base;
use format::{ByteOrder, Format};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$convert", parse_convert),
    Operator::special("$toBool", |value, scope| parse_short("$toBool", BsonType::Boolean, value, scope)),
    Operator::special("$toDate", |value, scope| parse_short("$toDate", BsonType::DateTime, value, scope)),
    Operator::special("$toDecimal", |value, scope| {
        parse_short("$toDecimal", BsonType::Decimal128, value, scope)
    }),
    Operator::special("$toDouble", |value, scope| parse_short("$toDouble", BsonType::Double, value, scope)),
    Operator::special("$toInt", |value, scope| parse_short("$toInt", BsonType::Int32, value, scope)),
    Operator::special("$toLong", |value, scope| parse_short("$toLong", BsonType::Int64, value, scope)),
    Operator::special("$toObjectId", |value, scope| {
        parse_short("$toObjectId", BsonType::ObjectId, value, scope)
    }),
    Operator::special("$toString", |value, scope| parse_short("$toString", BsonType::String, value, scope)),
    Operator::special("$toUUID", |value, scope| parse_short("$toUUID", BsonType::Binary, value, scope)),
];

/// A conversion with its arguments.
#[derive(Clone)]
pub(crate) struct Convert {
    name: &'static str,
    input: Expression,
    to: To,
    on_error: Option<Expression>,
    on_null: Option<Expression>,
    format: Option<Expression>,
    byte_order: Option<Expression>,
    base: Option<Expression>,
}

/// Where the target is from.
#[derive(Clone)]
enum To {
    /// Known from the operator's name.
    Fixed(Target),
    /// `to: type` or `to: {type: .., subtype: ..}`.
    Written { kind: Expression, subtype: Option<Expression> },
}

/// What to convert to.
#[derive(Clone, Copy, Debug)]
struct Target {
    kind: BsonType,
    /// Of binary data.
    subtype: u8,
}

/// A conversion that is not possible.
fn failure(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::CONVERSION_FAILURE, message)
}

fn parse_short(name: &'static str, kind: BsonType, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let operand = match value {
        ValueRef::Array(array) => {
            let mut items = array.iter();
            match (items.next(), items.next()) {
                (Some(single), None) => single,
                _ => {
                    let message = format!("{name} takes one argument, {} were given", array.count());
                    return Err(Error::location(50723, message));
                }
            }
        }
        other => other,
    };
    let subtype = if kind == BsonType::Binary { 4 } else { 0 };
    let format = match kind {
        BsonType::Binary => Some("uuid"),
        BsonType::String => Some("auto"),
        _ => None,
    };
    Ok(Node::Convert(Box::new(Convert {
        name,
        input: Expression::parse(operand, scope)?,
        to: To::Fixed(Target { kind, subtype }),
        on_error: None,
        on_null: None,
        format: format.map(|format| Expression::constant(Value::from(format.to_owned()))),
        byte_order: None,
        base: None,
    })))
}

fn parse_convert(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let refused = |message: String| Error::new(ErrorCode::FAILED_TO_PARSE, message);
    let ValueRef::Document(document) = value else {
        let found = value.kind().name();
        return Err(refused(format!("$convert takes a document of arguments, found {found}")));
    };
    let (mut input, mut to) = (None, None);
    let (mut on_error, mut on_null) = (None, None);
    let (mut format, mut byte_order, mut base) = (None, None, None);
    for element in document {
        let value = element.value();
        match element.key() {
            "input" => input = Some(Expression::parse(value, scope)?),
            "to" => to = Some(parse_to(value, scope)?),
            "onError" => on_error = Some(Expression::parse(value, scope)?),
            "onNull" => on_null = Some(Expression::parse(value, scope)?),
            "format" => format = Some(Expression::parse(value, scope)?),
            "byteOrder" => byte_order = Some(Expression::parse(value, scope)?),
            "base" => base = Some(Expression::parse(value, scope)?),
            other => return Err(refused(format!("$convert has no argument '{other}'"))),
        }
    }
    let input = input.ok_or_else(|| refused("$convert needs the argument 'input'".to_owned()))?;
    let to = to.ok_or_else(|| refused("$convert needs the argument 'to'".to_owned()))?;
    let convert = Convert { name: "$convert", input, to, on_error, on_null, format, byte_order, base };
    Ok(Node::Convert(Box::new(convert)))
}

fn parse_to(value: ValueRef<'_>, scope: &mut Scope) -> Result<To> {
    match value {
        ValueRef::Document(document) if !starts_with_operator(document) => {
            let (mut kind, mut subtype) = (None, None);
            for element in document {
                match element.key() {
                    "type" => kind = Some(Expression::parse(element.value(), scope)?),
                    "subtype" => subtype = Some(Expression::parse(element.value(), scope)?),
                    other => {
                        let message = format!("the 'to' of $convert has no field '{other}'");
                        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, message));
                    }
                }
            }
            let kind = kind.ok_or_else(|| {
                Error::new(ErrorCode::FAILED_TO_PARSE, "the 'to' of $convert needs the field 'type'")
            })?;
            Ok(To::Written { kind, subtype })
        }
        other => Ok(To::Written { kind: Expression::parse(other, scope)?, subtype: None }),
    }
}

fn starts_with_operator(document: RawDocument<'_>) -> bool {
    document.first().is_some_and(|first| first.key().starts_with('$'))
}

/// The type a value names; nothing if it is null.
fn named_type(value: &Value<'_>) -> Result<Option<BsonType>> {
    let unknown = |message: String| Error::new(ErrorCode::FAILED_TO_PARSE, message);
    match value {
        value if value.is_nullish() => Ok(None),
        Value::String(name) => BsonType::from_name(name)
            .map(Some)
            .ok_or_else(|| Error::new(ErrorCode::BAD_VALUE, format!("'{name}' is no type to convert to"))),
        value if Number::of(value).is_some() => {
            let number = integral_i32(value)
                .ok_or_else(|| unknown("the type number of $convert must be whole".to_owned()))?;
            let kind = BsonType::ALL.into_iter().find(|kind| kind.number() == number);
            kind.map(Some).ok_or_else(|| unknown(format!("{number} is no type to convert to")))
        }
        other => {
            let found = other.type_name();
            Err(unknown(format!("$convert takes a string or a number as its 'to', found {found}")))
        }
    }
}

/// The subtype of binary data a value names; 0 if it is null.
fn named_subtype(value: &Value<'_>) -> Result<u8> {
    if value.is_nullish() {
        return Ok(0);
    }
    if Number::of(value).is_none() {
        let message = format!("$convert takes a number as its subtype, found {}", value.type_name());
        return Err(Error::location(4_341_108, message));
    }
    let Some(number) = integral_i32(value) else {
        return Err(Error::location(4_341_106, "$convert takes a whole number as its subtype"));
    };
    match u8::try_from(number) {
        Ok(subtype @ (0..=9 | 128..=255)) => Ok(subtype),
        _ => Err(Error::location(4_341_107, format!("{number} is no subtype of binary data"))),
    }
}

impl Convert {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        visit("input", &self.input);
        if let To::Written { kind, subtype } = &self.to {
            visit("to", kind);
            subtype.iter().for_each(|subtype| visit("subtype", subtype));
        }
        let optional = [
            ("onError", &self.on_error),
            ("onNull", &self.on_null),
            ("format", &self.format),
            ("byteOrder", &self.byte_order),
            ("base", &self.base),
        ];
        for (name, argument) in optional {
            argument.iter().for_each(|argument| visit(name, argument));
        }
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        let input = self.input.run(frame)?;
        let kind = match &self.to {
            To::Fixed(target) => Some(target.kind),
            To::Written { kind, .. } => named_type(&kind.run(frame)?)?,
        };
        if input.is_nullish() {
            return match &self.on_null {
                Some(on_null) => on_null.run(frame),
                None => Ok(Value::Null),
            };
        }
        let Some(kind) = kind else { return Ok(Value::Null) };
        let subtype = match &self.to {
            To::Fixed(target) => target.subtype,
            To::Written { subtype: Some(subtype), .. } => named_subtype(&subtype.run(frame)?)?,
            To::Written { .. } => 0,
        };
        match self.convert(input, Target { kind, subtype }, frame) {
            Err(error) if stands_in(&error) => match &self.on_error {
                Some(on_error) => on_error.run(frame),
                None => Err(error),
            },
            other => other,
        }
    }

    fn convert<'a>(
        &'a self,
        input: Value<'a>,
        target: Target,
        frame: &mut Frame<'a, '_>,
    ) -> Result<Value<'a>> {
        if let Some(base) = &self.base
            && let Some(base) = Base::read(&base.run(frame)?)?
        {
            return in_base(input, target, base);
        }
        let needs_format = matches!(
            (&input, target.kind),
            (Value::String(_), BsonType::Binary) | (Value::Binary { .. }, BsonType::String)
        );
        let format = match (&self.format, needs_format) {
            (Some(format), true) => Format::read(&format.run(frame)?)?,
            _ => None,
        };
        let needs_order = matches!(
            (&input, target.kind),
            (Value::Int32(_) | Value::Int64(_) | Value::Double(_), BsonType::Binary)
                | (Value::Binary { .. }, BsonType::Int32 | BsonType::Int64 | BsonType::Double)
        );
        let order = match (&self.byte_order, needs_order) {
            (Some(order), true) => ByteOrder::read(&order.run(frame)?)?,
            _ => ByteOrder::Little,
        };
        convert(input, target, format, order)
    }
}

/// Between text and numbers, in a base.
fn in_base(input: Value<'_>, target: Target, base: Base) -> Result<Value<'_>> {
    const NUMBERS: [BsonType; 4] = [BsonType::Int32, BsonType::Int64, BsonType::Double, BsonType::Decimal128];
    let to_number = NUMBERS.contains(&target.kind);
    match (&input, Number::of(&input)) {
        // Fractions and exponents are for base ten.
        _ if base == Base::Ten => convert(input, target, None, ByteOrder::Little),
        (Value::String(text), _) if to_number => {
            convert(Value::Int64(base.number_of(text)?), target, None, ByteOrder::Little)
        }
        (_, Some(number)) if target.kind == BsonType::String => base.text_of(number).map(Value::from),
        _ => Err(failure(format!(
            "a base is for numbers and text, not for {} to {}",
            input.type_name(),
            target.kind.name()
        ))),
    }
}

/// Whether `onError` stands in for an error.
fn stands_in(error: &Error) -> bool {
    // A date that has no text is a conversion that failed, under the code of the formatting.
    matches!(error.code, ErrorCode::CONVERSION_FAILURE | ErrorCode(18537))
}

fn convert<'a>(
    input: Value<'a>,
    target: Target,
    format: Option<Format>,
    order: ByteOrder,
) -> Result<Value<'a>> {
    match target.kind {
        BsonType::Boolean => to_bool(&input),
        BsonType::Int32 => number::to_int(&input, order),
        BsonType::Int64 => number::to_long(&input, order),
        BsonType::Double => number::to_double(&input, order),
        BsonType::Decimal128 => number::to_decimal(&input),
        BsonType::DateTime => to_date(&input),
        BsonType::ObjectId => to_object_id(&input),
        BsonType::String => to_string(input, format),
        BsonType::Binary => binary::to_binary(input, target.subtype, format, order),
        other => Err(unsupported(&input, other)),
    }
}

/// There is no such conversion.
fn unsupported(input: &Value<'_>, kind: BsonType) -> Error {
    failure(format!("a value of type {} does not convert to {}", input.type_name(), kind.name()))
}

fn to_bool<'a>(input: &Value<'a>) -> Result<Value<'a>> {
    Ok(Value::Boolean(is_truthy(input)))
}

fn to_date<'a>(input: &Value<'a>) -> Result<Value<'a>> {
    if let Some(millis) = date_millis(input) {
        return Ok(Value::DateTime(millis));
    }
    match input {
        Value::String(text) => super::date::parse_date_text(text, None).map(Value::DateTime),
        Value::Int64(_) | Value::Double(_) | Value::Decimal128(_) => {
            number::truncated_i64(input, "date").map(Value::DateTime)
        }
        other => Err(unsupported(other, BsonType::DateTime)),
    }
}

fn to_object_id<'a>(input: &Value<'a>) -> Result<Value<'a>> {
    match input {
        Value::ObjectId(id) => Ok(Value::ObjectId(*id)),
        Value::String(text) => sheaf_document::ObjectId::from_hex(text)
            .map(Value::ObjectId)
            .ok_or_else(|| failure(format!("'{text}' is not the 24 hexadecimal digits of an object id"))),
        other => Err(unsupported(other, BsonType::ObjectId)),
    }
}

fn to_string(input: Value<'_>, format: Option<Format>) -> Result<Value<'_>> {
    Ok(Value::from(match input {
        Value::String(text) => return Ok(Value::String(text)),
        Value::Boolean(truth) => truth.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Double(number) => super::text::double_text(number),
        Value::Decimal128(number) => number.to_string(),
        Value::ObjectId(id) => id.to_hex(),
        Value::DateTime(millis) => super::date::format_date_iso(millis)?,
        Value::Binary { subtype, bytes } => binary::to_text(subtype, &bytes, format)?,
        other => return Err(unsupported(&other, BsonType::String)),
    }))
}
