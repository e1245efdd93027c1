//! Reading the files of the suites.

use std::path::{Path, PathBuf};

use bson::{Bson, Document};

use super::FOLDERS;

/// One file: what its cases share, and the cases.
#[derive(Clone, Debug)]
pub struct File {
    /// Folder and name without ending, as it stands in front of every case's id.
    pub name: String,
    /// Where it may run.
    pub requirements: Vec<Document>,
    /// Clients, databases, collections, buckets and sessions.
    pub entities: Vec<Document>,
    /// What the collections hold at first.
    pub initial_data: Vec<Document>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and description.
    pub id: String,
    /// Where it may run, beside the file's requirements.
    pub requirements: Vec<Document>,
    /// Why nobody runs it.
    pub skip_reason: Option<String>,
    /// What the client does.
    pub operations: Vec<Document>,
    /// What the collections hold afterwards.
    pub outcome: Vec<Document>,
}

/// Every file of the suites in `suites`, by name; nothing if the suites are not there.
pub fn read_all(suites: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        let directory = suites.join("unified").join(folder);
        if !directory.exists() {
            continue;
        }
        let entries =
            std::fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            files.push(read(&path, format!("{folder}/{stem}"))?);
        }
    }
    Ok(files)
}

fn read(path: &Path, name: String) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let Bson::Document(document) =
        Bson::try_from(json).map_err(|error| format!("{}: {error}", path.display()))?
    else {
        return Err(format!("{} is not a document", path.display()));
    };
    let cases = documents(&document, "tests").into_iter().map(|test| Case {
        id: format!("{name}: {}", test.get_str("description").unwrap_or_default()),
        requirements: documents(&test, "runOnRequirements"),
        skip_reason: test.get_str("skipReason").ok().map(str::to_owned),
        operations: documents(&test, "operations"),
        outcome: documents(&test, "outcome"),
    });
    Ok(File {
        requirements: documents(&document, "runOnRequirements"),
        entities: documents(&document, "createEntities"),
        initial_data: documents(&document, "initialData"),
        cases: cases.collect(),
        name,
    })
}

/// The documents in an array of a document; none if there is no such array.
pub fn documents(document: &Document, key: &str) -> Vec<Document> {
    let array = document.get_array(key).map(Vec::as_slice).unwrap_or_default();
    array.iter().filter_map(Bson::as_document).cloned().collect()
}
