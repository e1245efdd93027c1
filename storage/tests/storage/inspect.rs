//! Every file of a store has one printed form.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{Error, Vfs, WriteBatch, inspect};

use crate::fixture::{DIRECTORY, memory, open, small_options};

fn print(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<String, Error> {
    let mut out = Vec::new();
    inspect(vfs, path, None, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn every_file_of_a_store_prints() {
    let (memory, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let mut batch = WriteBatch::new();
    batch.put(b"dlarge", vec![b'v'; 300]);
    batch.put(b"small", b"one");
    tablet.commit(batch, None).unwrap();
    tablet.flush().unwrap();
    let mut batch = WriteBatch::new();
    batch.delete(b"small");
    batch.delete_range(b"x", b"y");
    tablet.commit(batch, None).unwrap();
    store.close().unwrap();
    let mut printed = String::new();
    for (path, _) in memory.files() {
        if path.extension().is_some() || path.ends_with("STORE") {
            printed += &print(&vfs, &path).unwrap();
        }
    }
    for expected in [
        "log segment ",
        "manifest ",
        "store ",
        "\"small\" @1000.1 put \"one\"",
        "delete \"small\"",
        "delete range \"x\" .. \"y\"",
        "blob file 0",
        "+ L0 sstable ",
        "+ blob file ",
        " bytes stored, 300 long",
        "log promise segment",
        "applied index 1",
    ] {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
}

#[test]
fn what_is_no_file_of_a_store_is_said_to_be_none() {
    let (memory, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    store.close().unwrap();
    let path = Path::new(DIRECTORY).join("readme.txt");
    vfs.create(&path).unwrap().append(b"not ours, but long enough for a head and a foot").unwrap();
    assert!(matches!(print(&vfs, &path), Err(Error::InvalidInput(_))));
    let table = Path::new(DIRECTORY).join("0000000009.sst");
    vfs.create(&table).unwrap().append(b"short").unwrap();
    assert!(matches!(print(&vfs, &table), Err(Error::Corruption { .. })));
    assert!(matches!(print(&vfs, Path::new("/db/nowhere")), Err(Error::Io { .. })));
    drop(memory);
}

#[test]
fn a_damaged_block_is_named_and_the_rest_is_printed() {
    let (memory, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    for number in 0..30 {
        let mut batch = WriteBatch::new();
        batch.put(format!("i{number:02}"), vec![b'v'; 50]);
        store.tablet().commit(batch, None).unwrap();
    }
    store.tablet().flush().unwrap();
    let is_table = |path: &Path| path.extension().is_some_and(|extension| extension == "sst");
    let path = memory.files().into_iter().map(|(path, _)| path).find(|path| is_table(path)).unwrap();
    let mut bytes = memory.contents(&path).unwrap();
    bytes[300] ^= 1;
    memory.overwrite(&path, bytes).unwrap();
    let mut out = Vec::new();
    let error = inspect(&vfs, &path, None, &mut out).unwrap_err();
    assert!(matches!(&error, Error::Corruption { file, .. } if *file == path), "{error}");
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("checksum") && text.contains("\"i00\"") && text.contains("\"i29\""), "{text}");
    assert!((0..30).any(|number| !text.contains(&format!("\"i{number:02}\" @"))), "{text}");
}
