//! `$percentile` and `$median`.
//!
//! The method is "approximate" by name; the answer is exact: all numbers are kept and the one at the rank is taken
//! (the nearest rank: the smallest number with at least that share of the numbers at or below it).

use sheaf_document::Value;

/// The numbers seen.
#[derive(Clone, Debug, Default)]
pub struct Percentiles {
    numbers: Vec<f64>,
}

impl Percentiles {
    /// Adds a number; anything else is passed over.
    pub fn add(&mut self, value: &Value<'_>) {
        #[expect(clippy::cast_precision_loss, reason = "percentiles are doubles")]
        let number = match value {
            Value::Int32(number) => f64::from(*number),
            Value::Int64(number) => *number as f64,
            Value::Double(number) => *number,
            Value::Decimal128(number) => number.to_f64(),
            _ => return,
        };
        if !number.is_nan() {
            self.numbers.push(number);
        }
    }

    /// The numbers seen, in the order they came.
    pub(super) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Takes over numbers that were seen elsewhere.
    pub(super) fn extend(&mut self, numbers: impl Iterator<Item = f64>) {
        self.numbers.extend(numbers);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.numbers.len() * size_of::<f64>()
    }

    /// The numbers at these ranks (0 to 1), as an array; nulls of nothing.
    pub fn at(mut self, ranks: &[f64]) -> Value<'static> {
        self.numbers.sort_by(f64::total_cmp);
        Value::array(ranks.iter().map(|rank| self.ranked(*rank)).collect())
    }

    /// The number in the middle; null of nothing.
    pub fn median(mut self) -> Value<'static> {
        self.numbers.sort_by(f64::total_cmp);
        self.ranked(0.5)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank between 0 and the count"
    )]
    fn ranked(&self, rank: f64) -> Value<'static> {
        let place = (rank * self.numbers.len() as f64).ceil() as usize;
        self.numbers.get(place.saturating_sub(1)).map_or(Value::Null, |number| Value::Double(*number))
    }
}
