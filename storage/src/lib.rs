//! The storage engine: ordered bytes, versions by timestamp, one write-ahead log. Knows no document.
