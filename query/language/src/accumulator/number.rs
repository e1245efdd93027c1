//! `$sum` and `$avg`: sums that neither overflow nor drift.
//!
//! Integers are added exactly in 128 bits, doubles with a compensation for what each addition loses (Neumaier 1974),
//! decimals as decimals. Only the result decides on a type: the widest that was seen, and a wider one if the sum does
//! not fit it.

use sheaf_document::decimal::{Finite, Rounding};
use std::borrow::Cow;

use sheaf_document::{Decimal128, DocumentBuilder, RawDocument, Value, ValueRef};

/// The widest type of number seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    #[default]
    Int,
    Long,
    Double,
    Decimal,
}

/// A running sum.
#[derive(Clone, Debug)]
pub struct Sum {
    width: Width,
    integers: i128,
    doubles: Compensated,
    decimals: Decimal128,
    count: u64,
}

/// A sum of doubles and what rounding took from it.
#[derive(Clone, Copy, Debug, Default)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        let lost = if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        // Infinities have nothing to lose, and would leave NaN.
        if lost.is_finite() {
            self.lost += lost;
        }
        self.sum = sum;
    }

    fn total(self) -> f64 {
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            width: Width::Int,
            integers: 0,
            doubles: Compensated::default(),
            decimals: Decimal128::from(0),
            count: 0,
        }
    }
}

impl Sum {
    /// Adds a number; anything else is passed over.
    pub fn add(&mut self, value: &Value<'_>) {
        let width = match value {
            Value::Int32(number) => {
                self.integers += i128::from(*number);
                Width::Int
            }
            Value::Int64(number) => {
                self.integers += i128::from(*number);
                Width::Long
            }
            Value::Double(number) => {
                self.doubles.add(*number);
                Width::Double
            }
            Value::Decimal128(number) => {
                self.decimals = self.decimals + *number;
                Width::Decimal
            }
            _ => return,
        };
        self.width = self.width.max(width);
        self.count += 1;
    }

    /// Writes everything that goes into the sum.
    pub(super) fn save(&self, out: &mut DocumentBuilder) {
        let width = match self.width {
            Width::Int => 0,
            Width::Long => 1,
            Width::Double => 2,
            Width::Decimal => 3,
        };
        let integers = self.integers.to_le_bytes().to_vec();
        out.append("w", width)
            .append("i", Value::Binary { subtype: 0, bytes: Cow::Owned(integers) })
            .append("s", self.doubles.sum)
            .append("l", self.doubles.lost)
            .append("d", self.decimals)
            .append("c", i64::try_from(self.count).unwrap_or(i64::MAX));
    }

    /// A sum as it was saved.
    pub(super) fn load(saved: RawDocument<'_>) -> Option<Self> {
        let width = match saved.get("w")? {
            ValueRef::Int32(0) => Width::Int,
            ValueRef::Int32(1) => Width::Long,
            ValueRef::Int32(2) => Width::Double,
            ValueRef::Int32(3) => Width::Decimal,
            _ => return None,
        };
        let ValueRef::Binary(integers) = saved.get("i")? else { return None };
        let ValueRef::Decimal128(decimals) = saved.get("d")? else { return None };
        Some(Self {
            width,
            integers: i128::from_le_bytes(*integers.bytes.first_chunk()?),
            doubles: Compensated { sum: double(saved, "s")?, lost: double(saved, "l")? },
            decimals,
            count: count(saved)?,
        })
    }

    /// The sum in its type.
    pub fn total(&self) -> Value<'static> {
        match self.width {
            Width::Decimal => Value::Decimal128(self.as_decimal()),
            Width::Double => Value::Double(self.as_double()),
            Width::Int | Width::Long => match (i32::try_from(self.integers), i64::try_from(self.integers)) {
                (Ok(int), _) if self.width == Width::Int => Value::Int32(int),
                (_, Ok(long)) => Value::Int64(long),
                _ => Value::Double(self.as_double()),
            },
        }
    }

    /// The mean: a decimal if there was one, else a double; null of nothing.
    pub fn mean(&self) -> Value<'static> {
        if self.count == 0 {
            return Value::Null;
        }
        if self.width == Width::Decimal {
            let count = Decimal128::from(i64::try_from(self.count).unwrap_or(i64::MAX));
            return Value::Decimal128(self.as_decimal() / count);
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean is a double")]
        Value::Double(self.as_double() / self.count as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "the sum is wanted as a double")]
    fn as_double(&self) -> f64 {
        let mut total = self.doubles;
        // In two parts, so that a long does not lose its low bits before the compensation sees them.
        let high = self.integers as f64;
        total.add(high);
        #[expect(clippy::cast_possible_truncation, reason = "only an approximation is subtracted")]
        total.add((self.integers - high as i128) as f64);
        total.total()
    }

    fn as_decimal(&self) -> Decimal128 {
        let integers = match i64::try_from(self.integers) {
            Ok(long) => Decimal128::from(long),
            Err(_) => Decimal128::parse(&self.integers.to_string()).unwrap_or(Decimal128::from(0)),
        };
        let doubles = self.doubles.total();
        let sum = self.decimals + integers;
        if doubles == 0.0 { sum } else { sum + exact_decimal(doubles) }
    }
}

fn double(saved: RawDocument<'_>, name: &str) -> Option<f64> {
    match saved.get(name)? {
        ValueRef::Double(number) => Some(number),
        _ => None,
    }
}

fn count(saved: RawDocument<'_>) -> Option<u64> {
    match saved.get("c")? {
        ValueRef::Int64(count) => u64::try_from(count).ok(),
        _ => None,
    }
}

/// A double to 34 digits, without zeros at the end of its fraction: what binary stores, not what was written.
fn exact_decimal(number: f64) -> Decimal128 {
    let exact = Decimal128::from_f64_digits(number, 34);
    let Some(parts) = exact.finite().map(Finite::normalized) else { return exact };
    let shortest = Decimal128::from_finite(parts).unwrap_or(exact);
    if parts.exponent > 0 { shortest.quantize(0, Rounding::HalfEven).unwrap_or(shortest) } else { shortest }
}

/// Mean and spread in one pass (Welford 1962), over doubles.
#[derive(Clone, Debug, Default)]
pub struct Deviation {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Deviation {
    /// Adds a number; anything else is passed over.
    pub fn add(&mut self, value: &Value<'_>) {
        #[expect(clippy::cast_precision_loss, reason = "deviations are doubles")]
        let number = match value {
            Value::Int32(number) => f64::from(*number),
            Value::Int64(number) => *number as f64,
            Value::Double(number) => *number,
            Value::Decimal128(number) => number.to_f64(),
            _ => return,
        };
        self.count += 1;
        let before = number - self.mean;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        {
            self.mean += before / self.count as f64;
        }
        self.squares += before * (number - self.mean);
    }

    /// Writes everything that goes into the deviation.
    pub(super) fn save(&self, out: &mut DocumentBuilder) {
        out.append("c", i64::try_from(self.count).unwrap_or(i64::MAX))
            .append("m", self.mean)
            .append("q", self.squares);
    }

    /// A deviation as it was saved.
    pub(super) fn load(saved: RawDocument<'_>) -> Option<Self> {
        Some(Self { count: count(saved)?, mean: double(saved, "m")?, squares: double(saved, "q")? })
    }

    /// The standard deviation of the population, or of a sample of it; null of too few.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn result(&self, sample: bool) -> Value<'static> {
        let divisor = self.count.saturating_sub(u64::from(sample));
        if divisor == 0 {
            return Value::Null;
        }
        Value::Double((self.squares / divisor as f64).sqrt())
    }
}
