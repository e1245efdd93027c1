//! Where the corpus is, and reading it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::case::Case;
use super::{Error, Result};

/// The folder of the suites: as given, else `SHEAF_SUITES`, else `../shared/suites` beside the repository.
pub fn suites_dir(given: Option<PathBuf>) -> PathBuf {
    given.or_else(|| std::env::var_os("SHEAF_SUITES").map(PathBuf::from)).unwrap_or_else(|| {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        repository.join("../shared/suites")
    })
}

/// The file of the corpus in the folder of the suites.
pub fn corpus_file(suites: &Path) -> PathBuf {
    suites.join("functional-tests/shared.jsonl.gz")
}

/// Reads every case that `wanted` names.
pub fn read(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Case>> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let file = File::open(path).map_err(io)?;
    let mut cases = Vec::new();
    for (index, line) in BufReader::new(MultiGzDecoder::new(file)).lines().enumerate() {
        let line = line.map_err(io)?;
        if line.is_empty() {
            continue;
        }
        if let Some(case) = Case::parse(&line, &wanted)
            .map_err(|reason| Error::Format { id: format!("on line {}", index + 1), reason })?
        {
            cases.push(case);
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::{corpus_file, read, suites_dir};

    #[test]
    fn every_case_of_the_corpus_is_understood() {
        let file = corpus_file(&suites_dir(None));
        if !file.exists() {
            println!("not run: {} is not there", file.display());
            return;
        }
        let cases = read(&file, |_| true).unwrap();
        assert!(cases.len() > 30_000, "only {} cases", cases.len());
        assert!(cases.iter().all(|case| !case.asserts.is_empty()));
    }
}
