//! The storage engine from outside: one binary, a module per subject.

mod fixture;
mod transaction;
