//! The Gregorian calendar, extended to all time, on milliseconds since the Unix epoch. The arithmetic between days and
//! dates counts years from March, so that the leap day comes last, in eras of 400 years.

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: i64 = 86_400_000;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

/// A moment read off a calendar and a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub millisecond: i64,
}

/// The day number (0 is 1970-01-01) of a date. Month and day may lie outside of the calendar: they carry.
pub(crate) fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let months = month - 1;
    let year = year.saturating_add(months.div_euclid(12));
    let month = months.rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(ERA_DAYS).saturating_add(day_of_era - 719_468).saturating_add(day - 1)
}

/// Year, month and day of a day number.
pub(crate) fn date_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days in a month.
pub(crate) fn month_days(year: i64, month: i64) -> i64 {
    days_from_date(year, month + 1, 1) - days_from_date(year, month, 1)
}

/// Day of the week, 1 for Monday to 7 for Sunday.
pub(crate) fn iso_weekday(days: i64) -> i64 {
    (days.rem_euclid(7) + 3) % 7 + 1
}

/// Day of the year, from 1.
pub(crate) fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = date_from_days(days);
    days - days_from_date(year, 1, 1) + 1
}

/// Week of the year, 0 to 53: weeks begin on Sunday, days before the first Sunday are in week 0.
pub(crate) fn week(days: i64) -> i64 {
    let sunday_based = iso_weekday(days) % 7;
    (day_of_year(days) - 1 + 7 - sunday_based) / 7
}

/// ISO 8601's year of weeks and week: a week belongs to the year of its Thursday.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (iso_weekday(days) - 1) + 3;
    let (year, _, _) = date_from_days(thursday);
    (year, (thursday - days_from_date(year, 1, 1)) / 7 + 1)
}

/// The day number of a day in ISO 8601's weeks; week and day may carry.
pub(crate) fn days_from_iso_week(year: i64, week: i64, weekday: i64) -> i64 {
    // The week with January 4 is the first.
    let fourth = days_from_date(year, 1, 4);
    let first_monday = fourth - (iso_weekday(fourth) - 1);
    first_monday + (week - 1) * 7 + (weekday - 1)
}

/// Reads a moment off the clock; `local_millis` has the zone's offset added.
pub(crate) fn parts(local_millis: i64) -> Parts {
    let (year, month, day) = date_from_days(day_number(local_millis));
    let time = local_millis.rem_euclid(DAY_MILLIS);
    Parts {
        year,
        month,
        day,
        hour: time / 3_600_000,
        minute: time / 60_000 % 60,
        second: time / 1000 % 60,
        millisecond: time % 1000,
    }
}

/// The day number of a moment.
pub(crate) fn day_number(local_millis: i64) -> i64 {
    local_millis.div_euclid(DAY_MILLIS)
}

/// The moment of a day number and a time of day, if 64 bits hold it.
pub(crate) fn millis(days: i64, time_millis: i64) -> Option<i64> {
    let millis = i128::from(days) * i128::from(DAY_MILLIS) + i128::from(time_millis);
    i64::try_from(millis).ok()
}

/// `2024-01-31T12:30:45.123Z`.
pub(crate) fn iso_text(utc_millis: i64) -> String {
    let Parts { year, month, day, hour, minute, second, millisecond } = parts(utc_millis);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-1_000_000..1_000_000).step_by(37) {
            let (year, month, day) = date_from_days(days);
            assert_eq!(days_from_date(year, month, day), days);
            assert!((1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day));
        }
        assert_eq!(date_from_days(0), (1970, 1, 1));
        assert_eq!(date_from_days(11_016), (2000, 2, 29));
    }

    #[test]
    fn weeks_are_those_of_the_calendar() {
        // 2005-01-01 was a Saturday and lies in week 53 of 2004; 2008-12-29 was a Monday in week 1 of 2009.
        let saturday = days_from_date(2005, 1, 1);
        assert_eq!((iso_weekday(saturday), iso_week(saturday), week(saturday)), (6, (2004, 53), 0));
        let monday = days_from_date(2008, 12, 29);
        assert_eq!((iso_weekday(monday), iso_week(monday)), (1, (2009, 1)));
        assert_eq!(days_from_iso_week(2009, 1, 1), monday);
    }

    #[test]
    fn the_edges_of_time_have_parts() {
        for edge in [i64::MIN, i64::MAX] {
            assert_eq!(millis(day_number(edge), edge.rem_euclid(DAY_MILLIS)), Some(edge));
            assert!(parts(edge).year.abs() > 290_000_000);
        }
    }
}
