//! Reads: point lookups, merged iteration, snapshots.

pub mod merge;
pub mod point;
pub mod scan;
pub mod snapshot;
pub mod source;
pub mod view;

pub use scan::{Iter, IterOptions};
pub use view::{CurrentView, ReadView, ViewRef};
