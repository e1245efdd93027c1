//! When a value counts as the recorded one.
//!
//! Types are exact: int, long, double and decimal differ from each other, -0.0 differs from 0.0, decimals are compared
//! by their bytes. The keys of a document are a set: none may be missing or extra, their order is not looked at.
//! `{"$approx": v, "rel", "abs"}` in the expectation stands for a number near v.

use bson::{Bson, Document};

/// How strictly a result is compared.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The outermost array is a multiset.
    pub unordered: bool,
    /// Arrays in fields of these names are multisets.
    pub sort_fields: Vec<String>,
    /// NaN equals NaN.
    pub nan_equal: bool,
    /// Documents may have keys that are not expected.
    pub partial: bool,
}

/// Why two values differ: the path to the first difference, and the difference.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Dotted path from the compared value.
    pub path: String,
    /// What is different there.
    pub what: String,
}

type Outcome = Result<(), Difference>;

fn differ(what: String) -> Outcome {
    Err(Difference { path: String::new(), what })
}

fn below(step: &str, outcome: Outcome) -> Outcome {
    outcome.map_err(|difference| {
        let path =
            if difference.path.is_empty() { step.to_owned() } else { format!("{step}.{}", difference.path) };
        Difference { path, what: difference.what }
    })
}

/// Compares a result with its expectation.
pub fn compare(actual: &Bson, expected: &Bson, rules: &Rules) -> Outcome {
    match (actual, expected) {
        (Bson::Array(actual), Bson::Array(expected)) if rules.unordered => multiset(actual, expected, rules),
        _ => values(actual, expected, rules),
    }
}

fn values(actual: &Bson, expected: &Bson, rules: &Rules) -> Outcome {
    if let Some(approximation) = Approximation::parse(expected) {
        return approximation.judge(actual);
    }
    match (actual, expected) {
        (Bson::Document(actual), Bson::Document(expected)) => documents(actual, expected, rules),
        (Bson::Array(actual), Bson::Array(expected)) => arrays(actual, expected, rules),
        (Bson::Double(left), Bson::Double(right)) => {
            let same = if left.is_nan() && right.is_nan() {
                rules.nan_equal
            } else {
                left.to_bits() == right.to_bits()
            };
            if same { Ok(()) } else { differ(format!("{left:?} instead of {right:?}")) }
        }
        _ if actual == expected => Ok(()),
        _ => differ(format!("{} instead of {}", show(actual), show(expected))),
    }
}

fn documents(actual: &Document, expected: &Document, rules: &Rules) -> Outcome {
    for (key, expected) in expected {
        let Some(actual) = actual.get(key) else {
            return below(key, differ(format!("missing, should be {}", show(expected))));
        };
        let outcome = match (actual, expected) {
            (Bson::Array(actual), Bson::Array(expected)) if rules.sort_fields.contains(key) => {
                multiset(actual, expected, rules)
            }
            _ => values(actual, expected, rules),
        };
        below(key, outcome)?;
    }
    if rules.partial {
        return Ok(());
    }
    match actual.iter().find(|(key, _)| !expected.contains_key(key)) {
        None => Ok(()),
        Some((key, value)) => below(key, differ(format!("unexpected {}", show(value)))),
    }
}

fn arrays(actual: &[Bson], expected: &[Bson], rules: &Rules) -> Outcome {
    if actual.len() != expected.len() {
        return differ(format!(
            "{} elements instead of {}: {}",
            actual.len(),
            expected.len(),
            show(&Bson::Array(actual.to_vec()))
        ));
    }
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        below(&index.to_string(), values(actual, expected, rules))?;
    }
    Ok(())
}

fn multiset(actual: &[Bson], expected: &[Bson], rules: &Rules) -> Outcome {
    if actual.len() != expected.len() {
        return arrays(actual, expected, rules);
    }
    let mut rest: Vec<&Bson> = actual.iter().collect();
    for expected in expected {
        match rest.iter().position(|actual| values(actual, expected, rules).is_ok()) {
            Some(position) => {
                rest.swap_remove(position);
            }
            None => {
                return differ(format!(
                    "no element is {}, left are {}",
                    show(expected),
                    show(&Bson::Array(rest.into_iter().cloned().collect()))
                ));
            }
        }
    }
    Ok(())
}

/// A number with a tolerance; without one it is a millionth, or 1e-12 near zero.
struct Approximation<'a> {
    value: &'a Bson,
    relative: f64,
    absolute: f64,
}

impl<'a> Approximation<'a> {
    fn parse(expected: &'a Bson) -> Option<Self> {
        let Bson::Document(document) = expected else { return None };
        let value = document.get("$approx")?;
        let (relative, absolute) = (document.get("rel"), document.get("abs"));
        let given = |bound: Option<&Bson>| bound.and_then(number);
        let relative_default = if given(absolute).is_some() { 0.0 } else { 1e-6 };
        Some(Self {
            value,
            relative: given(relative).unwrap_or(relative_default),
            absolute: given(absolute).unwrap_or(1e-12),
        })
    }

    fn judge(&self, actual: &Bson) -> Outcome {
        let off = || differ(format!("{} instead of about {}", show(actual), show(self.value)));
        let decimal = |value: &Bson| matches!(value, Bson::Decimal128(_));
        let (Some(near), Some(found)) = (number(self.value), number(actual)) else { return off() };
        if decimal(actual) != decimal(self.value) {
            return off();
        }
        if near.is_nan() || found.is_nan() {
            return if near.is_nan() && found.is_nan() { Ok(()) } else { off() };
        }
        let tolerance = (self.relative * near.abs()).max(self.absolute);
        if near == found || (near.is_finite() && (near - found).abs() <= tolerance) { Ok(()) } else { off() }
    }
}

/// The number, if it is one; decimals and longs lose precision.
#[expect(clippy::cast_precision_loss, reason = "only for comparisons with a tolerance or a bound")]
pub(super) fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        Bson::Decimal128(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// A value for a person, not too long.
pub(super) fn show(value: &Bson) -> String {
    let mut text = match value {
        Bson::Int32(number) => number.to_string(),
        Bson::String(text) => format!("{text:?}"),
        other => other.clone().into_canonical_extjson().to_string(),
    };
    if let Some((cut, _)) = text.char_indices().nth(400) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
