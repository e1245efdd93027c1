//! The kept corpus of the fuzz targets, replayed: what was once found stays found. `cargo xtask test --deep --stage fuzz`
//! looks for more.

use std::path::Path;

use crate::fixture::Dice;

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

/// A target: its name, which is its corpus's directory, and the function.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 6] = [
    ("blob", targets::blob::run),
    ("block", targets::block::run),
    ("footer", targets::footer::run),
    ("manifest", targets::manifest::run),
    ("operations", targets::operations::run),
    ("wal_reader", targets::wal_reader::run),
];

/// The inputs kept for a target.
#[expect(clippy::disallowed_methods, reason = "the corpus lies beside the crate, not in a store")]
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_of_every_fuzz_target_holds_and_so_do_neighbours_of_it() {
    for (name, run) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 10, "{name}: a corpus of {} inputs", inputs.len());
        let mut dice = Dice::new(11);
        for input in inputs {
            run(&input);
            let mut near = input;
            if !near.is_empty() {
                let at = dice.below(near.len() as u64) as usize;
                near[at] ^= 1 << dice.below(8);
                run(&near);
            }
        }
    }
}
