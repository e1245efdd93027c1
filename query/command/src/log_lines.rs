//! The lines of the log that `getLog` shows: the newest ones, in a ring. Whoever serves the commands listens too.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::now_millis;

/// Lines that are kept, as in MongoDB.
const LINES_MAX: usize = 1_024;

/// Bytes of a line that are kept.
const LINE_BYTES_MAX: usize = 8_192;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For whoever wants to know.
    Information,
    /// For whoever is in charge.
    Warning,
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// How grave it is.
    pub severity: Severity,
    /// What it is about, as MongoDB names it: `COMMAND`, `STORAGE`, `ACCESS`, `CONTROL`.
    pub component: &'static str,
    /// What happened.
    pub message: String,
}

/// Takes lines as they come.
pub type LogListener = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// The newest lines.
#[derive(Default)]
pub(crate) struct LogLines {
    inner: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    written: u64,
    warnings: VecDeque<String>,
    listener: Option<LogListener>,
}

impl LogLines {
    /// Sets who listens.
    pub(crate) fn listen(&self, listener: LogListener) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).listener = Some(listener);
    }

    /// Writes a line, and tells who listens.
    pub(crate) fn write(&self, line: LogLine) {
        if let Some(listener) = self.keep(&line) {
            listener(&line);
        }
    }

    /// Writes a line that others heard of already. Says who listens.
    pub(crate) fn keep(&self, line: &LogLine) -> Option<LogListener> {
        let text = as_text(line);
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        kept.written += 1;
        if kept.lines.len() == LINES_MAX {
            kept.lines.pop_front();
        }
        kept.lines.push_back(text);
        kept.listener.clone()
    }

    /// Keeps a warning about how the server was started.
    pub(crate) fn warn_of_start(&self, message: &str) {
        let line = LogLine { severity: Severity::Warning, component: "CONTROL", message: message.to_owned() };
        let text = as_text(&line);
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).warnings.push_back(text);
        self.write(line);
    }

    /// How many lines were written, and the newest of them.
    pub(crate) fn newest(&self) -> (u64, Vec<String>) {
        let kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.written, kept.lines.iter().cloned().collect())
    }

    /// Warnings about how the server was started.
    pub(crate) fn startup_warnings(&self) -> Vec<String> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).warnings.iter().cloned().collect()
    }
}

/// `{"t":{"$date":..},"s":"I","c":"COMMAND","msg":".."}`, the form that MongoDB's tools read.
fn as_text(line: &LogLine) -> String {
    let mut out = sheaf_document::DocumentBuilder::new();
    let letter = if line.severity == Severity::Warning { "W" } else { "I" };
    let message: String = line.message.chars().take(LINE_BYTES_MAX / 4).collect();
    out.append_value("t", &sheaf_document::Value::DateTime(now_millis()));
    out.append("s", letter).append("c", line.component).append("msg", message);
    sheaf_document::json::to_relaxed(out.build().as_raw())
}

impl fmt::Debug for LogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLines").field("written", &self.newest().0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let lines = LogLines::default();
        for number in 0..LINES_MAX + 3 {
            let message = format!("line {number}");
            lines.write(LogLine { severity: Severity::Information, component: "COMMAND", message });
        }
        let (written, kept) = lines.newest();
        assert_eq!((written, kept.len()), (1_027, LINES_MAX));
        assert!(kept.first().is_some_and(|line| line.contains("line 3")), "{kept:?}");
    }
}
