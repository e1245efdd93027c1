//! Which server this presents itself as.

/// The version of MongoDB whose commands and language are spoken.
pub(crate) const SPOKEN_VERSION: &str = "8.2.4";

/// The same in numbers.
pub(crate) const SPOKEN_VERSION_PARTS: [i32; 4] = [8, 2, 4, 0];

/// Wire versions: the oldest and the newest that are spoken.
pub(crate) const WIRE_VERSION_MIN: i32 = 0;
/// The wire version of 8.2.
pub(crate) const WIRE_VERSION_MAX: i32 = 27;

/// Largest message in bytes.
pub(crate) const MESSAGE_BYTES_MAX: i32 = 48_000_000;

/// Most operations of one write command.
pub(crate) const WRITE_BATCH_MAX: usize = 100_000;

/// Largest document in bytes, as clients are told.
pub(crate) const DOCUMENT_BYTES_MAX: i32 = 16 * 1024 * 1024;

/// What `featureCompatibilityVersion` says.
pub(crate) const FEATURE_COMPATIBILITY_VERSION: &str = "8.2";

/// What `setFeatureCompatibilityVersion` takes.
pub(crate) const FEATURE_COMPATIBILITY_VERSIONS: [&str; 2] = ["8.0", "8.2"];
