//! Units of time and days of the week by name.

use sheaf_document::Value;

use crate::{Error, ErrorCode, Result};

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    /// The unit of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            _ => return None,
        })
    }

    /// The unit an argument names; nothing if it is null.
    pub(super) fn of_argument(operator: &str, value: &Value<'_>) -> Result<Option<Self>> {
        match value {
            value if value.is_nullish() => Ok(None),
            Value::String(name) => Self::from_name(name).map(Some).ok_or_else(|| {
                let message = format!("'{name}' is no unit of time for {operator}");
                Error::new(ErrorCode::FAILED_TO_PARSE, message)
            }),
            other => {
                let message = format!("{operator} takes a string as its unit, found {}", other.type_name());
                Err(Error::location(5_439_013, message))
            }
        }
    }

    /// Milliseconds of a unit that always has as many.
    pub(crate) const fn fixed_millis(self) -> Option<i64> {
        Some(match self {
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1000,
            Self::Millisecond => 1,
            _ => return None,
        })
    }

    /// Months of a unit that is made of months.
    pub(super) const fn months(self) -> Option<i64> {
        Some(match self {
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }

    /// Days of a unit that is made of days.
    pub(super) const fn days(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7,
            Self::Day => 1,
            _ => return None,
        })
    }
}

/// The day a week starts on, 1 for Monday; Sunday if the argument is not given, nothing if it is null.
pub(super) fn start_of_week(operator: &str, given: bool, value: &Value<'_>) -> Result<Option<i64>> {
    let name = match value {
        _ if !given => return Ok(Some(7)),
        Value::String(name) => name.to_ascii_lowercase(),
        value if value.is_nullish() => return Ok(None),
        other => {
            let message =
                format!("{operator} takes a string as its startOfWeek, found {}", other.type_name());
            return Err(Error::location(5_439_015, message));
        }
    };
    let day = match name.as_str() {
        "monday" | "mon" => 1,
        "tuesday" | "tue" => 2,
        "wednesday" | "wed" => 3,
        "thursday" | "thu" => 4,
        "friday" | "fri" => 5,
        "saturday" | "sat" => 6,
        "sunday" | "sun" => 7,
        other => {
            let message = format!("'{other}' is no day of the week for the startOfWeek of {operator}");
            return Err(Error::location(5_439_016, message));
        }
    };
    Ok(Some(day))
}
