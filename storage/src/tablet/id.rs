//! What a tablet is called.

use std::fmt;

/// A tablet's number within its store, and the replication group in the records of the log. Given once: the id of a dropped
/// tablet is not given again, for the log may still hold its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabletId(pub u64);

impl TabletId {
    /// The tablet every store has.
    pub const FIRST: TabletId = TabletId(0);

    /// The name of its directory. The first one's is older than ids are, and of another form than the others'.
    pub(crate) fn directory_name(self) -> String {
        if self == TabletId::FIRST { "tablet-1".into() } else { format!("tablet-{:010}", self.0) }
    }

    /// The tablet whose directory has this name, if it is one's.
    pub(crate) fn of_directory(name: &str) -> Option<TabletId> {
        let digits = name.strip_prefix("tablet-")?;
        let id = TabletId(digits.parse().ok()?);
        let id = if digits == "1" { TabletId::FIRST } else { id };
        (id.directory_name() == name).then_some(id)
    }
}

impl fmt::Display for TabletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_told_apart() {
        for id in [0, 1, 2, 10, u64::MAX].map(TabletId) {
            assert_eq!(TabletId::of_directory(&id.directory_name()), Some(id));
        }
        for name in ["tablet-", "tablet-0", "tablet-2", "tablet-0000000000", "tablet-01", "tablet-+1", "log"]
        {
            assert_eq!(TabletId::of_directory(name), None, "{name}");
        }
    }
}
