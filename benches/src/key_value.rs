//! The storage engine by itself: db_bench's names for the rows, so that figures compare.
//!
//! Keys are 16 bytes (8 big-endian, 8 of hash), values 100 to 1,024 bytes, half of them compressible. Unless a row says
//! otherwise a write is acknowledged when the operating system has it.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    DiskVfs, Durability, IterOptions, Keyspace, KeyspaceOptions, Store, StoreOptions, Tablet,
    TransactionOptions, WriteBatch,
};

use crate::meter::{Figures, measure, mix};

/// Bytes values are cut from.
const POOL_BYTES: usize = 1 << 20;
const BATCH: u64 = 1_000;

struct Run {
    records: u64,
    seconds: f64,
    pool: Vec<u8>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (head, tail) = key.split_at_mut(8);
    head.copy_from_slice(&(number * 2).to_be_bytes());
    tail.copy_from_slice(&mix(number).to_le_bytes());
    key
}

/// Sorts among the stored keys and is none of them.
fn missing_key(number: u64) -> [u8; 16] {
    let mut key = key(number);
    if let Some(byte) = key.get_mut(7) {
        *byte |= 1;
    }
    key
}

/// A large value's key is in a keyspace of its own, whose values go to blob files.
fn large_key(number: u64) -> Vec<u8> {
    let mut key = vec![LARGE.0];
    key.extend_from_slice(&mix(number).to_be_bytes());
    key
}

const LARGE: Keyspace = Keyspace(0xee);
const LARGE_VALUE_BYTES: usize = 16 << 10;

impl Run {
    fn value(&self, number: u64) -> &[u8] {
        let random = mix(number ^ 0x5eed);
        let length = 100 + usize::try_from(random % 925).unwrap_or_default();
        let start = usize::try_from(random >> 32).unwrap_or_default() % (POOL_BYTES - 1_024);
        self.pool.get(start..start + length).unwrap_or_default()
    }

    fn open(&self, directory: &Path, durability: Durability) -> Result<Store, String> {
        let mut options = StoreOptions {
            durability,
            cache_bytes: 1_536 << 20,
            memtable_bytes: 64 << 20,
            ..StoreOptions::default()
        };
        let large = KeyspaceOptions { blob_threshold_bytes: Some(4 << 10), ..KeyspaceOptions::default() };
        options.keyspaces.insert(LARGE, large);
        Store::open(Arc::new(DiskVfs), directory, options).map_err(text)
    }

    fn put(&self, tablet: &Tablet, number: u64) -> Result<(), String> {
        let mut batch = WriteBatch::new();
        batch.put(key(number), self.value(number));
        tablet.commit(batch, None).map(drop).map_err(text)
    }

    fn fills(&self) -> Result<(), String> {
        for (name, threads, random, durability) in [
            ("fillseq", 1, false, Durability::Async),
            ("fillrandom", 1, true, Durability::Async),
            ("fillrandom", 4, true, Durability::Async),
            ("fillsync", 1, true, Durability::Sync),
            ("fillsync", 8, true, Durability::Sync),
        ] {
            let directory = tempfile::tempdir().map_err(text)?;
            let store = self.open(&directory.path().join("db"), durability)?;
            let tablet = store.tablet();
            let figures = measure(threads, self.records, self.seconds, |_, number| {
                self.put(&tablet, if random { mix(number) % self.records } else { number })
            })?;
            print(name, threads, &figures);
            store.close().map_err(text)?;
        }
        Ok(())
    }

    fn load(&self, tablet: &Tablet) -> Result<(), String> {
        // An odd factor is a permutation of a power of two; the rest is left out.
        let span = self.records.next_power_of_two();
        let figures = measure(1, span / BATCH + 1, f64::MAX.min(3_600.0), |_, chunk| {
            let mut batch = WriteBatch::new();
            for at in chunk * BATCH..((chunk + 1) * BATCH).min(span) {
                let number = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % span;
                if number < self.records {
                    batch.put(key(number), self.value(number));
                }
            }
            if batch.is_empty() { Ok(()) } else { tablet.commit(batch, None).map(drop).map_err(text) }
        })?;
        println!(
            "{:<18} {:>2} {:>12.0} rows/s",
            "fillbatch1000",
            1,
            self.records as f64 / figures.elapsed.as_secs_f64()
        );
        Ok(())
    }

