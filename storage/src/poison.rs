//! The latch that stops writes after a failure whose effect on the disk is unknown.

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// Set once, by the first failed write or sync; never cleared. After a failed fsync the kernel may have dropped the
/// dirty pages, so that a second fsync that succeeds would prove nothing.
#[derive(Debug, Default)]
pub struct Poison {
    /// Why, once set.
    reason: OnceLock<String>,
}

impl Poison {
    /// Fails if the latch is set.
    pub fn check(&self) -> Result<()> {
        self.reason.get().map_or(Ok(()), |reason| Err(Error::Poisoned(reason.clone())))
    }

    /// Sets the latch and hands the error through.
    pub fn set(&self, error: Error) -> Error {
        // The first reason stays; later failures follow from it.
        let _already_set = self.reason.set(error.to_string());
        error
    }

    /// Why writes are refused, if they are.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}
