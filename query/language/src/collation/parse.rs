//! Reading a collation document.

use std::sync::Arc;

use icu_collator::options::{
    AlternateHandling, CaseLevel, CollatorOptions, MaxVariable as IcuMaxVariable, Strength,
};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use sheaf_document::{RawDocument, ValueRef};

use super::{
    Alternate, COLLATION_VERSION, CaseFirst, Collation, IcuCollator, MaxVariable, Specification, locale,
};
use crate::{Error, ErrorCode, Result};

/// A field of the document is required and not there.
const MISSING_FIELD: i32 = 40_414;

/// A field of the document is unknown.
const UNKNOWN_FIELD: i32 = 40_415;

/// A stored collation is of another version of the ordering data.
const INCOMPATIBLE_VERSION: ErrorCode = ErrorCode(161);

/// What the document says; what it leaves out (or gives as null) is `None`.
#[derive(Default)]
struct Given<'a> {
    locale: Option<&'a str>,
    case_level: Option<bool>,
    case_first: Option<CaseFirst>,
    strength: Option<u8>,
    numeric_ordering: Option<bool>,
    alternate: Option<Alternate>,
    max_variable: Option<MaxVariable>,
    normalization: Option<bool>,
    backwards: Option<bool>,
}

pub(super) fn parse(document: RawDocument<'_>) -> Result<Collation> {
    let given = read(document)?;
    let name = given.locale.ok_or_else(|| Error::location(MISSING_FIELD, "a collation needs a 'locale'"))?;
    if name == "simple" {
        return Ok(Collation { specification: resolve(&given, name, None), collator: None });
    }
    let unknown =
        || Error::new(ErrorCode::BAD_VALUE, format!("'{name}' is not a locale that collation knows"));
    let mut preferences = CollatorPreferences::from(&locale::parse(name).ok_or_else(unknown)?);
    let by_locale =
        CollatorBorrowed::try_new(preferences, CollatorOptions::default()).map_err(|_| unknown())?;
    let specification = resolve(&given, name, Some(&by_locale));
    check(&specification)?;
    if specification.backwards != sorts_accents_from_the_back(name) {
        preferences = backwards_preferences(&specification)?;
    }
    preferences.case_first = given.case_first.map(|_| match specification.case_first {
        CaseFirst::Off => CollationCaseFirst::False,
        CaseFirst::Upper => CollationCaseFirst::Upper,
        CaseFirst::Lower => CollationCaseFirst::Lower,
    });
    preferences.numeric_ordering = given.numeric_ordering.map(|on| match on {
        true => CollationNumericOrdering::True,
        false => CollationNumericOrdering::False,
    });
    let inner = CollatorBorrowed::try_new(preferences, options(&given)).map_err(|_| unknown())?;
    Ok(Collation { specification, collator: Some(Arc::new(IcuCollator { inner })) })
}

/// Only what was given: the rest is the locale's business.
fn options(given: &Given<'_>) -> CollatorOptions {
    let mut options = CollatorOptions::default();
    options.strength = given.strength.map(|strength| match strength {
        1 => Strength::Primary,
        2 => Strength::Secondary,
        4 => Strength::Quaternary,
        5 => Strength::Identical,
        _ => Strength::Tertiary,
    });
    options.case_level = given.case_level.map(|on| if on { CaseLevel::On } else { CaseLevel::Off });
    options.alternate_handling = given.alternate.map(|alternate| match alternate {
        Alternate::NonIgnorable => AlternateHandling::NonIgnorable,
        Alternate::Shifted => AlternateHandling::Shifted,
    });
    options.max_variable = given.max_variable.map(|max_variable| match max_variable {
        MaxVariable::Punct => IcuMaxVariable::Punctuation,
        MaxVariable::Space => IcuMaxVariable::Space,
    });
    options
}

/// Accents from the back are a property of `fr_CA`'s data, which is the root's otherwise; the root's languages can
/// borrow it, and it can be taken from `fr_CA`.
fn backwards_preferences(specification: &Specification) -> Result<CollatorPreferences> {
    let language = specification.locale.split(['_', '@']).next().unwrap_or_default();
    let target = match (language, specification.backwards) {
        ("fr" | "en" | "de" | "it" | "nl" | "pt", true) => "fr_CA",
        ("fr", false) => "fr",
        _ => {
            let reason = format!("'backwards' cannot be changed for the locale '{}'", specification.locale);
            return Err(Error::new(ErrorCode::BAD_VALUE, reason));
        }
    };
    locale::parse(target)
        .map(|locale| CollatorPreferences::from(&locale))
        .ok_or_else(|| Error::new(ErrorCode::BAD_VALUE, "the locale fr_CA is missing"))
}

/// Only Canadian French does so by itself.
fn sorts_accents_from_the_back(name: &str) -> bool {
    name.starts_with("fr_CA")
}

