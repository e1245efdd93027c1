//! A directory that another version of the format wrote.

use std::path::Path;

use crate::fixture::{DIRECTORY, connect, contents, fill, memory, open};

#[test]
fn a_directory_of_another_format_version_is_named_and_left_alone() {
    let (disk, vfs) = memory();
    let database = open(&vfs).unwrap();
    fill(&connect(&database));
    let before = contents(&connect(&database));
    database.close().unwrap();
    drop(database);

    let path = Path::new(DIRECTORY).join("STORE");
    let original = disk.contents(&path).unwrap();
    let mut newer = original.clone();
    newer[8] = 77;
    let checksum = crc32c::crc32c(&newer[..60]).to_le_bytes();
    newer[60..].copy_from_slice(&checksum);
    disk.overwrite(&path, newer.clone()).unwrap();
    let files = disk.files();
    let error = open(&vfs).map(drop).unwrap_err();
    assert_eq!(error.code, sheaf_engine::error_code::INCOMPATIBLE_SERVER_VERSION);
    assert!(error.message.contains("77"), "{error}");
    assert_eq!(disk.files(), files);
    assert_eq!(disk.contents(&path).unwrap(), newer);

    disk.overwrite(&path, original).unwrap();
    assert_eq!(contents(&connect(&open(&vfs).unwrap())), before);
}
