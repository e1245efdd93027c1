//! The file of known failures: ids only, sorted, one a line. It may only shrink.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// Where the file is.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/known_failures.txt")
}

/// Reads the file; lines that start with `# ` are comments. An absent file knows no failure.
pub fn read(path: &Path) -> Result<BTreeSet<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("# "))
            .map(str::to_owned)
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(source) => Err(Error::Io { path: path.display().to_string(), source }),
    }
}

/// Writes the file.
pub fn write(path: &Path, known: &BTreeSet<String>) -> Result<()> {
    let mut text = String::from("# Cases of the corpus that fail. This list may only shrink.\n");
    for id in known {
        text.push_str(id);
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|source| Error::Io { path: path.display().to_string(), source })
}

/// What a run says about the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Failing, but not known: something broke.
    pub broken: Vec<String>,
    /// Known, but passing: their lines must go.
    pub mended: Vec<String>,
}

/// Compares what ran with what is known; cases that did not run are left alone.
pub fn compare<'a>(known: &BTreeSet<String>, ran: impl Iterator<Item = (&'a str, bool)>) -> Comparison {
    let mut comparison = Comparison { broken: Vec::new(), mended: Vec::new() };
    for (id, passed) in ran {
        match (passed, known.contains(id)) {
            (true, true) => comparison.mended.push(id.to_owned()),
            (false, false) => comparison.broken.push(id.to_owned()),
            _ => {}
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::compare;

    #[test]
    fn the_list_may_only_shrink() {
        let known = BTreeSet::from(["a".to_owned(), "b".to_owned(), "not run".to_owned()]);
        let comparison = compare(&known, [("a", true), ("b", false), ("c", false), ("d", true)].into_iter());
        assert_eq!(comparison.mended, ["a"]);
        assert_eq!(comparison.broken, ["c"]);
    }
}