    fn reads(&self, tablet: &Tablet) -> Result<(), String> {
        let get = |key: &[u8], present: bool| match tablet.get(key) {
            Ok(found) if found.is_some() == present => Ok(()),
            Ok(_) => Err("a key is there that should not be, or the other way round".to_string()),
            Err(error) => Err(text(error)),
        };
        self.scan(tablet, 0, usize::MAX, false)?;
        for threads in [1, 2, 4] {
            let row = |_, number: u64| get(&key(mix(number) % self.records), true);
            print("readrandom", threads, &measure(threads, u64::MAX, self.seconds, row)?);
        }
        let row = |_, number: u64| get(&missing_key(mix(number) % self.records), false);
        print("readmissing", 1, &measure(1, u64::MAX, self.seconds, row)?);
        for (name, backward) in [("seekscan50", false), ("seekscan50reverse", true)] {
            let row = |_, number: u64| self.scan(tablet, mix(number) % self.records, 50, backward);
            print(name, 1, &measure(1, u64::MAX, self.seconds, row)?);
        }
        Ok(())
    }

    fn scan(&self, tablet: &Tablet, from: u64, limit: usize, backward: bool) -> Result<(), String> {
        let mut iter = tablet.snapshot().iter(IterOptions::default()).map_err(text)?;
        let mut more =
            if backward { iter.seek_for_prev(&key(from)) } else { iter.seek(&key(from)) }.map_err(text)?;
        let (mut seen, mut bytes) = (0, 0);
        while more && seen < limit {
            bytes += usize::from(iter.value().first().copied().unwrap_or_default());
            seen += 1;
            more = if backward { iter.prev() } else { iter.next() }.map_err(text)?;
        }
        std::hint::black_box(bytes);
        Ok(())
    }

    fn writes(&self, tablet: &Tablet) -> Result<(), String> {
        let row = |_, number: u64| self.put(tablet, mix(number ^ 7) % self.records);
        print("overwrite", 1, &measure(1, u64::MAX, self.seconds, row)?);
        let row = |_, number: u64| {
            let mut transaction = tablet.begin(TransactionOptions::default()).map_err(text)?;
            let key = key(mix(number ^ 9) % self.records);
            transaction.get(&key).map_err(text)?;
            transaction.put(key, self.value(number)).map_err(text)?;
            transaction.commit(None).map(drop).map_err(text)
        };
        print("transaction", 1, &measure(1, u64::MAX, self.seconds, row)?);
        let row = |_, number: u64| {
            let mut batch = WriteBatch::new();
            batch.delete(key(mix(number ^ 11) % self.records));
            tablet.commit(batch, None).map(drop).map_err(text)
        };
        print("deleterandom", 1, &measure(1, u64::MAX, self.seconds, row)?);
        let large = self.pool.get(..LARGE_VALUE_BYTES).unwrap_or_default();
        let count = 20_000;
        let row = |_, number: u64| {
            let mut batch = WriteBatch::new();
            batch.put(large_key(number), large);
            tablet.commit(batch, None).map(drop).map_err(text)
        };
        let figures = measure(1, count, self.seconds, row)?;
        print("fillrandom 16 KiB", 1, &figures);
        let row = |_, number: u64| {
            tablet.get(&large_key(mix(number) % figures.operations.max(1))).map(drop).map_err(text)
        };
        tablet.flush().map_err(text)?;
        print("readrandom 16 KiB", 1, &measure(1, u64::MAX, self.seconds, row)?);
        Ok(())
    }
}

fn print(name: &str, threads: usize, figures: &Figures) {
    println!(
        "{name:<18} {threads:>2} {:>12.0} ops/s   p50 {:>9.1} us   p99 {:>9.1} us   p99.9 {:>9.1} us",
        figures.per_second(),
        figures.percentile_micros(0.5),
        figures.percentile_micros(0.99),
        figures.percentile_micros(0.999)
    );
}

/// The suite: `--n RECORDS --secs SECONDS_A_ROW`.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut pool = Vec::with_capacity(POOL_BYTES);
    let mut number = 0;
    while pool.len() < POOL_BYTES {
        pool.extend_from_slice(&mix(number).to_le_bytes());
        pool.extend_from_slice(b"sheaves.");
        number += 1;
    }
    let mut run = Run { records: 1_000_000, seconds: 2.0, pool };
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--n" => run.records = value.parse::<u64>().map_err(text)?.max(1),
            "--secs" => run.seconds = value.parse().map_err(text)?,
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    println!("{} records, 16 B keys, 100 to 1,024 B values, {} s a row", run.records, run.seconds);
    run.fills()?;
    let directory = tempfile::tempdir().map_err(text)?;
    let store = run.open(&directory.path().join("db"), Durability::Async)?;
    let tablet = store.tablet();
    run.load(&tablet)?;
    tablet.flush().and_then(|()| tablet.settle()).map_err(text)?;
    run.reads(&tablet)?;
    run.writes(&tablet)?;
    store.close().map_err(text)
}
