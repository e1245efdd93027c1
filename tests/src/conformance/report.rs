//! What a run looks like to a person: a line for every area.

use std::collections::BTreeMap;
use std::fmt;

use super::case::Case;
use super::runner::Outcome;

/// Counts by area.
#[derive(Debug, Default)]
pub struct Report {
    areas: BTreeMap<String, (usize, usize)>,
}

impl Report {
    /// Counts these outcomes.
    pub fn new(outcomes: &[(Case, Outcome)]) -> Self {
        let mut report = Self::default();
        for (case, outcome) in outcomes {
            let (passed, total) = report.areas.entry(case.area().to_owned()).or_default();
            *total += 1;
            *passed += usize::from(*outcome == Outcome::Passed);
        }
        report
    }

    /// Cases that passed, and all.
    pub fn totals(&self) -> (usize, usize) {
        self.areas.values().fold((0, 0), |sum, area| (sum.0 + area.0, sum.1 + area.1))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (area, (passed, total)) in &self.areas {
            writeln!(f, "{passed:>6} of {total:>6}  {:>5}  {area}", percent(*passed, *total))?;
        }
        let (passed, total) = self.totals();
        writeln!(f, "{passed:>6} of {total:>6}  {:>5}  all", percent(passed, total))
    }
}

/// A rate with one decimal, rounded down: 99.9 is never 100.
fn percent(passed: usize, total: usize) -> String {
    let tenths = (passed * 1000).checked_div(total).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}
