//! Where the database says what no caller is told: warnings about documents that were let in.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A listener: takes a line for people.
pub type LogListener = Arc<dyn Fn(&str) + Send + Sync>;

/// The listeners of a database. Clones share them.
#[derive(Clone, Default)]
pub struct LogSink {
    listeners: Arc<RwLock<Vec<LogListener>>>,
}

impl LogSink {
    /// Adds a listener, which must not call back into the database: a write may be waiting for it.
    pub fn listen(&self, listener: LogListener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells every listener.
    pub(crate) fn warn(&self, line: &str) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(line);
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.listeners.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("LogSink").field("listeners", &count).finish()
    }
}
