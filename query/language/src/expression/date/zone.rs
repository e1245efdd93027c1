//! Time zones: names of the IANA database, which is compiled in, and fixed offsets such as `+02`, `+0200`, `+02:00`.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use sheaf_document::Value;

use crate::{Error, Result};

/// A time zone.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// This many milliseconds ahead of UTC, always.
    Fixed(i64),
    /// By the rules of a place.
    Place(TimeZone),
}

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

impl Zone {
    /// Universal time.
    pub(crate) const UTC: Self = Self::Fixed(0);

    /// The zone of this name.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        if name.starts_with(['+', '-']) {
            return fixed_offset(name).map(Self::Fixed).ok_or_else(|| unknown(name));
        }
        if matches!(name, "UTC" | "GMT") {
            return Ok(Self::UTC);
        }
        let zone = DATABASE.get(name).map_err(|_| unknown(name))?;
        // Names are exact, though the database does not mind the case.
        if zone.iana_name().is_some_and(|known| known != name) {
            return Err(unknown(name));
        }
        Ok(Self::Place(zone))
    }

    /// The zone an argument names: UTC if it is not given, nothing if it is null.
    pub(crate) fn of_argument(given: bool, value: &Value<'_>) -> Result<Option<Self>> {
        match value {
            _ if !given => Ok(Some(Self::UTC)),
            Value::String(name) => Self::parse(name).map(Some),
            value if value.is_nullish() => Ok(None),
            other => {
                let message = format!("a time zone is named by a string, found {}", other.type_name());
                Err(Error::location(40517, message))
            }
        }
    }

    /// Whether this is UTC.
    pub(crate) fn is_utc(&self) -> bool {
        matches!(self, Self::Fixed(0))
    }

    /// Milliseconds that the zone is ahead of UTC at a moment. Beyond the years that the database knows, the rules of
    /// its last year hold.
    pub(crate) fn offset_millis(&self, utc_millis: i64) -> i64 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Place(zone) => {
                let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
                let known = utc_millis.clamp(first.as_millisecond() + 1, last.as_millisecond() - 1);
                let moment = jiff::Timestamp::from_millisecond(known).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
                i64::from(zone.to_offset(moment).seconds()) * 1000
            }
        }
    }

    /// What the clock shows at a moment.
    pub(crate) fn to_local(&self, utc_millis: i64) -> i64 {
        utc_millis.saturating_add(self.offset_millis(utc_millis))
    }

    /// The moment at which the clock shows this. A time that the clock passes over counts as that much later; of a
    /// time that it shows twice, the first is meant.
    pub(crate) fn to_utc(&self, local_millis: i64) -> i64 {
        let before = self.offset_millis(local_millis.saturating_sub(super::calendar::DAY_MILLIS));
        let first = local_millis.saturating_sub(before);
        if self.offset_millis(first) == before {
            return first;
        }
        let after = self.offset_millis(local_millis.saturating_add(super::calendar::DAY_MILLIS));
        let second = local_millis.saturating_sub(after);
        if self.offset_millis(second) == after { second } else { first }
    }
}

fn unknown(name: &str) -> Error {
    Error::location(40485, format!("'{name}' is no time zone"))
}

/// `+hh`, `+hhmm` or `+hh:mm` in milliseconds.
fn fixed_offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    if hours.len() != 2 || (digits.len() > 2 && minutes.len() != 2) {
        return None;
    }
    Some(sign * (number(hours)? * 60 + number(minutes)?) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_three_forms() {
        for (text, minutes) in [("+02", 120), ("-0530", -330), ("+05:45", 345), ("+00:00", 0)] {
            let Zone::Fixed(offset) = Zone::parse(text).unwrap() else { panic!("{text}") };
            assert_eq!(offset, minutes * 60_000, "{text}");
        }
        for text in ["+2", "+02:0", "+100:00", "", "utc", "Nowhere", "+0a", "europe/oslo"] {
            assert_eq!(Zone::parse(text).unwrap_err().code.0, 40485, "{text}");
        }
    }

    #[test]
    fn gaps_and_folds_are_resolved() {
        let oslo = Zone::parse("Europe/Oslo").unwrap();
        // 2024-03-31 02:30 is passed over: 03:30 summer time, 01:30 UTC.
        assert_eq!(oslo.to_utc(1_711_852_200_000), 1_711_848_600_000);
        // 2024-10-27 02:30 comes twice: the first, summer time, 00:30 UTC.
        assert_eq!(oslo.to_utc(1_729_996_200_000), 1_729_989_000_000);
    }
}
