//! Every deliberate fault is caught by at least one test: the test of the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use sheaf_storage::planted::{ALL, plant};

use crate::{crash, damage, model, tablets, transaction};

/// Faults a disk can play.
const DISK_FAULTS: [&str; 7] = [
    "lose sync *.wal",
    "lose sync *.sst",
    "lose sync *.blob",
    "lose sync *.manifest",
    "lose syncdir tablet-1",
    "lose syncdir log",
    "lose write *.sst after 9 once",
];

/// Whether a check fails. Its report is not printed.
fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

/// The name of the first check that fails.
fn caught_by(rules: &[&str]) -> Option<&'static str> {
    let crash = || {
        crash::crash(1_500, 300, rules);
    };
    if fails(crash) {
        return Some("crash");
    }
    if !rules.is_empty() {
        return None;
    }
    let model = || (0..6).for_each(|seed| assert!(model::run(seed, 1_500) > 0));
    let damage = || assert!(damage::damage(11).0 > 0);
    let lagging = tablets::log::idle_tablets_hold_nothing_back_and_lagging_ones_are_brought_forward;
    let tablets_crash = || assert!(tablets::crash::crash(&tablets::crash::crash_options(), 3, 200) > 50);
    let checks: [(&'static str, &dyn Fn()); 5] = [
        ("model", &model),
        ("damage", &damage),
        ("tablets", &lagging),
        ("transaction", &transaction::the_second_writer_of_a_key_conflicts),
        ("tablets crash", &tablets_crash),
    ];
    checks.into_iter().find(|(_, check)| fails(check)).map(|(name, _)| name)
}

#[test]
fn deep_planted() {
    let quiet = AtomicBool::new(true);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !quiet.load(Ordering::Relaxed) {
            before(info);
        }
    }));
    let mut missed = Vec::new();
    for bug in ALL {
        plant(Some(bug));
        let caught = caught_by(&[]);
        plant(None);
        println!("{bug:?}: {}", caught.unwrap_or("MISSED"));
        missed.extend(caught.is_none().then(|| format!("{bug:?}")));
    }
    for rule in DISK_FAULTS {
        let caught = caught_by(&[rule]);
        println!("{rule}: {}", caught.unwrap_or("MISSED"));
        missed.extend(caught.is_none().then(|| rule.to_owned()));
    }
    let planted = ALL.len() + DISK_FAULTS.len();
    println!("stage planted: {} of {planted} caught", planted - missed.len());
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "missed: {missed:?}");
}
