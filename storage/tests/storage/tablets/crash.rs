//! Crashes and failures while tablets come, lag and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Tablet, TabletId, Timestamp,
    Vfs, WriteBatch,
};

use crate::fixture::{Dice, deep, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch};
use crate::tablets::{SECOND, THIRD, contents, put, tablets, three};

#[test]
fn a_crash_while_tablets_are_made_and_dropped_leaves_each_whole_or_not_there() {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("d1", "first"), None).unwrap();
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let kept = Arc::clone(&wrecks);
    faults.set_hook(move |call| {
        // Names are what counts here, and each survives by itself.
        let clones = if call.operation == "syncdir" { 12 } else { 1 };
        let clone = |seed| disk.crash_clone(call.index * 100 + seed, 50);
        kept.lock().unwrap().extend((0..clones).map(clone));
    });
    for id in [SECOND, THIRD] {
        store.create_tablet(id).unwrap().commit(put("d1", "v"), None).unwrap();
    }
    store.drop_tablet(SECOND).unwrap();
    faults.set_hook(|_| {});
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    let mut found = BTreeSet::new();
    for wreck in wrecks {
        let vfs: Arc<dyn Vfs> = Arc::new(wreck);
        let store = open(&vfs, small_options()).unwrap();
        assert_eq!(contents(&store.tablet()).len(), 1);
        found.insert(store.tablets());
        for id in store.tablets() {
            store.tablet_by_id(id).unwrap().commit(put("d2", "after"), None).unwrap();
        }
    }
    assert!(found.len() >= 4, "{found:?}");
}

#[test]
fn a_crash_during_a_checkpoint_of_several_tablets_leaves_no_store_or_a_whole_one() {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (store, all) = three(&vfs, small_options());
    for tablet in &all {
        tablet.commit(put("d1", &"v".repeat(200)), None).unwrap();
    }
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let kept = Arc::clone(&wrecks);
    let running = disk.clone();
    faults.set_hook(move |call| {
        let clones = if call.operation == "syncdir" { 12 } else { 1 };
        let clone = |seed| running.crash_clone(call.index * 100 + seed, 50);
        kept.lock().unwrap().extend((0..clones).map(clone));
    });
    store.checkpoint(Path::new("/copy")).unwrap();
    faults.set_hook(|_| {});
    let during = std::mem::take(&mut *wrecks.lock().unwrap());
    let mut whole = 0;
    for (disk, is_done) in
        during.into_iter().map(|disk| (disk, false)).chain([(disk.crash_clone(1, 0), true)])
    {
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        if vfs.len(Path::new("/copy/STORE")).is_err() {
            assert!(!is_done, "once it has returned, a checkpoint is durable");
            continue;
        }
        let copy = Store::open(vfs, Path::new("/copy"), small_options()).unwrap();
        assert!(tablets(&copy).iter().all(|tablet| contents(tablet).len() == 1));
        whole += 1;
    }
    assert!(whole > 3, "{whole}");
}

/// A disk as a power cut left it, and what must be on it: per tablet, how many commits were acknowledged as synced, and how
/// many had been begun; which tablets must be there, and which may.
struct Wreck {
    disk: MemoryVfs,
    synced: [usize; 3],
    begun: [usize; 3],
    certain: BTreeSet<TabletId>,
    possible: BTreeSet<TabletId>,
    during: String,
}

/// What the workload has got to.
#[derive(Clone, Default)]
struct Reached {
    synced: [usize; 3],
    begun: [usize; 3],
    certain: BTreeSet<TabletId>,
    possible: BTreeSet<TabletId>,
}

type History = [Vec<(Timestamp, WriteBatch)>; 3];

const IDS: [TabletId; 3] = [TabletId::FIRST, SECOND, THIRD];
/// Tablets that come and go beside the three.
const PASSING: std::ops::Range<u64> = 100..200;

