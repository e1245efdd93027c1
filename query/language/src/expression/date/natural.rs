//! Dates as people write them: ISO 8601 and its relatives, `20240131`, `1/31/2024`, `Wed Jan 31 12:05:28 +03:30 1996`,
//! `January 31st, 2024 5 pm`. What does not name a year, a month and a day is no date. The calendar is strict: there is
//! no February 30.

use super::calendar::{DAY_MILLIS, days_from_date, millis, month_days};
use super::to_string::MONTHS;
use super::zone::Zone;

/// What was read: the clock's time, and the zone if the text names one.
pub(super) struct Written {
    pub local_millis: i64,
    pub zone: Option<Zone>,
}

/// The parts as they are found.
#[derive(Default)]
pub(super) struct Found {
    pub year: Option<i64>,
    pub month: Option<i64>,
    pub day: Option<i64>,
    pub time_millis: Option<i64>,
    pub zone: Option<Zone>,
}

impl Found {
    /// The moment, if the parts make one.
    pub(super) fn finish(self) -> Option<Written> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
            return None;
        }
        let time = self.time_millis.unwrap_or(0);
        let local_millis = millis(days_from_date(year, month, day), time)?;
        Some(Written { local_millis, zone: self.zone })
    }
}

/// Reads a date; nothing if the text is none.
pub(super) fn read(text: &str) -> Option<Written> {
    let text = text.trim_matches(|letter: char| {
        letter.is_ascii_whitespace() || matches!(letter, '\u{B}' | '\u{A0}' | '\0')
    });
    let mut found = Found::default();
    if let Some(rest) = leading_date(text, &mut found) {
        let rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None if rest.is_empty() || rest.starts_with(char::is_whitespace) => rest,
            None => return None,
        };
        words(rest, &mut found)?;
    } else {
        words(text, &mut found)?;
    }
    found.finish()
}

/// Takes up to `max` digits off the front, at least `min`.
fn digits(text: &str, min: usize, max: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if count < min {
        return None;
    }
    let (number, rest) = text.split_at_checked(count)?;
    Some((number.parse().ok()?, rest))
}

/// A date written in digits at the start, and what follows it.
fn leading_date<'t>(text: &'t str, found: &mut Found) -> Option<&'t str> {
    dashed_date(text, found).or_else(|| compact_date(text, found)).or_else(|| slashed_date(text, found))
}

/// `2024-01-31`, also with a sign before the year, and `2024/1/31`.
fn dashed_date<'t>(text: &'t str, found: &mut Found) -> Option<&'t str> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (year, rest) = digits(unsigned, 4, 4)?;
    let separator = rest.chars().next().filter(|separator| matches!(separator, '-' | '/'))?;
    let (month, rest) = digits(rest.strip_prefix(separator)?, 1, 2)?;
    let (day, rest) = match rest.strip_prefix(separator) {
        Some(rest) => digits(rest, 1, 2)?,
        // A month alone means its first day.
        None => (1, rest),
    };
    if rest.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    (found.year, found.month, found.day) = (Some(sign * year), Some(month), Some(day));
    Some(rest)
}

/// `20240131`, and `20240131T123045`.
fn compact_date<'t>(text: &'t str, found: &mut Found) -> Option<&'t str> {
    let (number, rest) = digits(text, 8, 8)?;
    let clock = rest.strip_prefix(['T', 't', ' ']).and_then(|rest| {
        let (number, after) = digits(rest, 6, 6).or_else(|| digits(rest, 4, 4).map(|(n, r)| (n * 100, r)))?;
        (!after.starts_with([':', '.']) && !after.starts_with(|c: char| c.is_ascii_digit()))
            .then_some((number, after))
    });
    (found.year, found.month, found.day) =
        (Some(number / 10_000), Some(number / 100 % 100), Some(number % 100));
    match clock {
        Some((number, after)) => {
            found.time_millis = Some(clock_millis(number / 10_000, number / 100 % 100, number % 100)?);
            Some(after)
        }
        None if rest.starts_with(|letter: char| letter.is_ascii_digit()) => None,
        None => Some(rest),
    }
}

/// `1/31/2024`.
fn slashed_date<'t>(text: &'t str, found: &mut Found) -> Option<&'t str> {
    let (month, rest) = digits(text, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('/')?, 1, 2)?;
    let (year, rest) = digits(rest.strip_prefix('/')?, 4, 4)?;
    (found.year, found.month, found.day) = (Some(year), Some(month), Some(day));
    Some(rest)
}

fn clock_millis(hour: i64, minute: i64, second: i64) -> Option<i64> {
    let valid = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let time = ((hour * 60 + minute) * 60 + second) * 1000;
    (valid && time <= DAY_MILLIS).then_some(time)
}

/// Everything that stands apart: times, zones, names of months and days, numbers.
fn words(text: &str, found: &mut Found) -> Option<()> {
    for word in
        text.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|word| !word.is_empty())
    {
        one_word(word, found)?;
    }
    Some(())
}

