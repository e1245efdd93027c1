//! The developer's verbs: setup, demo, test, check, golden, bench.
fn main() {}
