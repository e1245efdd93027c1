//! The order across types, as MongoDB documents it.

use std::cmp::Ordering;

use bson::Bson;

/// The place of a value's type in the order.
pub fn place(value: &Bson) -> u8 {
    match value {
        Bson::MinKey => 0,
        Bson::Undefined | Bson::Null => 1,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 2,
        Bson::String(_) | Bson::Symbol(_) => 3,
        Bson::Document(_) => 4,
        Bson::Array(_) => 5,
        Bson::Binary(_) => 6,
        Bson::ObjectId(_) => 7,
        Bson::Boolean(_) => 8,
        Bson::DateTime(_) => 9,
        Bson::Timestamp(_) => 10,
        Bson::RegularExpression(_) => 11,
        Bson::MaxKey => 20,
        other => panic!("the generator makes no {other}"),
    }
}

/// A number, exactly as far as the generator goes: integers of 64 bits, and doubles and decimals with few digits.
pub fn number(value: &Bson) -> Option<f64> {
    Some(match value {
        Bson::Int32(number) => f64::from(*number),
        Bson::Int64(number) => *number as f64,
        Bson::Double(number) => *number,
        Bson::Decimal128(number) => number.to_string().parse().expect("a decimal of few digits"),
        _ => return None,
    })
}

fn numbers(left: &Bson, right: &Bson) -> Ordering {
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return left.cmp(&right);
    }
    let (left, right) = (number(left).expect("a number"), number(right).expect("a number"));
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).expect("neither is NaN"),
    }
}

pub fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

/// The order of two values.
pub fn compare(left: &Bson, right: &Bson) -> Ordering {
    place(left).cmp(&place(right)).then_with(|| match (left, right) {
        (Bson::String(left), Bson::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Bson::Document(left), Bson::Document(right)) => {
            let pairs = left.iter().zip(right.iter());
            let first = pairs
                .map(|((left_key, left), (right_key, right))| {
                    place(left)
                        .cmp(&place(right))
                        .then_with(|| left_key.as_bytes().cmp(right_key.as_bytes()))
                        .then_with(|| compare(left, right))
                })
                .find(|order| order.is_ne());
            first.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Bson::Array(left), Bson::Array(right)) => {
            let first =
                left.iter().zip(right).map(|(left, right)| compare(left, right)).find(|order| order.is_ne());
            first.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Bson::Binary(left), Bson::Binary(right)) => {
            let key =
                |binary: &bson::Binary| (binary.bytes.len(), u8::from(binary.subtype), binary.bytes.clone());
            key(left).cmp(&key(right))
        }
        (Bson::ObjectId(left), Bson::ObjectId(right)) => left.bytes().cmp(&right.bytes()),
        (Bson::Boolean(left), Bson::Boolean(right)) => left.cmp(right),
        (Bson::DateTime(left), Bson::DateTime(right)) => {
            left.timestamp_millis().cmp(&right.timestamp_millis())
        }
        (Bson::Timestamp(left), Bson::Timestamp(right)) => {
            (left.time, left.increment).cmp(&(right.time, right.increment))
        }
        _ if number(left).is_some() => numbers(left, right),
        _ => Ordering::Equal,
    })
}

/// Equality in that order.
pub fn equal(left: &Bson, right: &Bson) -> bool {
    compare(left, right).is_eq()
}
