//! The primitives of the modules whose interleavings are explored by test: std's, but for two special builds.
//!
//! - `--cfg loom`: the sorted list and its key index, versions and the references to files; every order of their atomic
//!   accesses that the memory model allows.
//! - `--cfg shuttle`: everything that threads of a store wait for: the commit queue, and whole stores with their flushes and
//!   compactions; many random schedules.
//!
//! In the second, patience never ends: a wait with a time limit is one without. A wake-up that is lost, which in use costs the
//! time limit, is a deadlock there, and reported.
//!
//! A lock that is std's in such a build may not be held where one of these is taken: whoever is scheduled next would wait for it
//! for ever. Those that are held for a few statements only, and call nobody, are left as they are.
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
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use shuttle::thread::{Builder, JoinHandle, yield_now};
}
/// What shuttle takes the place of.
#[cfg(not(shuttle))]
pub(crate) mod scheduled {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::thread::{Builder, JoinHandle, yield_now};
}

#[cfg(loom)]
pub(crate) mod referenced {
    pub(crate) use loom::sync::atomic::AtomicBool;
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, RwLock};
}
/// What both take the place of.
#[cfg(not(loom))]
pub(crate) mod referenced {
    pub(crate) use super::scheduled::{AtomicBool, Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::Arc;
}
