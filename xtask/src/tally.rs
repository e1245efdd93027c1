//! What passed, what failed, and what could not be run here.

/// Counts over all steps of a run.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and steps that ended badly without saying how many tests failed.
    pub failed: u64,
    /// Steps that could not be run on this machine, with the reason.
    pub not_run: Vec<String>,
}

impl Tally {
    /// Reads one line of a test runner's output and counts what it reports. Understands cargo's `test result:` line,
    /// `go test -v`'s verdicts and the plain `N passed, N failed`.
    pub fn read_line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += number_before(counts, "passed");
            self.failed += number_before(counts, "failed");
        } else if line.starts_with("--- PASS: ") {
            self.passed += 1;
        } else if line.starts_with("--- FAIL: ") {
            self.failed += 1;
        } else if let Some((passed, failed)) = plain_line(line) {
            self.passed += passed;
            self.failed += failed;
        } else if let Some(reason) = line.strip_prefix("not run: ") {
            self.not_run.push(reason.to_owned());
        }
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_run.extend(other.not_run);
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let mut previous = "";
    for part in text.split_whitespace() {
        if part.trim_end_matches(';') == word {
            return previous.parse().unwrap_or(0);
        }
        previous = part;
    }
    0
}

fn plain_line(line: &str) -> Option<(u64, u64)> {
    let (passed, failed) = line.split_once(", ")?;
    let failed = failed.split(", ").next()?;
    Some((passed.strip_suffix(" passed")?.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_runners_print() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "--- PASS: TestInsert (0.01s)",
            "    --- FAIL: TestFind/sorted (0.01s)",
            "37000 passed, 302 failed",
            "7 passed, 1 failed, 2 skipped",
            "5 passed in some prose, which counts for nothing",
            "not run: buf lint: pip is missing",
        ] {
            tally.read_line(line);
        }
        assert_eq!(tally.passed, 12 + 3 + 1 + 37_000 + 7);
        assert_eq!(tally.failed, 2 + 1 + 302 + 1);
        assert_eq!(tally.not_run, ["buf lint: pip is missing"]);
    }
}
