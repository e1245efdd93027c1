//! A real process on a real disk, killed while eight threads write, again and again.
//!
//! The child is this test binary once more, told by the environment where to write. Each thread counts upwards in keys
//! of its own and prints a number once its commit was acknowledged as synced; whatever was printed must be there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sheaf_storage::{BackgroundWork, DiskVfs, Durability, Store, StoreOptions, Vfs, WriteBatch};

use crate::fixture::{Dice, deep, small_options};

/// Where the child writes; unset in an ordinary run.
const CHILD_DIRECTORY: &str = "SHEAF_KILL_DIRECTORY";
/// Threads of the child.
const WRITERS: u64 = 8;

fn options() -> StoreOptions {
    let clock = StoreOptions::default().clock;
    StoreOptions { background: BackgroundWork::Threads, clock, ..small_options() }
}

fn key(writer: u64, number: u64) -> Vec<u8> {
    format!("d{writer}-{number:08}").into_bytes()
}

/// The first number a writer has not written.
fn next_number(store: &Store, writer: u64) -> u64 {
    let mut iter = store.tablet().snapshot().iter(Default::default()).unwrap();
    if !iter.seek_for_prev(&key(writer, 99_999_999)).unwrap() || !iter.key().starts_with(&key(writer, 0)[..3])
    {
        return 0;
    }
    String::from_utf8(iter.key()[3..].to_vec()).unwrap().parse::<u64>().unwrap() + 1
}

#[test]
fn kill_child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let store = Store::open(Arc::new(DiskVfs), Path::new(&directory), options()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = store.clone();
            scope.spawn(move || {
                for number in next_number(&store, writer).. {
                    let mut batch = WriteBatch::new();
                    batch.put(key(writer, number), number.to_be_bytes().repeat(1 + (number % 60) as usize));
                    store.tablet().commit(batch, Some(Durability::Sync)).unwrap();
                    let mut output = std::io::stdout().lock();
                    writeln!(output, "acknowledged {writer} {number}").unwrap();
                    output.flush().unwrap();
                }
            });
        }
    });
}

/// Runs the child for a while, kills it, and returns how many numbers of each writer it acknowledged.
fn run_and_kill(directory: &Path, life: Duration, acknowledged: &mut [u64]) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::kill_child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let killer = std::thread::spawn(move || {
        std::thread::park_timeout(life);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    for line in output.lines() {
        let line = line.unwrap();
        // The last line may be cut short by the kill, and so may its number: it counts only if it is whole.
        let Some((_, words)) = line.split_once("acknowledged ") else { continue };
        let Some((writer, number)) = words.split_once(' ') else { continue };
        if let (Ok(writer), Ok(number)) = (writer.parse::<usize>(), number.parse::<u64>()) {
            acknowledged[writer] = acknowledged[writer].max(number + 1);
        }
    }
    killer.join().unwrap();
}

#[test]
fn deep_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let rounds = if deep() { 50 } else { 4 };
    let mut dice = Dice::new(11);
    let mut acknowledged = [0; WRITERS as usize];
    for round in 0..rounds {
        run_and_kill(&path, Duration::from_millis(150 + dice.below(700)), &mut acknowledged);
        let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
        let Ok(store) = Store::open(vfs, &path, StoreOptions { create_if_missing: false, ..options() })
        else {
            assert_eq!(acknowledged, [0; WRITERS as usize], "round {round}: nothing may be lost");
            continue;
        };
        for (writer, &count) in acknowledged.iter().enumerate() {
            for number in 0..count {
                let value = store.tablet().get(&key(writer as u64, number)).unwrap();
                let expected = number.to_be_bytes().repeat(1 + (number % 60) as usize);
                assert_eq!(value.as_deref(), Some(expected.as_slice()), "round {round}, {writer}-{number}");
            }
        }
        assert!(store.tablet().verify().problems.is_empty());
        store.close().unwrap();
    }
    let total: u64 = acknowledged.iter().sum();
    println!("stage kill: {rounds} rounds, {total} acknowledged commits, all there");
    assert!(total > rounds * 10, "too few commits to prove anything: {total}");
}
