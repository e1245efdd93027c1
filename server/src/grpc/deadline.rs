//! The deadline a caller sends along.

use std::time::{Duration, Instant};

use tonic::metadata::MetadataMap;

/// When a call has to be answered, if its caller said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Reads the `grpc-timeout` header (at most eight digits and a unit). One that is malformed is no deadline: the
    /// transport treats it the same way.
    pub fn of(metadata: &MetadataMap) -> Self {
        let timeout = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The time left, for the engine: `None` without a deadline, never zero (which would mean none).
    pub fn time_left(self) -> Option<Duration> {
        let left = self.0?.saturating_duration_since(Instant::now());
        Some(left.max(Duration::from_millis(1)))
    }
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_no_deadline() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "m", "5", "5x", "-5m", "123456789m", "5é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_passed_deadline_leaves_no_time_but_never_means_none() {
        let mut metadata = MetadataMap::new();
        assert_eq!(Deadline::of(&metadata).time_left(), None);
        metadata.insert("grpc-timeout", "0m".parse().unwrap());
        let deadline = Deadline::of(&metadata);
        assert!(deadline.has_passed());
        assert_eq!(deadline.time_left(), Some(Duration::from_millis(1)));
    }
}
