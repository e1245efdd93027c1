//! What the suites over documents are told.

use std::path::PathBuf;

/// How much to measure, and with what.
pub struct Arguments {
    /// Documents stored.
    pub documents: u64,
    /// Seconds a row takes at most.
    pub seconds: f64,
    /// The server to start.
    pub sheafd: PathBuf,
}

impl Arguments {
    /// Reads `--n DOCUMENTS --secs SECONDS_A_ROW --sheafd PATH`. The server is also taken from the environment
    /// (`SHEAFD`); without either it is the release build of the current directory.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let sheafd = std::env::var_os("SHEAFD").map_or_else(|| "target/release/sheafd".into(), PathBuf::from);
        let mut parsed = Self { documents: 100_000, seconds: 2.0, sheafd };
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{argument} {value}: {error}");
            match argument.as_str() {
                "--n" => parsed.documents = value.parse().map_err(|error| wrong(&error))?,
                "--secs" => parsed.seconds = value.parse().map_err(|error| wrong(&error))?,
                "--sheafd" => parsed.sheafd = PathBuf::from(&value),
                _ => return Err(format!("unknown argument {argument}")),
            }
        }
        if parsed.documents < DOCUMENTS_MIN {
            return Err(format!("--n is at least {DOCUMENTS_MIN}, or the queries have nothing to find"));
        }
        if !(parsed.seconds > 0.0 && parsed.seconds <= SECONDS_MAX) {
            return Err(format!("--secs is more than 0 and at most {SECONDS_MAX}"));
        }
        Ok(parsed)
    }
}

const DOCUMENTS_MIN: u64 = 1_000;
const SECONDS_MAX: f64 = 3_600.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_and_nonsense_is_refused() {
        let parsed = parse("--n 5000 --secs 0.5 --sheafd /bin/x").unwrap();
        assert_eq!((parsed.documents, parsed.sheafd), (5_000, PathBuf::from("/bin/x")));
        assert!(parsed.seconds < 0.6);
        for wrong in ["--n", "--n 10", "--n x", "--secs 0", "--secs NaN", "--secs 1e9", "--what 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
