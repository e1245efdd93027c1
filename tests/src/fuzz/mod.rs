//! Commands by chance, in process: from a grammar, and cases of the corpus with something changed in them.
//!
//! Every command must be answered: with a well-formed reply that says `ok`, whatever it says otherwise. A panic, an
//! answer that takes longer than [`HANG`], a reply that another reader cannot read, or memory that grows past
//! [`MEMORY_BYTES_MAX`] is a failure, told with the seed and the commands that led to it.

mod grammar;
mod mutation;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};

use crate::conformance::target::{Exchange, InProcess, Target};
use crate::conformance::{Topology, corpus};
use crate::random::Random;
use grammar::Grammar;

/// How long a command may take: builds without optimization, on a machine that does other things too.
const HANG: Duration = Duration::from_secs(20);

/// Memory of the process, in bytes, that no command may lead past.
const MEMORY_BYTES_MAX: u64 = 3 << 30;

/// Commands of one round, all on one database.
const ROUND_COMMANDS: usize = 8;

/// Rounds of an ordinary run; a deep one goes on for its time.
const ROUNDS: usize = 1_500;
const DEEP: Duration = Duration::from_secs(600);

/// Of the corpus an ordinary run takes one case of so many.
const CORPUS_SHARE: usize = 41;

/// Stack of a worker in bytes, as a server's thread for blocking work has it.
const STACK_BYTES: usize = 8 << 20;

/// What one worker is doing.
#[derive(Default)]
struct Progress {
    /// The command under way and when it was begun.
    running: Mutex<Option<(Instant, String)>>,
    /// Why the worker gave up.
    failure: Mutex<Option<String>>,
    is_done: AtomicBool,
}

/// What the workers share.
struct Shared {
    /// Lists of commands to change, each with the database it is for.
    corpus: Vec<Vec<(String, Document)>>,
    next: AtomicUsize,
    rounds: usize,
    until: Option<Instant>,
    commands: AtomicU64,
    succeeded: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn deep_commands() {
    let is_deep = std::env::var_os("SHEAF_DEEP").is_some();
    let shared = Arc::new(Shared {
        corpus: corpus_commands(if is_deep { 1 } else { CORPUS_SHARE }),
        next: AtomicUsize::new(0),
        rounds: if is_deep { usize::MAX } else { ROUNDS },
        until: is_deep.then(|| Instant::now() + DEEP),
        commands: AtomicU64::new(0),
        succeeded: AtomicU64::new(0),
    });
    let workers: Vec<Arc<Progress>> = (0..2).map(|_| start(&shared)).collect();
    while !workers.iter().all(|worker| worker.is_done.load(Ordering::Acquire)) {
        std::thread::sleep(Duration::from_millis(20));
        for worker in &workers {
            if let Some(failure) = &*lock(&worker.failure) {
                panic!("{failure}");
            }
            if let Some((since, told)) = &*lock(&worker.running) {
                assert!(since.elapsed() < HANG, "no answer after {HANG:?} to {told}");
            }
        }
        let memory = resident_bytes();
        assert!(memory < MEMORY_BYTES_MAX, "{memory} bytes are in use");
    }
    for worker in &workers {
        if let Some(failure) = lock(&worker.failure).take() {
            panic!("{failure}");
        }
    }
    let (commands, succeeded) =
        (shared.commands.load(Ordering::Relaxed), shared.succeeded.load(Ordering::Relaxed));
    println!(
        "stage commands: {commands} commands answered, {succeeded} of them with success, from {} corpus cases",
        shared.corpus.len()
    );
    assert!(commands > 1_000 && succeeded * 20 > commands, "{succeeded} of {commands} succeeded");
}

/// The commands of one corpus case of so many; none where the corpus is not there.
fn corpus_commands(share: usize) -> Vec<Vec<(String, Document)>> {
    let file = corpus::corpus_file(&corpus::suites_dir(None));
    if !file.exists() {
        println!("not run: mutated cases, {} is not there", file.display());
        return Vec::new();
    }
    let number = std::cell::Cell::new(0_usize);
    let wanted = |_: &str| {
        number.set(number.get() + 1);
        number.get().is_multiple_of(share)
    };
    let cases = corpus::read(&file, wanted).expect("the corpus is readable");
    let commands = |case: &crate::conformance::case::Case| {
        case.steps.iter().map(|step| (step.database.clone(), step.command(&|_| 0))).collect()
    };
    cases.iter().map(commands).collect()
}

fn start(shared: &Arc<Shared>) -> Arc<Progress> {
    let progress = Arc::new(Progress::default());
    let (shared, own) = (Arc::clone(shared), Arc::clone(&progress));
    let run = move || {
        while let Some(seed) = shared.next_seed() {
            if let Err(failure) = round(&shared, seed, &own) {
                *lock(&own.failure) = Some(failure);
                break;
            }
        }
        own.is_done.store(true, Ordering::Release);
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread");
    progress
}

impl Shared {
    fn next_seed(&self) -> Option<usize> {
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        (seed < self.rounds && !is_over).then_some(seed)
    }
}

/// One database and some commands on it.
fn round(shared: &Shared, seed: usize, progress: &Progress) -> Result<(), String> {
    let mut random = Random(seed as u64);
    let mut exchange = InProcess.open(Topology::ReplicaSet)?;
    let mut told = format!("seed {seed}");
    let commands = match random.below(shared.corpus.len().min(1) * 3) {
        0 => grammar_commands(random),
        _ => {
            let case = &shared.corpus[random.below(shared.corpus.len())];
            case.iter()
                .map(|(database, command)| (database.clone(), mutation::changed(command, &mut random)))
                .collect()
        }
    };
    for (database, command) in commands {
        told = format!("{told}\n{database} {}", Bson::Document(command.clone()).into_canonical_extjson());
        *lock(&progress.running) = Some((Instant::now(), told.clone()));
        let reply = catch_unwind(AssertUnwindSafe(|| send(exchange.as_mut(), &database, &command)));
        *lock(&progress.running) = None;
        let reply = reply.map_err(|_| format!("a panic after {told}"))?;
        shared.commands.fetch_add(1, Ordering::Relaxed);
        match reply {
            Ok(is_success) => shared.succeeded.fetch_add(u64::from(is_success), Ordering::Relaxed),
            Err(wrong) => return Err(format!("{wrong} after {told}")),
        };
    }
    Ok(())
}

fn grammar_commands(random: Random) -> Vec<(String, Document)> {
    let mut grammar = Grammar(random);
    let mut commands = vec![doc! {"insert": "c", "documents": grammar.documents()}];
    commands.extend((0..ROUND_COMMANDS).map(|_| grammar.command()));
    commands.into_iter().map(|command| ("test".to_owned(), command)).collect()
}

/// Whether the command succeeded; an error where the answer is none.
fn send(exchange: &mut dyn Exchange, database: &str, command: &Document) -> Result<bool, String> {
    // What does not serialize, or is too deep for the door, is never seen by a command.
    let Ok(bytes) = bson::serialize_to_vec(command) else { return Ok(false) };
    let Ok(reply) = exchange.run(database, &bytes) else { return Ok(false) };
    let reply: Document =
        bson::deserialize_from_slice(&reply).map_err(|error| format!("an unreadable reply: {error}"))?;
    match reply.get("ok") {
        Some(Bson::Double(ok)) => Ok(*ok == 1.0),
        // A pipeline in disguise.
        Some(Bson::Int32(ok)) => Ok(*ok == 1),
        other => Err(format!("a reply with ok: {other:?}")),
    }
}

/// Memory of this process in bytes, where the system tells.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
