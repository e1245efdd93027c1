//! The primitives of the modules whose interleavings are explored by test: std's, but for two special builds.
//!
//! - `--cfg loom`: the sorted list and its key index, every order of their atomic accesses that the memory model allows.
//! - `--cfg shuttle`: the commit queue, many random schedules of its threads.
//!
//! `cargo xtask test --deep --stage interleavings` makes both builds.

#[cfg(loom)]
pub(crate) mod ordered {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};
}
/// What loom takes the place of.
#[cfg(not(loom))]
pub(crate) mod ordered {
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};
}

#[cfg(shuttle)]
pub(crate) mod scheduled {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use shuttle::thread::yield_now;
}
/// What shuttle takes the place of.
#[cfg(not(shuttle))]
pub(crate) mod scheduled {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread::yield_now;
}
