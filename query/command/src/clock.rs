//! Where the machine's clock comes in for commands: cursor timeouts, uptime, `localTime`.

#![expect(clippy::disallowed_methods, reason = "this is where the machine's clock comes in")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
