//! sheafd from outside: through its doors, and as a process.

mod bad_input;
mod catalog;
mod documents;
mod fixture;
mod process;
mod resume;
mod streams;
