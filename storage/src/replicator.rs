//! The seam between appending and applying.
//!
//! A commit group goes three ways: its records are framed into the log's buffer in order, the *replicator* makes them
//! committed, and only then are they applied to the memtable and seen. Alone, committed means written or synced, as the most
//! demanding of the group asked: [`Local`]. In a replica set it means that a majority has them.
//!
//! The leader of a tablet's commit queue calls `propose`, so calls for one tablet come one at a time, with indexes that grow by
//! one from call to call; calls for several tablets may come at once. When `propose` fails the log holds records nobody may apply: the store refuses writes until it is reopened.
//! Batches that pass the log by (ingestions and large batches, which go straight into sstables) exist only where the
//! role is [`Role::Standalone`].

use std::fmt;

use crate::error::Result;
use crate::options::Durability;
use crate::planted::{Bug, planted};
use crate::tablet::TabletId;
use crate::wal::log::Log;

/// Without durability, the buffer is handed to the system beyond this.
const UNWRITTEN_BYTES_MAX: usize = 256 << 10;

/// What a member of a replication group is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// There is no group.
    Standalone,
    /// It decides the order of writes in this term.
    Leader {
        /// The term.
        term: u64,
    },
    /// It applies what a leader decides, and refuses writes of its own.
    Follower {
        /// Where the leader is, as far as is known.
        leader: Option<String>,
    },
}

/// Records that were framed into the log's buffer, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Whose records they are: every tablet has an order of its own.
    pub tablet: TabletId,
    /// The index of the first.
    pub first_index: u64,
    /// The index of the last.
    pub last_index: u64,
    /// What their acknowledgement means on this machine.
    pub durability: Durability,
}

/// Makes appended records committed.
pub trait Replicator: Send + Sync + fmt::Debug {
    /// Returns once the proposed records, and all before them, may be applied. They are in `log`'s buffer.
    fn propose(&self, log: &Log, proposal: &Proposal) -> Result<()>;

    /// Returns once a snapshot taken next sees everything that was acknowledged anywhere before the call.
    fn read_barrier(&self) -> Result<()>;

    /// What this member is now.
    fn role(&self) -> Role;
}

/// Alone: the log of this machine is all there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Replicator for Local {
    fn propose(&self, log: &Log, proposal: &Proposal) -> Result<()> {
        match proposal.durability {
            Durability::None if log.buffered_bytes() < UNWRITTEN_BYTES_MAX => Ok(()),
            Durability::None | Durability::Async => log.write(),
            Durability::Sync if planted(Bug::EarlyAcknowledge) => log.write(),
            Durability::Sync => log.sync(),
        }
    }

    fn read_barrier(&self) -> Result<()> {
        // Whatever is acknowledged has been published.
        Ok(())
    }

    fn role(&self) -> Role {
        Role::Standalone
    }
}
