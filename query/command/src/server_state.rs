//! What administrative commands set and others show.

/// The state. Nothing of it survives a restart.
#[derive(Debug, Default)]
pub(crate) struct ServerState {
    /// How often `fsync` with `lock` was called without its `fsyncUnlock`.
    pub(crate) fsync_locks: u32,
}
