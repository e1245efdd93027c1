//! The power goes at a random call of the file system, again and again.
//!
//! While a store works, its memory file system is cloned before random calls as a power cut would leave it. Each clone
//! is opened (and sometimes cloned again in the middle of that), and must hold a prefix of what was committed that
//! includes everything acknowledged as synced by then. Thresholds are so small that flush, compaction, manifest roll
//! and blob collection happen all the time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Durability, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Timestamp, Vfs, WriteBatch,
};

use crate::fixture::{DIRECTORY, Dice, deep, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch};

/// A disk as a power cut left it, and what must be on it.
struct Wreck {
    disk: MemoryVfs,
    /// How many commits were acknowledged as synced.
    synced: usize,
    /// How many commits had been begun.
    begun: usize,
    /// What was being done.
    during: String,
}

/// What the hook needs to take clones.
struct Wrecker {
    memory: MemoryVfs,
    dice: Mutex<Dice>,
    one_in: u64,
    synced: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
    wrecks: Arc<Mutex<Vec<Wreck>>>,
}

impl Wrecker {
    fn maybe_clone(&self, operation: &str, path: &Path) {
        let mut dice = self.dice.lock().unwrap();
        if dice.below(self.one_in) != 0 {
            return;
        }
        let survive_percent = [0, 50, 100][dice.below(3) as usize];
        let seed = dice.below(u64::MAX);
        let wreck = Wreck {
            disk: self.memory.crash_clone(seed, survive_percent),
            synced: self.synced.load(Ordering::SeqCst),
            begun: self.begun.load(Ordering::SeqCst),
            during: format!("{operation} {}, {survive_percent} % survive, seed {seed}", path.display()),
        };
        self.wrecks.lock().unwrap().push(wreck);
    }
}

/// A run of commits with crash clones taken on the way.
fn commit_and_wreck(
    options: &StoreOptions,
    seed: u64,
    commits: usize,
    one_in: u64,
    rules: &[&str],
) -> (Vec<(Timestamp, WriteBatch)>, Vec<Wreck>) {
    let (memory, _) = memory();
    let wrecks = Arc::new(Mutex::new(Vec::new()));
    let (synced, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let faults = FaultVfs::new(Arc::new(memory.clone()));
    rules.iter().for_each(|rule| faults.add_rule(rule).unwrap());
    let wrecker = Wrecker {
        memory,
        dice: Mutex::new(Dice::new(seed ^ 0xabcd)),
        one_in,
        synced: Arc::clone(&synced),
        begun: Arc::clone(&begun),
        wrecks: Arc::clone(&wrecks),
    };
    faults.set_hook(move |call| wrecker.maybe_clone(call.operation, call.path));
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let mut dice = Dice::new(seed);
    let keys = [15, 200][(seed % 2) as usize];
    let mut history = Vec::new();
    let mut store = open(&vfs, options.clone()).unwrap();
    for number in 0..commits {
        let batch = random_batch(&mut dice, keys);
        let durability = [Durability::Sync, Durability::Async, Durability::None][dice.below(3) as usize];
        begun.store(number + 1, Ordering::SeqCst);
        let timestamp = store.tablet().commit(batch.clone(), Some(durability)).unwrap();
        history.push((timestamp, batch));
        if durability == Durability::Sync {
            synced.store(number + 1, Ordering::SeqCst);
        }
        match dice.below(200) {
            0 => store.tablet().compact_all().unwrap(),
            1 => {
                store.close().unwrap();
                synced.store(number + 1, Ordering::SeqCst);
                store = open(&vfs, options.clone()).unwrap();
            }
            _ => {}
        }
    }
    drop(store);
    drop(vfs);
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    (history, wrecks)
}

/// How many commits a disk holds, which must be a prefix; the store is left usable.
fn recovered_prefix(
    options: &StoreOptions,
    disk: &MemoryVfs,
    history: &[(Timestamp, WriteBatch)],
    wreck: &Wreck,
) -> usize {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let store = match open(&vfs, options.clone()) {
        Ok(store) => store,
        Err(error) => panic!("{error}; crashed during {}", wreck.during),
    };
    let tablet = store.tablet();
    let last = tablet.last_timestamp();
    let prefix = history.partition_point(|(timestamp, _)| *timestamp <= last);
    assert!(prefix == 0 || history[prefix - 1].0 == last || history.len() < wreck.begun, "{}", wreck.during);
    let mut model = Model::default();
    history[..prefix].iter().for_each(|(timestamp, batch)| model.apply(batch, *timestamp));
    let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
    let expected = model.scan(last, None, None);
    assert_eq!(forward(&mut iter), expected, "crashed during {}", wreck.during);
    assert_eq!(backward(&mut iter), expected, "crashed during {}", wreck.during);
    let mut batch = WriteBatch::new();
    batch.put("after", "the crash");
    tablet.commit(batch, None).unwrap();
    store.close().unwrap();
    prefix
}

/// Opens a wreck, now and then with a second crash in the middle of the recovery.
fn check(options: &StoreOptions, wreck: &Wreck, history: &[(Timestamp, WriteBatch)], dice: &mut Dice) -> u64 {
    let mut disk = wreck.disk.clone();
    let mut points = 1;
    if dice.below(4) == 0 {
        let again = Arc::new(Mutex::new(None));
        let at = dice.below(60);
        let (seed, survive) = (dice.below(u64::MAX), [0, 50, 100][dice.below(3) as usize]);
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        let (source, slot) = (disk.clone(), Arc::clone(&again));
        faults.set_hook(move |call| {
            if call.index == at {
                *slot.lock().unwrap() = Some(source.crash_clone(seed, survive));
            }
        });
        let vfs: Arc<dyn Vfs> = Arc::new(faults);
        Store::open(vfs, Path::new(DIRECTORY), options.clone()).unwrap().tablet().flush().unwrap();
        if let Some(second) = again.lock().unwrap().take() {
            disk = second;
            points += 1;
        }
    }
    let prefix = recovered_prefix(options, &disk, history, wreck);
    assert!(
        wreck.synced <= prefix && prefix <= wreck.begun,
        "{} commits were synced, {} begun, {prefix} are there; crashed during {}",
        wreck.synced,
        wreck.begun,
        wreck.during
    );
    points
}

/// Takes and checks crash points until there are `floor`; `rules` are faults of the disk. Returns how many points and
/// seeds it took.
pub fn crash(floor: u64, commits: usize, rules: &[&str]) -> (u64, u64) {
    crash_with(&small_options(), floor, commits, rules)
}

/// As `crash`, with other options.
pub fn crash_with(options: &StoreOptions, floor: u64, commits: usize, rules: &[&str]) -> (u64, u64) {
    let (mut points, mut seed) = (0, 0);
    while points < floor {
        seed += 1;
        let (history, wrecks) = commit_and_wreck(options, seed, commits, 30, rules);
        let mut dice = Dice::new(seed * 7);
        points += wrecks.iter().map(|wreck| check(options, wreck, &history, &mut dice)).sum::<u64>();
    }
    (points, seed)
}

#[test]
fn deep_crash() {
    let (points, seeds) = if deep() { crash(50_000, 600, &[]) } else { crash(2_000, 300, &[]) };
    println!("stage crash: {points} points over {seeds} seeds");
}
