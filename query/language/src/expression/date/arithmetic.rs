//! `$dateAdd`, `$dateSubtract`.

use sheaf_document::Value;

use super::super::number::Number;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{DAY_MILLIS, day_number, days_from_date, millis, month_days, parts};
use super::expect_date;
use super::unit::Unit;
use super::zone::Zone;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::named("$dateAdd", &FIELDS, |arguments, _| evaluate("$dateAdd", arguments, 1)),
    Operator::named("$dateSubtract", &FIELDS, |arguments, _| evaluate("$dateSubtract", arguments, -1)),
];

const FIELDS: NamedFields = NamedFields {
    not_document: 5_166_400,
    unknown: 5_166_401,
    fields: &[
        ("startDate", Some(5_166_402)),
        ("unit", Some(5_166_402)),
        ("amount", Some(5_166_402)),
        ("timezone", None),
    ],
};

/// More units than this cannot lead from one date to another that 64 bits of milliseconds hold.
const fn amount_max(unit: Unit) -> i64 {
    match unit {
        Unit::Year => 584_942_417,
        Unit::Quarter => 4 * 584_942_417,
        Unit::Month => 12 * 584_942_417,
        Unit::Week => 30_500_568_904,
        Unit::Day => 213_503_982_334,
        Unit::Hour => 5_124_095_576_030,
        Unit::Minute => 307_445_734_561_825,
        Unit::Second => 18_446_744_073_709_551,
        Unit::Millisecond => i64::MAX,
    }
}

fn evaluate<'a>(operator: &str, arguments: &Arguments<'a>, sign: i64) -> Result<Value<'a>> {
    let start = arguments.get(0);
    if start.is_nullish() {
        return Ok(Value::Null);
    }
    let unit = Unit::of_argument(operator, arguments.get(1))?;
    let amount = arguments.get(2);
    let zone = Zone::of_argument(arguments.given(3), arguments.get(3))?;
    let (Some(unit), false, Some(zone)) = (unit, amount.is_nullish(), zone) else { return Ok(Value::Null) };
    let start = expect_date(operator, 5_166_403, start)?;
    let amount = Number::of(amount).and_then(Number::to_i64_exact).ok_or_else(|| {
        let message = format!("{operator} takes a whole number as its amount, found {}", amount.type_name());
        Error::location(5_166_405, message)
    })?;
    if sign < 0 && amount == i64::MIN {
        return Err(Error::location(6_045_000, format!("{operator} cannot subtract the smallest long")));
    }
    if amount.unsigned_abs() > amount_max(unit).unsigned_abs() {
        return Err(Error::location(
            5_976_500,
            format!("the amount {amount} of {operator} is too large for its unit"),
        ));
    }
    add(start, unit, amount * sign, &zone)
        .map(Value::DateTime)
        .ok_or_else(|| Error::location(5_166_406, format!("the date that {operator} makes does not fit")))
}

/// The date that many units later; nothing if it does not fit 64 bits.
pub(crate) fn add(start: i64, unit: Unit, amount: i64, zone: &Zone) -> Option<i64> {
    if let Some(unit_millis) = unit.fixed_millis() {
        return start.checked_add(amount.checked_mul(unit_millis)?);
    }
    let local = zone.to_local(start);
    let days = if let Some(unit_months) = unit.months() {
        let from = parts(local);
        let month = from.month.checked_add(amount.checked_mul(unit_months)?)?;
        // A day that the month does not have becomes its last.
        let day = from.day.min(month_days(from.year, month));
        days_from_date(from.year, month, day)
    } else {
        day_number(local).checked_add(amount.checked_mul(unit.days()?)?)?
    };
    let later = millis(days, local.rem_euclid(DAY_MILLIS))?;
    Some(zone.to_utc(later))
}