fn resolve(given: &Given<'_>, name: &str, by_locale: Option<&CollatorBorrowed<'static>>) -> Specification {
    let defaults = by_locale.map(CollatorBorrowed::resolved_options);
    let shifted = defaults.is_some_and(|options| options.alternate_handling == AlternateHandling::Shifted);
    let space = defaults.is_some_and(|options| options.max_variable == IcuMaxVariable::Space);
    Specification {
        locale: name.to_owned(),
        case_level: given
            .case_level
            .unwrap_or(defaults.is_some_and(|options| options.case_level == CaseLevel::On)),
        case_first: given.case_first.unwrap_or(match defaults.map(|options| options.case_first) {
            Some(CollationCaseFirst::Upper) => CaseFirst::Upper,
            Some(CollationCaseFirst::Lower) => CaseFirst::Lower,
            _ => CaseFirst::Off,
        }),
        strength: given.strength.unwrap_or(3),
        numeric_ordering: given.numeric_ordering.unwrap_or(false),
        alternate: given.alternate.unwrap_or(if shifted {
            Alternate::Shifted
        } else {
            Alternate::NonIgnorable
        }),
        max_variable: given.max_variable.unwrap_or(if space {
            MaxVariable::Space
        } else {
            MaxVariable::Punct
        }),
        normalization: given.normalization.unwrap_or(false),
        backwards: given.backwards.unwrap_or(sorts_accents_from_the_back(name)),
    }
}

/// Combinations that ICU would silently not honour.
fn check(specification: &Specification) -> Result<()> {
    let weak = specification.strength < 3 && !specification.case_level;
    if specification.case_first != CaseFirst::Off && weak {
        let reason = "'caseFirst' means nothing at a strength below 3 unless 'caseLevel' is on";
        return Err(Error::new(ErrorCode::BAD_VALUE, reason));
    }
    if specification.backwards && specification.strength == 1 {
        return Err(Error::new(ErrorCode::BAD_VALUE, "'backwards' means nothing at strength 1"));
    }
    Ok(())
}

fn read(document: RawDocument<'_>) -> Result<Given<'_>> {
    let mut given = Given::default();
    for element in document {
        let (key, value) = (element.key(), element.value());
        if value.is_nullish() && key != "locale" {
            continue;
        }
        match key {
            "locale" => given.locale = Some(text(key, value)?),
            "caseLevel" => given.case_level = Some(flag(key, value)?),
            "caseFirst" => {
                let names =
                    [("off", CaseFirst::Off), ("upper", CaseFirst::Upper), ("lower", CaseFirst::Lower)];
                given.case_first = Some(choice(key, value, &names)?);
            }
            "strength" => given.strength = Some(strength(value)?),
            "numericOrdering" => given.numeric_ordering = Some(flag(key, value)?),
            "alternate" => {
                let names = [("non-ignorable", Alternate::NonIgnorable), ("shifted", Alternate::Shifted)];
                given.alternate = Some(choice(key, value, &names)?);
            }
            "maxVariable" => {
                let names = [("punct", MaxVariable::Punct), ("space", MaxVariable::Space)];
                given.max_variable = Some(choice(key, value, &names)?);
            }
            "normalization" => given.normalization = Some(flag(key, value)?),
            "backwards" => given.backwards = Some(flag(key, value)?),
            "version" => version(text(key, value)?)?,
            other => {
                let reason = format!("a collation has no field '{other}'");
                return Err(Error::location(UNKNOWN_FIELD, reason));
            }
        }
    }
    Ok(given)
}

fn mismatch(key: &str, value: ValueRef<'_>, expected: &str) -> Error {
    let reason =
        format!("the collation's '{key}' is {expected}, not a value of type {}", value.kind().name());
    Error::new(ErrorCode::TYPE_MISMATCH, reason)
}

fn text<'a>(key: &str, value: ValueRef<'a>) -> Result<&'a str> {
    value.as_str().ok_or_else(|| mismatch(key, value, "a string"))
}

fn flag(key: &str, value: ValueRef<'_>) -> Result<bool> {
    match value {
        ValueRef::Boolean(truth) => Ok(truth),
        ValueRef::Int32(number) => Ok(number != 0),
        ValueRef::Int64(number) => Ok(number != 0),
        ValueRef::Double(number) => Ok(number != 0.0),
        other => Err(mismatch(key, other, "a boolean")),
    }
}

fn choice<T: Copy>(key: &str, value: ValueRef<'_>, names: &[(&str, T)]) -> Result<T> {
    let given = text(key, value)?;
    names.iter().find(|(name, _)| *name == given).map(|(_, choice)| *choice).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let reason = format!("the collation's '{key}' is one of {}, not '{given}'", known.join(", "));
        Error::new(ErrorCode::BAD_VALUE, reason)
    })
}

fn strength(value: ValueRef<'_>) -> Result<u8> {
    let number = match value {
        ValueRef::Int32(number) => i64::from(number),
        ValueRef::Int64(number) => number,
        #[expect(clippy::cast_possible_truncation, reason = "whole and small by the guard")]
        ValueRef::Double(number) if number.fract() == 0.0 && number.abs() < 1e9 => number as i64,
        ValueRef::Decimal128(number) if number.is_finite() => {
            let whole = number.to_string().parse::<f64>().ok().filter(|number| number.fract() == 0.0);
            #[expect(clippy::cast_possible_truncation, reason = "whole; a cast of a float saturates")]
            let whole = whole.map(|number| number as i64);
            whole.ok_or_else(|| mismatch("strength", value, "a whole number from 1 to 5"))?
        }
        other => return Err(mismatch("strength", other, "a whole number from 1 to 5")),
    };
    u8::try_from(number).ok().filter(|strength| (1..=5).contains(strength)).ok_or_else(|| {
        Error::new(ErrorCode::BAD_VALUE, format!("the collation's 'strength' is from 1 to 5, not {number}"))
    })
}

fn version(text: &str) -> Result<()> {
    if text == COLLATION_VERSION {
        return Ok(());
    }
    let reason = format!("the collation is of version '{text}', this is {COLLATION_VERSION}");
    Err(Error::new(INCOMPATIBLE_VERSION, reason))
}
