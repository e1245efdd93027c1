//! When a request has its turn on the storage pool.

use sheaf_document::RawDocument;

use super::hello::is_hello;

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Here and now: it is answered from memory.
    Now,
    /// On a thread beside the pool: others may be waiting for it, on every thread of the pool.
    Urgent,
    /// As every request.
    Usual,
    /// On the pool, but only so many at once: it may wait for documents that others have yet to write.
    Awaiting,
}

/// Short commands that end what runs, or let it go on.
const URGENT: [&str; 10] = [
    "abortTransaction",
    "currentOp",
    "endSessions",
    "fsyncUnlock",
    "killAllSessions",
    "killAllSessionsByPattern",
    "killCursors",
    "killOp",
    "killSessions",
    "ping",
];

impl Turn {
    /// The turn of a command.
    pub fn of(command: RawDocument<'_>) -> Self {
        match command.first().map_or("", |first| first.key()) {
            _ if is_hello(command) => Self::Now,
            "getMore" if command.get("maxTimeMS").is_some() => Self::Awaiting,
            name if URGENT.contains(&name) => Self::Urgent,
            _ => Self::Usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use sheaf_document::DocumentBuilder;

    use super::*;

    #[test]
    fn the_name_decides() {
        let turn = |fields: &[&str]| {
            let mut command = DocumentBuilder::new();
            for field in fields {
                command.append(field, 1);
            }
            Turn::of(command.build().as_raw())
        };
        assert_eq!(turn(&["hello"]), Turn::Now);
        assert_eq!(turn(&["killOp", "hello"]), Turn::Urgent);
        assert_eq!(turn(&["getMore"]), Turn::Usual);
        assert_eq!(turn(&["getMore", "maxTimeMS"]), Turn::Awaiting);
        assert_eq!(turn(&["find", "maxTimeMS"]), Turn::Usual);
        assert_eq!(turn(&[]), Turn::Usual);
    }

    #[test]
    fn urgent_commands_are_commands() {
        // `currentOp` and `abortTransaction` may be left out of a table of commands; the others are always there.
        let unknown: Vec<_> =
            URGENT.into_iter().filter(|name| sheaf_command::find_command(name).is_none()).collect();
        assert!(unknown.iter().all(|name| ["abortTransaction", "currentOp"].contains(name)), "{unknown:?}");
    }
}