/// Three tablets at work, one of them seldom, one in bursts, while others come and go; with crash clones taken on the way.
fn commit_and_wreck(options: &StoreOptions, seed: u64, commits: usize) -> (History, Vec<Wreck>, u64) {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let reached: Arc<Mutex<Reached>> = Arc::default();
    let wrecks: Arc<Mutex<Vec<Wreck>>> = Arc::default();
    let (seen, kept, chance) =
        (Arc::clone(&reached), Arc::clone(&wrecks), Mutex::new(Dice::new(seed ^ 0x77)));
    faults.set_hook(move |call| {
        let mut dice = chance.lock().unwrap();
        if dice.below(25) == 0 {
            let survive = [0, 50, 100][dice.below(3) as usize];
            let Reached { synced, begun, certain, possible } = seen.lock().unwrap().clone();
            let disk = disk.crash_clone(dice.below(u64::MAX), survive);
            let during = format!("{} {}, {survive} % survive", call.operation, call.path.display());
            kept.lock().unwrap().push(Wreck { disk, synced, begun, certain, possible, during });
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    let mut passing = PASSING;
    let mut alive = Vec::new();
    let mut again = 0;
    let mut store = open(&vfs, options.clone()).unwrap();
    let note = |change: &dyn Fn(&mut Reached)| change(&mut reached.lock().unwrap());
    for id in [SECOND, THIRD] {
        note(&|reached| {
            reached.possible.insert(id);
        });
        store.create_tablet(id).unwrap();
        note(&|reached| {
            reached.certain.insert(id);
        });
    }
    for number in 0..commits {
        let at = match dice.below(30) {
            0 => 1,
            1..=6 if number % 90 > 60 => 2,
            _ => 0,
        };
        let tablet = store.tablet_by_id(IDS[at]).unwrap();
        let batch = random_batch(&mut dice, 60);
        let durability = [Durability::Sync, Durability::Async, Durability::None][dice.below(3) as usize];
        note(&|reached| reached.begun[at] += 1);
        let timestamp = tablet.commit(batch.clone(), Some(durability)).unwrap();
        history[at].push((timestamp, batch));
        if durability == Durability::Sync {
            // The log is one: what was committed to the others before is durable with it.
            note(&|reached| reached.synced = reached.begun);
        }
        match dice.below(150) {
            0 => tablet.compact_all().unwrap(),
            1 => {
                again += records_again(&store);
                store.close().unwrap();
                note(&|reached| reached.synced = reached.begun);
                store = open(&vfs, options.clone()).unwrap();
            }
            2..=4 => {
                let id = TabletId(passing.next().unwrap());
                note(&|reached| {
                    reached.possible.insert(id);
                });
                store.create_tablet(id).unwrap().commit(put("d", "passing"), None).unwrap();
                note(&|reached| {
                    reached.certain.insert(id);
                });
                alive.push(id);
            }
            5..=7 if !alive.is_empty() => {
                let id = alive.swap_remove(dice.below(alive.len() as u64) as usize);
                note(&|reached| {
                    reached.certain.remove(&id);
                });
                store.drop_tablet(id).unwrap();
                note(&|reached| {
                    reached.possible.remove(&id);
                });
            }
            _ => {}
        }
    }
    again += records_again(&store);
    drop(store);
    drop(vfs);
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    (history, wrecks, again)
}

fn records_again(store: &Store) -> u64 {
    store.statistics().tablets.values().map(|tablet| tablet.records_again).sum()
}

/// What a tablet holds must be a prefix of its commits, between those synced and those begun.
fn check_tablet(wreck: &Wreck, at: usize, tablet: &Tablet, history: &[(Timestamp, WriteBatch)]) {
    let last = tablet.last_timestamp();
    let prefix = history.partition_point(|(timestamp, _)| *timestamp <= last);
    let mut model = Model::default();
    history[..prefix].iter().for_each(|(timestamp, batch)| model.apply(batch, *timestamp));
    let expected = model.scan(last, None, None);
    let snapshot = tablet.snapshot();
    let during = &wreck.during;
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()), expected, "{at} {during}");
    assert_eq!(backward(&mut snapshot.iter(IterOptions::default()).unwrap()), expected, "{at} {during}");
    let (synced, begun) = (wreck.synced[at], wreck.begun[at]);
    assert!(synced <= prefix && prefix <= begun, "tablet {at}: {synced} {prefix} {begun}, {during}");
}

fn check(options: &StoreOptions, wreck: &Wreck, history: &History) {
    let vfs: Arc<dyn Vfs> = Arc::new(wreck.disk.clone());
    // Twice: what the first opening removes and begins must not hurt the second.
    for round in 0..2 {
        let store = match open(&vfs, options.clone()) {
            Ok(store) => store,
            Err(error) => panic!("{error}; round {round}, crashed during {}", wreck.during),
        };
        let there: BTreeSet<TabletId> =
            store.tablets().into_iter().filter(|id| *id != TabletId::FIRST).collect();
        let first_ids = [SECOND, THIRD];
        assert!(wreck.certain.is_subset(&there), "{there:?} {:?} {}", wreck.certain, wreck.during);
        assert!(there.is_subset(&wreck.possible), "{there:?} {:?} {}", wreck.possible, wreck.during);
        for (at, id) in IDS.iter().enumerate() {
            if let Ok(tablet) = store.tablet_by_id(*id)
                && round == 0
            {
                check_tablet(wreck, at, &tablet, &history[at]);
            }
        }
        for id in there.iter().filter(|id| !first_ids.contains(id)) {
            let found = store.tablet_by_id(*id).unwrap().get(b"d").unwrap();
            assert!(found.is_some() || !wreck.certain.contains(id), "{id} {}", wreck.during);
        }
        assert!(store.verify().problems.is_empty());
        store.tablet().commit(put("after", "the crash"), None).unwrap();
        if round == 0 {
            store.close().unwrap();
        }
    }
}

/// Takes and checks crash points; how many there were.
pub fn crash(options: &StoreOptions, seeds: u64, commits: usize) -> usize {
    let (mut points, mut again) = (0, 0);
    for seed in 1..=seeds {
        let (history, wrecks, copies) = commit_and_wreck(options, seed, commits);
        again += copies;
        wrecks.iter().for_each(|wreck| check(options, wreck, &history));
        points += wrecks.len();
    }
    assert!(again > seeds, "records are hardly ever appended again: {again}");
    points
}

/// Small, with a log that goes on to its next segment often.
pub fn crash_options() -> StoreOptions {
    StoreOptions { wal_segment_bytes: 5 << 10, log_segments_max: 2, ..small_options() }
}

#[test]
fn deep_crash_tablets() {
    let (seeds, commits) = if deep() { (150, 500) } else { (3, 200) };
    let points = crash(&crash_options(), seeds, commits);
    println!("stage crash_tablets: {points} points over {seeds} seeds");
    assert!(points > 50, "{points}");
}

/// A workload over tablets that come, lag, and go. Stops at the first error; how many commits of each tablet were
/// acknowledged as synced.
fn workload(vfs: &Arc<dyn Vfs>, model: &mut BTreeMap<TabletId, Vec<u64>>) -> Result<(), Error> {
    for half in 0..2_u64 {
        let store = open(vfs, crash_options())?;
        for id in [TabletId::FIRST, SECOND, THIRD] {
            if id != TabletId::FIRST && half == 0 {
                store.create_tablet(id)?;
            }
            model.entry(id).or_default();
        }
        for number in half * 60..half * 60 + 60 {
            let id = match number % 20 {
                0 => SECOND,
                5..=7 => THIRD,
                _ => TabletId::FIRST,
            };
            let key = format!("d{number:03}");
            store.tablet_by_id(id)?.commit(put(&key, &"v".repeat(400)), Some(Durability::Sync))?;
            model.entry(id).or_default().push(number);
        }
        store.create_tablet(TabletId(30 + half))?.commit(put("d", "v"), None)?;
        store.checkpoint(Path::new(&format!("/copy{half}")))?;
        store.drop_tablet(TabletId(30 + half))?;
        store.close()?;
    }
    Ok(())
}

/// Whether the fault struck.
fn fail_at(index: u64, once: bool) -> bool {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let rule = if once { format!("fail any after {index} once") } else { format!("fail any after {index}") };
    faults.add_rule(&rule).unwrap();
    let mut model = BTreeMap::new();
    let result = workload(&vfs, &mut model);
    let struck = faults.failures() > 0;
    assert!(result.is_ok() || struck, "{result:?}");
    faults.clear_rules();
    let store = match open(&vfs, crash_options()) {
        Ok(store) => store,
        Err(error) => panic!("after {rule}: {error}"),
    };
    for (id, numbers) in model.iter().filter(|(_, numbers)| !numbers.is_empty()) {
        let tablet = store.tablet_by_id(*id).unwrap();
        for number in numbers {
            assert!(
                tablet.get(format!("d{number:03}").as_bytes()).unwrap().is_some(),
                "{rule}: {id} {number}"
            );
        }
    }
    store.create_tablet(TabletId(90)).unwrap();
    struck
}

#[test]
fn deep_every_io_of_tablets_fails() {
    let stride = if deep() { 1 } else { 17 };
    let (mut index, mut runs) = (0, 0);
    loop {
        let once = fail_at(index, true);
        let for_good = fail_at(index, false);
        runs += 2;
        if !once && !for_good {
            break;
        }
        index += stride;
    }
    println!("stage every_io_of_tablets_fails: {runs} runs, call indexes up to {index}");
    assert!(index > 300, "the workload makes too few calls: {index}");
}
