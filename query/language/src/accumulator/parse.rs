//! Reading accumulators.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::{AccumulatorSpec, Kind};
use crate::expression::{Environment, Expression, Scope};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

/// The `n` of an accumulator is no positive whole number.
const BAD_LIMIT: i32 = 7_548_606;

impl AccumulatorSpec {
    /// Whether there is an accumulator of this name.
    pub fn exists(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Reads the accumulator `name` with its argument.
    pub fn parse(name: &str, argument: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let is_known = (Self::exists(name) && (name == "$count" || !takes_names(name)))
            || crate::expression::is_operator(name);
        if matches!(argument, ValueRef::Array(_)) && is_known {
            return Err(Error::location(
                40_237,
                format!("the accumulator {name} takes one argument, not an array"),
            ));
        }
        Self::parse_windowed(name, argument, scope)
    }

    /// As [`AccumulatorSpec::parse`], where an array is an argument like any other.
    pub(crate) fn parse_windowed(name: &str, argument: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        match name {
            "$count" => return count(argument),
            "$top" | "$bottom" | "$topN" | "$bottomN" => return ranked(name, argument, scope),
            "$firstN" | "$lastN" | "$minN" | "$maxN" => return limited(name, argument, scope),
            "$percentile" | "$median" => return percentile(name, argument, scope),
            _ => {}
        }
        let kind = match name {
            "$addToSet" => Kind::AddToSet,
            "$avg" => Kind::Average,
            "$concatArrays" => Kind::ConcatArrays,
            "$first" => Kind::First,
            "$last" => Kind::Last,
            "$max" => Kind::Max,
            "$mergeObjects" => Kind::MergeObjects,
            "$min" => Kind::Min,
            "$push" => Kind::Push,
            "$setUnion" => Kind::SetUnion,
            "$stdDevPop" => Kind::StdDev { sample: false },
            "$stdDevSamp" => Kind::StdDev { sample: true },
            "$sum" => Kind::Sum,
            other => return Err(Error::location(15_952, format!("'{other}' is not an accumulator"))),
        };
        Ok(Self { kind, argument: Expression::parse(argument, scope)? })
    }
}

/// Whether the accumulator's argument is a document of named arguments, checked by its own parser.
fn takes_names(name: &str) -> bool {
    matches!(
        name,
        "$count"
            | "$top"
            | "$bottom"
            | "$topN"
            | "$bottomN"
            | "$firstN"
            | "$lastN"
            | "$minN"
            | "$maxN"
            | "$percentile"
            | "$median"
    )
}

/// Every accumulator.
const NAMES: &[&str] = &[
    "$addToSet",
    "$avg",
    "$bottom",
    "$bottomN",
    "$concatArrays",
    "$count",
    "$first",
    "$firstN",
    "$last",
    "$lastN",
    "$max",
    "$maxN",
    "$median",
    "$mergeObjects",
    "$min",
    "$minN",
    "$percentile",
    "$push",
    "$setUnion",
    "$stdDevPop",
    "$stdDevSamp",
    "$sum",
    "$top",
    "$topN",
];

fn count(argument: ValueRef<'_>) -> Result<AccumulatorSpec> {
    match argument {
        ValueRef::Document(document) if document.is_empty() => {
            Ok(AccumulatorSpec { kind: Kind::Count, argument: Expression::constant(Value::Null) })
        }
        _ => Err(Error::new(ErrorCode::TYPE_MISMATCH, "$count takes an empty document")),
    }
}

/// The fields of an accumulator's argument, each at most once, none unknown.
struct Arguments<'a> {
    name: &'a str,
    document: RawDocument<'a>,
}

impl<'a> Arguments<'a> {
    fn new(
        name: &'a str,
        argument: ValueRef<'a>,
        known: &[&str],
        wrong_type: i32,
        unknown: i32,
    ) -> Result<Self> {
        let ValueRef::Document(document) = argument else {
            let kind = argument.kind().name();
            return Err(Error::location(
                wrong_type,
                format!("{name} takes a document, not a value of type {kind}"),
            ));
        };
        for element in document {
            if !known.contains(&element.key()) {
                return Err(Error::location(unknown, format!("{name} has no argument '{}'", element.key())));
            }
        }
        Ok(Self { name, document })
    }

    fn get(&self, key: &str, missing: i32) -> Result<ValueRef<'a>> {
        self.document
            .get(key)
            .ok_or_else(|| Error::location(missing, format!("{} needs the argument '{key}'", self.name)))
    }
}

