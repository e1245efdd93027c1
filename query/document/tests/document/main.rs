//! What the crate promises as a whole, checked over generated values and over the public corpora.

#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what surrounds the tests may fail them, and they say how far they went"
)]

mod bson_corpus;
mod generate;
mod key_order;
mod mutation;
mod random;
mod stage;
mod vector;
