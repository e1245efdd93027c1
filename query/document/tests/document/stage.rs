//! How far a test goes, and where the corpora are.

use std::path::PathBuf;

/// `deep` if the environment asks for it (`SHEAF_DEEP=1`), else `usual`.
#[expect(clippy::disallowed_methods, reason = "the environment chooses between the usual and the deep run")]
pub fn rounds(usual: usize, deep: usize) -> usize {
    if std::env::var("SHEAF_DEEP").is_ok_and(|value| value == "1") { deep } else { usual }
}

/// The JSON files of a folder of the conformance suites: below `SHEAF_SUITES`, else below `../shared/suites` beside the
/// repository; in the order of their names. Says "not run" and gives nothing where the folder is absent.
#[expect(clippy::disallowed_methods, reason = "the corpora are files that the environment points to")]
pub fn suite(folder: &str) -> Vec<(String, serde_json::Value)> {
    let root = std::env::var("SHEAF_SUITES").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/suites")),
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        println!("stage {folder}: not run, the suites are not here (SHEAF_SUITES)");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let content = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), content)
    };
    paths.into_iter().map(read).collect()
}
