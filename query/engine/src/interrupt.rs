//! Ending an operation from outside.
//!
//! Whoever runs an operation for a client enters its [`Interrupt`] on the thread that does the work; somebody else
//! fires it. The operation notices at its next check, where it would also notice that its time is up: once per batch,
//! and while a blocking operator fills. The mark is the thread's and not an argument because it belongs to the request
//! that works now, not to what it works on: a cursor outlives the request that opened it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result, error_code};

thread_local! {
    static CURRENT: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
}

/// A mark that ends an operation. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    is_fired: Arc<AtomicBool>,
}

impl Interrupt {
    /// Asks the operation to end. Firing again changes nothing.
    pub fn fire(&self) {
        self.is_fired.store(true, Ordering::Relaxed);
    }

    /// Whether it was fired.
    pub fn is_fired(&self) -> bool {
        self.is_fired.load(Ordering::Relaxed)
    }

    /// Fails with `Interrupted` if it was fired.
    pub fn check(&self) -> Result<()> {
        if self.is_fired() {
            return Err(Error::new(error_code::INTERRUPTED, "the operation was interrupted"));
        }
        Ok(())
    }

    /// Makes this the mark of the calling thread until the guard is dropped.
    #[must_use = "the mark holds as long as the guard lives"]
    pub fn enter(&self) -> EnteredInterrupt {
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        EnteredInterrupt { before, stays: std::marker::PhantomData }
    }
}

/// A mark that holds for the thread.
#[derive(Debug)]
pub struct EnteredInterrupt {
    before: Option<Interrupt>,
    /// It belongs to its thread.
    stays: std::marker::PhantomData<*const ()>,
}

impl Drop for EnteredInterrupt {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.before.take());
    }
}

/// Fails if the thread's operation was interrupted.
pub(crate) fn check() -> Result<()> {
    CURRENT.with(|current| current.borrow().as_ref().map_or(Ok(()), Interrupt::check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fired_mark_holds_as_long_as_it_is_entered() {
        let (outer, inner) = (Interrupt::default(), Interrupt::default());
        inner.fire();
        assert!(check().is_ok());
        let entered = outer.enter();
        {
            let _entered = inner.enter();
            assert_eq!(check().expect_err("fired").code, error_code::INTERRUPTED);
        }
        assert!(check().is_ok());
        outer.fire();
        assert!(check().is_err());
        drop(entered);
        assert!(check().is_ok());
    }
}
