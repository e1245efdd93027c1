//! The files of the repository, as git knows them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

/// Tracked and new files with this ending, relative to the root; ignored ones are left out.
pub fn files(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files failed");
    let mut files: Vec<PathBuf> = String::from_utf8(output.stdout)
        .expect("paths are UTF-8")
        .lines()
        .filter(|path| path.ends_with(ending))
        .map(PathBuf::from)
        .filter(|path| root().join(path).exists())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

/// The text of a file given relative to the root.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether this is Rust code that ships: not a test, a bench or a build script.
pub fn is_production(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(text.contains("/tests/")
        || text.starts_with("tests/")
        || text.starts_with("benches/")
        || text.contains("/benches/")
        || text.contains("/fuzz/")
        || name.ends_with("tests.rs"))
}
