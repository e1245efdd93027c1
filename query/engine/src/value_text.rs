//! Values as people read them, in plans and messages.

use sheaf_document::{Value, ValueRef};

/// The text of a computed value.
pub(crate) fn of_value(value: &Value<'_>) -> String {
    match value {
        Value::Missing => "missing".to_owned(),
        value => value.as_ref().map_or_else(|| format!("{value:?}"), of),
    }
}

/// The text of a value, close to the shell's.
pub(crate) fn of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Double(number) if number.is_finite() && number.fract() == 0.0 => format!("{number:.1}"),
        ValueRef::Double(number) => number.to_string(),
        ValueRef::String(text) | ValueRef::Symbol(text) => format!("{text:?}"),
        ValueRef::Document(document) => {
            let fields: Vec<_> = document
                .iter()
                .map(|element| format!("{}: {}", element.key(), of(element.value())))
                .collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        ValueRef::Array(array) => {
            let items: Vec<_> = array.iter().map(of).collect();
            format!("[{}]", items.join(", "))
        }
        ValueRef::ObjectId(id) => format!("ObjectId('{}')", id.to_hex()),
        ValueRef::Boolean(truth) => truth.to_string(),
        ValueRef::DateTime(millis) => format!("new Date({millis})"),
        ValueRef::Null => "null".to_owned(),
        ValueRef::Undefined => "undefined".to_owned(),
        ValueRef::Int32(number) => number.to_string(),
        ValueRef::Int64(number) => number.to_string(),
        ValueRef::Decimal128(number) => number.to_string(),
        ValueRef::Regex(regex) => format!("/{}/{}", regex.pattern, regex.options),
        ValueRef::Timestamp(timestamp) => {
            format!("Timestamp({}, {})", timestamp.seconds, timestamp.increment)
        }
        ValueRef::MinKey => "MinKey".to_owned(),
        ValueRef::MaxKey => "MaxKey".to_owned(),
        other => format!("{other:?}"),
    }
}
