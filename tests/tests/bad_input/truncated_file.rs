//! Files cut short: a named error, or what was there before the last writes; never other data, never a panic.

use std::sync::Arc;

use sheaf_engine::error_code::{DATA_CORRUPTION_DETECTED, FILE_STREAM_FAILED, INCOMPATIBLE_SERVER_VERSION};
use sheaf_storage::Vfs;

use crate::fixture::{connect, contents, document, fill, memory, open};

#[test]
fn a_truncated_file_of_every_kind_is_named() {
    let (disk, vfs) = memory();
    let database = open(&vfs).unwrap();
    let session = connect(&database);
    fill(&session);
    database.store().tablet().flush().unwrap();
    let before = contents(&session);
    drop(session);
    database.close().unwrap();
    drop(database);

    let files: Vec<_> = disk.files().into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    let (mut kinds, mut named) = (std::collections::BTreeSet::new(), 0);
    for (path, bytes) in files {
        kinds.insert(path.extension().unwrap_or(path.file_name().unwrap()).to_owned());
        let original = disk.contents(&path).unwrap();
        for length in [0, 1, bytes / 2, bytes - 1] {
            let kept = usize::try_from(length).unwrap();
            let copy = disk.crash_clone(1, 100);
            copy.overwrite(&path, original[..kept].to_vec()).unwrap();
            let vfs: Arc<dyn Vfs> = Arc::new(copy);
            match open(&vfs) {
                Err(error) => {
                    assert!(
                        [DATA_CORRUPTION_DETECTED, FILE_STREAM_FAILED, INCOMPATIBLE_SERVER_VERSION]
                            .contains(&error.code),
                        "{} cut to {length}: {} {error}",
                        path.display(),
                        error.code.0
                    );
                    named += 1;
                }
                Ok(database) => {
                    let session = connect(&database);
                    let find = document(r#"{"find":"things","sort":{"_id":1},"hint":{"$natural":1}}"#);
                    let reply = sheaf_command::run_command(&session, "test", find.as_raw());
                    let text = sheaf_document::json::to_canonical(reply.document.as_raw());
                    let is_named = text.contains("DataCorruptionDetected");
                    assert!(text == before[0] || is_named, "{} cut to {length}: {text}", path.display());
                    named += usize::from(is_named);
                }
            }
        }
    }
    assert!(kinds.len() >= 4, "{kinds:?}");
    assert!(named >= 8, "only {named} cuts were noticed");
    assert_eq!(contents(&connect(&open(&vfs).unwrap())), before, "uncut, everything is there");
}
