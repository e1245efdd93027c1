//! One client: read a message, answer it, and so on until somebody hangs up.

use std::io::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use sheaf_command::{CommandReply, CommandSession};
use sheaf_document::RawDocument;
use sheaf_engine::{Error, ErrorCode, error_code};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::fault::Fault;
use super::header::{Header, OP_COMPRESSED, OP_MSG, OP_QUERY};
use super::hello::{self, Awaited};
use super::message::{self, MORE_TO_COME, Message};
use super::turn::Turn;
use super::{Door, command, frame, legacy, reply};
use crate::shutdown::Shutdown;
use crate::storage_pool::PoolError;

/// The server has too much to do; the request was not begun.
const TEMPORARILY_UNAVAILABLE: ErrorCode = ErrorCode(333);

/// Behind a refusal that ends the connection, this much is still read and thrown away for this long: to hang up on
/// bytes that are on their way would take the refusal back.
const LINGER_BYTES: u64 = 1 << 20;
const LINGER_TIME: Duration = Duration::from_millis(500);

/// A connection.
pub struct Connection<S> {
    stream: BufReader<S>,
    door: Door,
    session: Arc<CommandSession>,
    /// Number of the last message that was sent.
    last_id: i32,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Message,
    HangUp,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Time,
    /// The client says something.
    Message,
    /// The client is gone.
    Gone,
    Stopping,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection of this client.
    pub fn new(stream: S, door: Door, peer: String) -> Self {
        let session = Arc::new(door.commands.connect_from(peer));
        Self { stream: BufReader::new(stream), door, session, last_id: 0 }
    }

