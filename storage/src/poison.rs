//! The latch that stops writes after a failure whose effect on the disk is unknown.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::events::{Event, EventListener};

/// Set once, by the first failed write or sync; never cleared. After a failed fsync the kernel may have dropped the
/// dirty pages, so that a second fsync that succeeds would prove nothing.
#[derive(Debug, Default)]
pub struct Poison {
    /// Why, once set.
    reason: OnceLock<String>,
    /// Who is told.
    listener: OnceLock<Arc<dyn EventListener>>,
}

impl Poison {
    /// Fails if the latch is set.
    pub fn check(&self) -> Result<()> {
        self.reason.get().map_or(Ok(()), |reason| Err(Error::Poisoned(reason.clone())))
    }

    /// Sets the latch and hands the error through.
    pub fn set(&self, error: Error) -> Error {
        // The first reason stays; later failures follow from it.
        if self.reason.set(error.to_string()).is_ok()
            && let Some(listener) = self.listener.get()
        {
            listener.on_event(&Event::Poisoned { reason: error.to_string() });
        }
        error
    }

    /// Has somebody told when the latch is set.
    pub(crate) fn tell(&self, listener: Arc<dyn EventListener>) {
        // There is one, the store's.
        let _is_told_already = self.listener.set(listener);
    }

    /// Why writes are refused, if they are.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}
