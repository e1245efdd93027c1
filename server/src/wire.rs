//! The MongoDB wire door: stock drivers and shells talk to the same commands as everybody else.
//!
//! ```text
//! bytes -> frame (length, time) -> message (sections, checksum) -> command (one BSON document) -> run_command -> reply
//!          `frame`                 `message`, `legacy`              `command`                     on the storage pool
//! ```
//!
//! A connection is one task and one [`CommandSession`](sheaf_command::CommandSession); its requests are answered one
//! after the other, in order, as the protocol has it. The task reads and writes; a request is checked, run and turned
//! into bytes on a thread of the storage pool. What a client claims is believed only as its bytes arrive.
//!
//! Every byte of the protocol that is spoken is described beside the code that reads or writes it: the header in
//! [`header`], OP_MSG in [`message`], the legacy pair OP_QUERY and OP_REPLY in [`legacy`].
//!
//! Left open on purpose, each with its place: authentication goes between `command` and `run_command` in
//! `connection` and until then only loopback addresses are allowed; compression (OP_COMPRESSED) is one more kind of
//! message in `connection`, is never offered in the handshake and is refused; replies in a stream (`exhaust`) exist
//! for the waiting handshake alone, cursors answer one batch per request.

mod command;
mod connection;
mod fault;
mod frame;
mod header;
mod hello;
mod legacy;
mod message;
mod reply;
mod turn;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sheaf_command::Commands;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::storage_pool::StoragePool;

/// How long the door rests when it cannot take a connection, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often idle cursors and sessions are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// What one client, and all of them, may ask of the door.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; one more is closed at once.
    pub connections_max: usize,
    /// Bytes of a message, its header included; the handshake tells clients the same number.
    pub message_bytes_max: usize,
    /// A message that has begun must go on by [`Limits::step_bytes`] (or to its end) within this time.
    pub step_time_max: Duration,
    /// The step in which a message is read; memory is reserved for no more than this ahead of the bytes.
    pub step_bytes: usize,
    /// A reply must be taken within this time.
    pub reply_time_max: Duration,
    /// Sections of a message beside its body. Drivers send two at most.
    pub sequences_max: usize,
    /// How long a handshake that waits for news may wait.
    pub hello_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A connection that rests costs a buffer of 8 KiB and a task.
            connections_max: 4096,
            message_bytes_max: 48_000_000,
            // The slowest client that is borne sends 8 KiB a second.
            step_time_max: Duration::from_secs(30),
            step_bytes: 256 << 10,
            reply_time_max: Duration::from_secs(300),
            sequences_max: 64,
            hello_wait_max: Duration::from_secs(600),
        }
    }
}

/// What the connections of the door share.
#[derive(Clone)]
pub struct Door {
    commands: Commands,
    pool: StoragePool,
    metrics: Metrics,
    limits: Limits,
    /// Places for requests that wait for documents to come. Half of the pool: the other half goes on working however
    /// many clients wait.
    awaiting: Arc<Semaphore>,
}

impl Door {
    /// A door to these commands.
    pub fn new(commands: Commands, pool: StoragePool, metrics: Metrics) -> Self {
        let awaiting = Arc::new(Semaphore::new((pool.threads_max() / 2).max(1)));
        Self { commands, pool, metrics, limits: Limits::default(), awaiting }
    }

    /// The same door with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes connections until `stopping` fires; then no request is begun any more, and those in flight are finished
    /// for at most `drain`.
    pub async fn serve(self, listener: TcpListener, stopping: Shutdown, drain: Duration) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut connections = JoinSet::new();
        let (stop, sweeps) = (stopping.clone().requested(), self.sweeps());
        tokio::pin!(stop, sweeps);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                // Finished tasks are taken out, so that the set holds only connections that are there.
                Some(_) = connections.join_next() => {}
                // Goes on beside the rest: a sweep waits for its turn on the pool, and nobody waits for a sweep.
                never = &mut sweeps => match never {},
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => {
                            let connected = self.clone().connected(stream, peer.to_string(), stopping.clone(), place);
                            connections.spawn(connected);
                        }
                        Err(_) => tracing::warn!(%peer, max = self.limits.connections_max, "too many connections"),
                    },
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!(
                ?drain,
                "wire requests were still in flight after the drain time; they were cut off"
            );
        }
    }

    /// Ends what nobody has used for long, time and again.
    async fn sweeps(&self) -> Infallible {
        let mut turn = tokio::time::interval(SWEEP_INTERVAL);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            let commands = self.commands.clone();
            // A pool that is too busy leaves it to the next time.
            if let Err(error) = self.pool.run(move || commands.expire_idle()).await {
                tracing::debug!(%error, "idle cursors were not looked for");
            }
        }
    }

    async fn connected(
        self,
        stream: TcpStream,
        peer: String,
        stopping: Shutdown,
        _place: OwnedSemaphorePermit,
    ) {
        let _open = self.metrics.wire_connection();
        // Replies are whole messages: to hold them back for more would only cost time.
        let ended = match stream.set_nodelay(true) {
            Ok(()) => connection::Connection::new(stream, self, peer.clone()).serve(stopping).await,
            Err(error) => Err(error),
        };
        // Clients hang up as they like: that is nothing to warn of.
        if let Err(error) = ended {
            tracing::debug!(peer, %error, "a connection ended early");
        }
    }
}