    /// Answers until the client hangs up, breaks the protocol, or `stopping` fires between two messages.
    pub async fn serve(mut self, stopping: Shutdown) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                () = stopping.clone().requested() => return Ok(()),
                begun = self.stream.fill_buf() => if begun?.is_empty() {
                    return Ok(());
                },
            }
            let bytes = frame::read_header(&mut self.stream, &self.door.limits).await?;
            let header = Header::parse(bytes);
            let next = match header.message_bytes(self.door.limits.message_bytes_max) {
                Ok(length) => {
                    let whole =
                        frame::read_message(&mut self.stream, bytes, length, &self.door.limits).await?;
                    self.answer(header, &Bytes::from(whole), &stopping).await?
                }
                Err(fault) => self.refuse(header, &fault).await?,
            };
            if next == Next::HangUp {
                return self.hang_up().await;
            }
        }
    }

    async fn answer(&mut self, header: Header, whole: &Bytes, stopping: &Shutdown) -> Result<Next> {
        match header.op_code {
            OP_MSG => match message::parse(whole, &self.door.limits) {
                Ok(message) => self.answer_message(header, message, stopping).await,
                Err(fault) if message::wants_no_answer(whole) && !fault.is_fatal => Ok(Next::Message),
                Err(fault) => self.refuse(header, &fault).await,
            },
            OP_QUERY => {
                let reply = self.counted(|session| legacy::run(session, whole));
                let document = reply.document.into_bytes();
                let id = self.next_id();
                let head = legacy::reply_head(document.len(), id, header.request_id);
                self.send(&head, &document).await?;
                Ok(Next::Message)
            }
            OP_COMPRESSED => {
                let fault = Fault::of_connection("compression was not agreed on in the handshake");
                self.refuse(header, &fault).await
            }
            code => {
                let fault = Fault::of_connection(format!("operation {code} is not spoken here"));
                self.refuse(header, &fault).await
            }
        }
    }

    async fn answer_message(
        &mut self,
        header: Header,
        message: Message,
        stopping: &Shutdown,
    ) -> Result<Next> {
        // Not validated yet: looking into it finds less in broken bytes, never something wrong.
        let body = RawDocument::from_bytes(&message.body).unwrap_or(RawDocument::EMPTY);
        let awaited = hello::awaited(body, &self.door.commands, self.door.limits.hello_wait_max);
        let turn = Turn::of(body);
        if let Some(awaited) = awaited.filter(|_| !message.more_to_come) {
            return self.answer_awaited(header, &message, awaited, stopping).await;
        }
        let wants_answer = !message.more_to_come;
        let reply = match turn {
            // Also while the pool is busy: else clients would think us gone.
            Turn::Now => self.counted(|session| command::run(session, &message)),
            turn => self.run_on_pool(message, turn).await,
        };
        if wants_answer {
            self.send_reply(header.request_id, reply, 0).await?;
        }
        Ok(Next::Message)
    }

    /// Answers a handshake that waits; as a stream, if the client takes one.
    async fn answer_awaited(
        &mut self,
        header: Header,
        message: &Message,
        awaited: Awaited,
        stopping: &Shutdown,
    ) -> Result<Next> {
        let is_stream = message.exhaust_allowed && !awaited.next.is_zero();
        let mut response_to = header.request_id;
        let mut wait = awaited.first;
        loop {
            let woken = self.wait(wait, stopping).await?;
            if woken == Woken::Gone {
                return Ok(Next::HangUp);
            }
            let goes_on = is_stream && woken == Woken::Time;
            let reply = self.counted(|session| command::run(session, message));
            // Each reply of a stream answers the one before it.
            response_to = self.send_reply(response_to, reply, if goes_on { MORE_TO_COME } else { 0 }).await?;
            if !goes_on {
                return Ok(if woken == Woken::Stopping { Next::HangUp } else { Next::Message });
            }
            wait = awaited.next;
        }
    }

    async fn wait(&mut self, time: Duration, stopping: &Shutdown) -> Result<Woken> {
        tokio::select! {
            biased;
            () = stopping.clone().requested() => Ok(Woken::Stopping),
            () = tokio::time::sleep(time) => Ok(Woken::Time),
            bytes = self.stream.fill_buf() => Ok(if bytes?.is_empty() { Woken::Gone } else { Woken::Message }),
        }
    }

    async fn run_on_pool(&self, message: Message, turn: Turn) -> CommandReply {
        let begun = Instant::now();
        let session = Arc::clone(&self.session);
        let work = move || command::run(&session, &message);
        let pool = &self.door.pool;
        let done = match turn {
            Turn::Now | Turn::Urgent => pool.run_urgent(work).await,
            Turn::Usual => pool.run(work).await,
            Turn::Awaiting => match self.door.awaiting.acquire().await {
                Ok(_place) => pool.run(work).await,
                Err(_closed) => Err(PoolError::ShuttingDown),
            },
        };
        let reply = done.unwrap_or_else(|error| CommandReply::failure(&described(error)));
        self.door.metrics.wire_answered(reply.is_ok(), begun.elapsed());
        reply
    }

    /// Answers here and now.
    fn counted(&self, run: impl FnOnce(&CommandSession) -> CommandReply) -> CommandReply {
        let begun = Instant::now();
        let reply = run(&self.session);
        self.door.metrics.wire_answered(reply.is_ok(), begun.elapsed());
        reply
    }

    /// Says what is wrong with a message, if its sender would understand.
    async fn refuse(&mut self, header: Header, fault: &Fault) -> Result<Next> {
        tracing::debug!(code = fault.error.code.0, message = %fault.error.message, "a message was refused");
        if header.is_known() {
            self.send_reply(header.request_id, CommandReply::failure(&fault.error), 0).await?;
        }
        Ok(if fault.is_fatal { Next::HangUp } else { Next::Message })
    }

    /// Sends a reply as OP_MSG; returns its number.
    async fn send_reply(&mut self, response_to: i32, reply: CommandReply, flags: u32) -> Result<i32> {
        let document = reply.document.into_bytes();
        let id = self.next_id();
        self.send(&reply::head(document.len(), id, response_to, flags), &document).await?;
        Ok(id)
    }

    /// Sends head and document in one go, without copying the document.
    async fn send(&mut self, head: &[u8], document: &[u8]) -> Result<()> {
        let mut message = Buf::chain(head, document);
        let written = async {
            self.stream.write_all_buf(&mut message).await?;
            self.stream.flush().await
        };
        frame::in_time(self.door.limits.reply_time_max, written).await
    }

    fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    async fn hang_up(mut self) -> Result<()> {
        self.stream.shutdown().await?;
        let mut rest = self.stream.take(LINGER_BYTES);
        let mut sink = tokio::io::sink();
        // Whether the client hangs up or goes on sending, this is the end.
        let _late = tokio::time::timeout(LINGER_TIME, tokio::io::copy(&mut rest, &mut sink)).await;
        Ok(())
    }
}

/// What a client is told when the pool did not do the work.
fn described(error: PoolError) -> Error {
    let code = match error {
        PoolError::Overloaded => TEMPORARILY_UNAVAILABLE,
        PoolError::ShuttingDown => error_code::SHUTDOWN_IN_PROGRESS,
        PoolError::WorkerLost => error_code::INTERNAL_ERROR,
    };
    Error::new(code, error.to_string())
}
