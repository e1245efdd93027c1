//! The table a suite prints.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use crate::meter::Figures;

/// Prints rows as they come and counts them.
#[derive(Default)]
pub struct Report {
    rows: u64,
}

impl Report {
    /// How fast operations went. `documents` is how many each of them reads or writes.
    pub fn operations(&mut self, name: &str, threads: usize, figures: &Figures, documents: u64) {
        self.rows += 1;
        println!(
            "{name:<38} {threads:>2} {:>11.1} ops/s {:>12.0} docs/s   p50 {:>10.1} us   p99 {:>10.1} us",
            figures.per_second(),
            figures.per_second() * documents as f64,
            figures.percentile_micros(0.5),
            figures.percentile_micros(0.99),
        );
    }

    /// Any other figure.
    pub fn value(&mut self, name: &str, value: f64, unit: &str) {
        self.rows += 1;
        println!("{name:<41} {value:>11.1} {unit}");
    }

    /// The last line. Without peers in the same run there is no ratio to tell.
    pub fn finish(self) {
        println!("rows {} geomean - worst - (without peers; --compare measures them)", self.rows);
    }
}
