//! The handshake that waits: how drivers hear of changes without asking again and again.
//!
//! A monitor that knows our topology version sends it back with `maxAwaitTimeMS`, and wants the answer when something
//! changed or the time is over. Here nothing changes while the server runs, so the answer comes when the time is
//! over, or when the server ends. With `exhaustAllowed` the answers go on by themselves, one per wait.

use std::time::Duration;

use sheaf_command::Commands;
use sheaf_document::{RawDocument, ValueRef};

/// How a handshake waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Before the first answer.
    pub first: Duration,
    /// Before each further one, if it becomes a stream.
    pub next: Duration,
}

/// Whether this command is the handshake.
pub fn is_hello(command: RawDocument<'_>) -> bool {
    command.first().is_some_and(|first| matches!(first.key(), "hello" | "isMaster" | "ismaster"))
}

/// How this command waits, if it is a handshake that does.
pub fn awaited(command: RawDocument<'_>, commands: &Commands, wait_max: Duration) -> Option<Awaited> {
    if !is_hello(command) {
        return None;
    }
    let Some(ValueRef::Document(known)) = command.get("topologyVersion") else { return None };
    let millis = match command.get("maxAwaitTimeMS")? {
        ValueRef::Int32(millis) => u64::try_from(millis).ok()?,
        ValueRef::Int64(millis) => u64::try_from(millis).ok()?,
        _ => return None,
    };
    let next = Duration::from_millis(millis).min(wait_max);
    let (process, counter) = commands.topology_version();
    let is_current = known.get("processId") == Some(ValueRef::ObjectId(process))
        && known.get("counter") == Some(ValueRef::Int64(counter));
    Some(Awaited { first: if is_current { next } else { Duration::ZERO }, next })
}

#[cfg(test)]
mod tests {
    use sheaf_command::Identity;
    use sheaf_document::DocumentBuilder;
    use sheaf_engine::{Database, DatabaseOptions};

    use super::*;

    #[test]
    fn nobody_waits_longer_than_the_limit() {
        let database = Database::in_memory(DatabaseOptions::default()).unwrap();
        let commands = Commands::new(database, Identity::default());
        let (process, counter) = commands.topology_version();
        let waits = |counter: i64, millis: i32| {
            let mut command = DocumentBuilder::new();
            command.append("hello", 1).append("maxAwaitTimeMS", millis);
            command.document("topologyVersion", |known| {
                known.append("processId", process).append("counter", counter);
            });
            let awaited = awaited(command.build().as_raw(), &commands, Duration::from_millis(500));
            awaited.map(|awaited| (awaited.first.as_millis(), awaited.next.as_millis()))
        };
        assert_eq!(waits(counter, 20), Some((20, 20)));
        assert_eq!(waits(counter, 90_000), Some((500, 500)));
        assert_eq!(waits(counter + 1, 90_000), Some((0, 500)), "something changed");
        assert_eq!(waits(counter, -1), None);
    }
}
