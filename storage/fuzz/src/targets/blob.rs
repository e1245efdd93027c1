//! References to blobs as a table may hold them, against a real blob file, whole or damaged: the value written, or an error.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::blob::BlobReference;
use sheaf_storage::{Keyspace, KeyspaceOptions, MemoryVfs, Store, StoreOptions, Vfs};

use super::choices::Choices;

fn options() -> StoreOptions {
    let mut options =
        StoreOptions { background: sheaf_storage::BackgroundWork::Inline, ..StoreOptions::default() };
    let apart = KeyspaceOptions { blob_threshold_bytes: Some(64), ..KeyspaceOptions::default() };
    options.keyspaces.insert(Keyspace(b'd'), apart);
    options
}

fn value(number: u8) -> Vec<u8> {
    vec![number; 100 + usize::from(number)]
}

/// Flips or cuts the blob file as the choices say; whether it did.
fn damage(vfs: &MemoryVfs, choices: &mut Choices<'_>) -> bool {
    let directory = Path::new("/db/tablet-1");
    let names = vfs.list(directory).expect("the tablet has a directory");
    let Some(name) = names.iter().find(|name| name.ends_with(".blob")) else { return false };
    let path = directory.join(name);
    let Ok(bytes) = vfs.open_read(&path).and_then(|file| {
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or_default()];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }) else {
        return false;
    };
    let mut damaged = bytes.clone();
    let at = choices.short() % damaged.len();
    match choices.byte() % 3 {
        0 => return false,
        1 => damaged[at] ^= choices.byte(),
        _ => damaged.truncate(at),
    }
    vfs.remove(&path)
        .and_then(|()| vfs.create(&path))
        .and_then(|file| file.append(&damaged))
        .expect("a memory file");
    damaged != bytes
}

/// One input.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    if let Some(reference) = BlobReference::decode(data) {
        assert_eq!(BlobReference::decode(&reference.encode()).as_ref(), Some(&reference));
    }
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("/")).expect("a new file system");
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let store = Store::open(Arc::clone(&shared), Path::new("/db"), options()).expect("a new store");
    let written: Vec<u8> = (0..1 + choices.byte() % 6).map(|_| choices.byte()).collect();
    for (number, content) in written.iter().enumerate() {
        let mut batch = sheaf_storage::WriteBatch::new();
        batch.put(format!("d{number}"), value(*content));
        store.tablet().commit(batch, None).expect("a commit");
    }
    store.tablet().flush().expect("a flush");
    store.close().expect("a close");
    let damaged = damage(&vfs, &mut choices);
    let Ok(store) = Store::open(shared, Path::new("/db"), options()) else {
        assert!(damaged, "a whole store does not open");
        return;
    };
    for (number, content) in written.iter().enumerate() {
        match store.tablet().get(format!("d{number}").as_bytes()) {
            Ok(found) => assert_eq!(found.as_deref(), Some(value(*content).as_slice())),
            Err(_) => assert!(damaged, "an error of a whole store"),
        }
    }
}