fn one_word(word: &str, found: &mut Found) -> Option<()> {
    if let Some((time, rest)) = clock(word) {
        if found.time_millis.replace(time).is_some() {
            return None;
        }
        return if rest.is_empty() { Some(()) } else { one_word(rest, found) };
    }
    if let Some(later) = half_of_day(word, found.time_millis) {
        found.time_millis = Some(later);
        return Some(());
    }
    if let Some(zone) = zone(word) {
        return found.zone.replace(zone).is_none().then_some(());
    }
    if let Some(month) = month_by_name(word) {
        return found.month.replace(month).is_none().then_some(());
    }
    if is_weekday(word) {
        return Some(());
    }
    if word.contains('-') && word.contains(|letter: char| letter.is_ascii_alphabetic()) {
        // 31-Jan-2024
        return word.split('-').try_for_each(|part| one_word(part, found));
    }
    number_word(word, found)
}

/// A year of four digits, or a day, which may end like an ordinal.
fn number_word(word: &str, found: &mut Found) -> Option<()> {
    let (number, rest) = digits(word, 1, 4)?;
    let count = word.len() - rest.len();
    match rest.to_ascii_lowercase().as_str() {
        "" if count == 4 && found.year.is_none() => found.year = Some(number),
        "" | "st" | "nd" | "rd" | "th" if count <= 2 && found.day.is_none() => found.day = Some(number),
        _ => return None,
    }
    Some(())
}

/// `12:30`, `12:30:45`, `12:30:45.123` at the start, and what follows.
fn clock(word: &str) -> Option<(i64, &str)> {
    let (hour, rest) = digits(word, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let Some(after_minutes) = rest.strip_prefix(':') else {
        return Some((clock_millis(hour, minute, 0)?, rest));
    };
    let (second, rest) = digits(after_minutes, 2, 2)?;
    let time = clock_millis(hour, minute, second)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((time, rest)) };
    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, rest) = fraction.split_at_checked(count)?;
    let padded = format!("{fraction:0<3}");
    Some((time + padded.get(..3)?.parse::<i64>().ok()?, rest))
}

/// The time that `am` or `pm` makes of a time.
fn half_of_day(word: &str, time: Option<i64>) -> Option<i64> {
    let afternoon = match word.to_ascii_lowercase().as_str() {
        "am" | "a.m." => false,
        "pm" | "p.m." => true,
        _ => return None,
    };
    let time = time?;
    let half = DAY_MILLIS / 2;
    (time < half + 3_600_000).then_some(time % half + if afternoon { half } else { 0 })
}

fn zone(word: &str) -> Option<Zone> {
    match word {
        "Z" | "z" | "UTC" | "utc" | "GMT" | "gmt" => Some(Zone::UTC),
        _ if word.starts_with(['+', '-']) => {
            let padded = match word.len() {
                // +330
                4 => format!("{}0{}", word.get(..1)?, word.get(1..)?),
                2 => format!("{}0{}", word.get(..1)?, word.get(1..)?),
                _ => word.to_owned(),
            };
            Zone::parse(&padded).ok()
        }
        "EST" => Zone::parse("-05").ok(),
        "EDT" | "CDT" | "MDT" | "PDT" | "CST" | "MST" | "PST" => {
            let hours = match word {
                "EDT" => 4,
                "CDT" => 5,
                "CST" | "MDT" => 6,
                "MST" | "PDT" => 7,
                _ => 8,
            };
            Some(Zone::Fixed(-hours * 3_600_000))
        }
        _ if word.contains('/') => Zone::parse(word).ok(),
        _ => None,
    }
}

/// The month of a name or its first three letters, from 1.
pub(super) fn month_by_name(word: &str) -> Option<i64> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let place = MONTHS.iter().position(|name| {
        let name = name.to_ascii_lowercase();
        name == word || name.get(..3) == Some(word.as_str()) || (word == "sept" && name == "september")
    })?;
    i64::try_from(place + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        .iter()
        .any(|name| *name == word || name.get(..3) == Some(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Option<i64> {
        let written = read(text)?;
        Some(written.zone.unwrap_or(Zone::UTC).to_utc(written.local_millis))
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        let noon = Some(1_706_702_400_000);
        for text in [
            "2024-01-31T12:00:00Z",
            "2024-01-31 12:00",
            "20240131T120000",
            "1/31/2024 12:00 pm",
            "Wed, 31 Jan 2024 12:00:00 GMT",
            "January 31st, 2024 13:00 +0100",
            "31-Jan-2024 12:00:00.000",
            " 2024-01-31T07:00:00-05:00\n",
        ] {
            assert_eq!(moment(text), noon, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "Friday",
            "2024",
            "2024-02-30",
            "2024-13-01",
            "12:00",
            "10000-01-01",
            "not-a-date",
            "2024-01-31x",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
