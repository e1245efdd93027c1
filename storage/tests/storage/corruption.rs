//! Every byte of a small store flipped and every file cut at every length: an error or the right data, never wrong data,
//! never a panic.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sheaf_storage::{Compression, Error, IterOptions, MemoryVfs, Result, StoreOptions, Vfs, WriteBatch};

use crate::fixture::{deep, encrypted_options, memory, open, small_options};

type Data = BTreeMap<Vec<u8>, Vec<u8>>;

/// Opens, reads everything both ways, closes. Read-only, so that nothing is rewritten on the way.
fn read_all(memory: &MemoryVfs, options: &StoreOptions) -> Result<Data> {
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let store = open(&vfs, StoreOptions { read_only: true, ..options.clone() })?;
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default())?;
    let mut forward = Data::new();
    let mut more = iter.seek_to_first()?;
    while more {
        forward.insert(iter.key().to_vec(), iter.value().to_vec());
        more = iter.next()?;
    }
    let mut count = 0;
    more = iter.seek_to_last()?;
    while more {
        assert_eq!(forward.get(iter.key()).map(Vec::as_slice), Some(iter.value()));
        count += 1;
        more = iter.prev()?;
    }
    assert_eq!(count, forward.len());
    for (key, value) in &forward {
        assert_eq!(snapshot.get(key)?.as_deref(), Some(value.as_slice()));
    }
    drop((iter, snapshot));
    store.close()?;
    Ok(forward)
}

/// A store with tables in two levels, a blob file, range tombstones, and records in the log only. Also the states it went
/// through while the last records were written: what a lost tail of the log may leave.
fn build(options: &StoreOptions) -> (MemoryVfs, Vec<Data>) {
    let (memory, vfs) = memory();
    let store = open(&vfs, options.clone()).unwrap();
    let tablet = store.tablet();
    let mut data = Data::new();
    let put = |data: &mut Data, number: usize, length: usize| {
        let key = format!("{}{:03}", if number.is_multiple_of(2) { "d" } else { "i" }, number * 7 % 100)
            .into_bytes();
        let value = vec![number as u8; length];
        let mut batch = WriteBatch::new();
        batch.put(key.clone(), value.clone());
        tablet.commit(batch, None).unwrap();
        data.insert(key, value);
    };
    for number in 0..60 {
        put(&mut data, number, [4, 30, 150][number % 3]);
    }
    tablet.compact_all().unwrap();
    for number in 50..80 {
        put(&mut data, number, 20);
    }
    let mut batch = WriteBatch::new();
    batch.delete_range(b"d010", b"d030");
    tablet.commit(batch, None).unwrap();
    data.retain(|key, _| !(b"d010".as_slice()..b"d030".as_slice()).contains(&key.as_slice()));
    tablet.flush().unwrap();
    let mut states = vec![data.clone()];
    for number in 90..96 {
        put(&mut data, number, 12);
        states.push(data.clone());
    }
    store.close().unwrap();
    (memory, states)
}

fn judge(result: Result<Data>, states: &[Data], in_log: bool, what: &dyn Fn() -> String) {
    match result {
        // Losing the end of the last log segment is a torn tail: an earlier state, whole.
        Ok(data) if in_log => assert!(states.contains(&data), "{}: a state that never was", what()),
        Ok(data) => assert_eq!(Some(&data), states.last(), "{}: other data", what()),
        Err(
            Error::Corruption { .. }
            | Error::FormatVersion { .. }
            | Error::InvalidInput(_)
            | Error::Io { .. },
        ) => {}
        Err(other) => panic!("{}: {other}", what()),
    }
}

fn files(memory: &MemoryVfs) -> Vec<(PathBuf, Vec<u8>)> {
    let named = memory.files().into_iter().filter(|(path, _)| !path.ends_with("LOCK"));
    named.map(|(path, _)| (path.clone(), memory.contents(&path).unwrap())).collect()
}

fn is_log(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wal")
}

#[test]
fn deep_corruption() {
    let step = if deep() { 1 } else { 13 };
    let codecs: &[Compression] =
        if deep() { &[Compression::None, Compression::Lz4, Compression::Zstd] } else { &[Compression::Lz4] };
    let (mut flips, mut cuts) = (0, 0);
    let open = codecs.iter().map(|&codec| StoreOptions { compression: [codec; 7], ..small_options() });
    for options in open.chain([encrypted_options()]) {
        let codec = options.compression[6];
        // What encryption adds is tried at fewer places, unless all are.
        let step = if options.encryption.is_some() { (step * step).min(67) } else { step };
        let (memory, states) = build(&options);
        assert_eq!(read_all(&memory, &options).unwrap(), *states.last().unwrap());
        let all = files(&memory);
        let kinds: Vec<_> = ["sst", "blob", "wal", "manifest"].into_iter().collect();
        for kind in kinds {
            assert!(
                all.iter().any(|(path, _)| path.extension().is_some_and(|e| e == kind)),
                "no {kind} file"
            );
        }
        for (number, (path, intact)) in all.iter().enumerate() {
            for at in (number % step..intact.len()).step_by(step) {
                let mut damaged = intact.clone();
                damaged[at] ^= 1 << (at % 8);
                memory.overwrite(path, damaged).unwrap();
                judge(read_all(&memory, &options), &states, is_log(path), &|| {
                    format!("{codec:?} {} flipped at {at}", path.display())
                });
                flips += 1;
            }
            for length in (number % step..intact.len()).step_by(step) {
                memory.overwrite(path, intact[..length].to_vec()).unwrap();
                judge(read_all(&memory, &options), &states, is_log(path), &|| {
                    format!("{codec:?} {} cut at {length}", path.display())
                });
                cuts += 1;
            }
            memory.overwrite(path, intact.clone()).unwrap();
        }
        assert_eq!(read_all(&memory, &options).unwrap(), *states.last().unwrap(), "undamaged again");
    }
    println!("stage corruption: {flips} flips, {cuts} cuts");
}
