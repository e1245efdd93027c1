//! What crosses crates: conformance, goldens, repository self-checks.

pub mod conformance;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod random;
pub mod unified;