fn ranked(name: &str, argument: ValueRef<'_>, scope: &mut Scope) -> Result<AccumulatorSpec> {
    let many = name.ends_with('N');
    let known: &[&str] = if many { &["n", "output", "sortBy"] } else { &["output", "sortBy"] };
    let arguments = Arguments::new(name, argument, known, 5_788_001, 5_788_002)?;
    let n = if many { Some(Expression::parse(arguments.get("n", 5_788_003)?, scope)?) } else { None };
    let output = Expression::parse(arguments.get("output", 5_788_004)?, scope)?;
    let sort = match arguments.get("sortBy", 5_788_005)? {
        ValueRef::Document(sort) => SortSpec::parse(sort, scope)?,
        other => {
            let kind = other.kind().name();
            return Err(Error::location(
                5_788_604,
                format!("the 'sortBy' of {name} is a document, not of type {kind}"),
            ));
        }
    };
    check_constant_limit(n.as_ref())?;
    let kind = match (name, n) {
        ("$topN", Some(n)) => Kind::TopN(sort, n),
        ("$bottomN", Some(n)) => Kind::BottomN(sort, n),
        ("$bottom", _) => Kind::Bottom(sort),
        _ => Kind::Top(sort),
    };
    Ok(AccumulatorSpec { kind, argument: output })
}

fn limited(name: &str, argument: ValueRef<'_>, scope: &mut Scope) -> Result<AccumulatorSpec> {
    let arguments = Arguments::new(name, argument, &["n", "input"], 5_787_900, 5_787_901)?;
    let n = Expression::parse(arguments.get("n", 5_787_906)?, scope)?;
    let input = Expression::parse(arguments.get("input", 5_787_907)?, scope)?;
    check_constant_limit(Some(&n))?;
    let kind = match name {
        "$firstN" => Kind::FirstN(n),
        "$lastN" => Kind::LastN(n),
        "$minN" => Kind::MinN(n),
        _ => Kind::MaxN(n),
    };
    Ok(AccumulatorSpec { kind, argument: input })
}

fn percentile(name: &str, argument: ValueRef<'_>, scope: &mut Scope) -> Result<AccumulatorSpec> {
    let known: &[&str] = if name == "$median" { &["input", "method"] } else { &["input", "p", "method"] };
    let arguments = Arguments::new(name, argument, known, 7_436_201, 40_415)?;
    let input = Expression::parse(arguments.get("input", 40_414)?, scope)?;
    match arguments.get("method", 40_414)? {
        ValueRef::String("approximate") => {}
        ValueRef::String(other) => {
            let reason = format!("the 'method' of {name} is 'approximate', not '{other}'");
            return Err(Error::new(ErrorCode::BAD_VALUE, reason));
        }
        other => {
            let reason =
                format!("the 'method' of {name} is a string, not a value of type {}", other.kind().name());
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
        }
    }
    let kind = if name == "$median" {
        Kind::Median
    } else {
        Kind::Percentile(ranks(arguments.get("p", 40_414)?, scope)?)
    };
    Ok(AccumulatorSpec { kind, argument: input })
}

/// A constant array of numbers from 0 to 1.
fn ranks(value: ValueRef<'_>, scope: &mut Scope) -> Result<Vec<f64>> {
    let not_an_array =
        || Error::location(7_750_301, "the 'p' of $percentile is an array of at least one number");
    let expression = Expression::parse(value, scope)?;
    let constant = expression
        .as_constant()
        .ok_or_else(|| Error::location(7_750_300, "the 'p' of $percentile is constant"))?;
    let Some(ValueRef::Array(array)) = constant.as_ref() else { return Err(not_an_array()) };
    let ranks: Vec<f64> = array
        .iter()
        .map(|item| {
            crate::numeric::as_f64(item)
                .ok_or_else(|| Error::location(7_750_302, "the 'p' of $percentile has only numbers"))
                .and_then(|rank| match (0.0..=1.0).contains(&rank) {
                    true => Ok(rank),
                    false => Err(Error::location(
                        7_750_303,
                        format!("the 'p' of $percentile is from 0 to 1, not {rank}"),
                    )),
                })
        })
        .collect::<Result<_>>()?;
    if ranks.is_empty() { Err(not_an_array()) } else { Ok(ranks) }
}

fn check_constant_limit(n: Option<&Expression>) -> Result<()> {
    match n.and_then(Expression::as_constant) {
        Some(value) => positive(value).map(drop),
        None => Ok(()),
    }
}

fn positive(value: &Value<'_>) -> Result<usize> {
    let number = value.as_ref().and_then(crate::numeric::as_whole);
    number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0).ok_or_else(|| {
        Error::location(
            BAD_LIMIT,
            format!("the 'n' of an accumulator is a positive whole number, not {value:?}"),
        )
    })
}

/// The `n` of a group: its expression may look at the fields of the group's key.
pub(super) fn limit(n: &Expression, key: &Value<'_>, environment: &mut Environment) -> Result<usize> {
    let root = key.as_document().unwrap_or(RawDocument::EMPTY);
    positive(&n.evaluate(root, environment)?)
}
