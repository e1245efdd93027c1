//! Sealed resume tokens.
//!
//! A token says where a stream of documents stands: the engine's position (last key, read timestamp). Clients hold it
//! and hand it back, perhaps to another server process, so it must not be possible to make one up or to use one with
//! another query.
//!
//! ```text
//! token  0x01 | position (see `resumption`) | tag, 32 bytes
//! tag    HMAC-SHA256(key, digest of the query, 32 bytes | 0x01 | position)
//! ```
//!
//! The first byte is the format version; one that is not known is refused like a forgery. The key is 64 random bytes
//! in `resume_token.key` in the data directory's `server` directory, made at the first start, so that tokens outlive
//! the process. A lost key costs the clients their open streams, and nothing else.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tonic::Status;

use super::status;

const FORMAT_VERSION: u8 = 1;
/// The block of HMAC-SHA256: a key of this size is used as it is.
const KEY_BYTES: usize = 64;
const TAG_BYTES: usize = 32;
const DIRECTORY: &str = "server";
const FILE: &str = "resume_token.key";

/// What a token is bound to: a digest over everything that decides which documents a query returns, and in which
/// order.
pub struct QueryDigest(Sha256);

impl QueryDigest {
    /// Starts with the name of the operation.
    pub fn new(operation: &str) -> Self {
        Self(Sha256::new()).with(operation.as_bytes())
    }

    /// Adds a part. Parts are delimited, so that moving bytes from one to the next changes the digest.
    #[must_use]
    pub fn with(mut self, part: &[u8]) -> Self {
        let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.update(len.to_le_bytes());
        self.0.update(part);
        self
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Seals and opens tokens.
#[derive(Clone)]
pub struct TokenSeal {
    key: [u8; KEY_BYTES],
}

impl TokenSeal {
    /// A seal that is forgotten with the process.
    pub fn ephemeral() -> std::io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        Ok(Self { key })
    }

    /// The seal of a data directory; made if it has none.
    pub fn of_directory(data: &Path) -> std::io::Result<Self> {
        let directory = data.join(DIRECTORY);
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                if let Ok(key) = bytes.try_into() {
                    return Ok(Self { key });
                }
                tracing::warn!(path = %path.display(), "the resume token key is damaged; earlier tokens are void");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let seal = Self::ephemeral()?;
        std::fs::create_dir_all(&directory)?;
        seal.write(&directory)?;
        Ok(seal)
    }

    /// Writes the key under another name first: there is never a half-written key under the right one.
    fn write(&self, directory: &Path) -> std::io::Result<()> {
        let unfinished = directory.join("resume_token.key.new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        file.write_all(&self.key)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, directory.join(FILE))
    }

    /// Seals a position of this query.
    pub fn seal(&self, digest: &[u8; 32], position: &[u8]) -> Bytes {
        let mut token = Vec::with_capacity(1 + position.len() + TAG_BYTES);
        token.push(FORMAT_VERSION);
        token.extend_from_slice(position);
        let tag = self.tag(digest, &token).finalize().into_bytes();
        token.extend_from_slice(&tag);
        Bytes::from(token)
    }

    /// Opens a token of this query.
    pub fn open<'t>(&self, digest: &[u8; 32], token: &'t [u8]) -> Result<&'t [u8], Status> {
        let refused = || {
            let message = "the resume token does not belong to this query, or it was altered";
            status::invalid("RESUME_TOKEN_INVALID", message)
        };
        let body_bytes = token.len().checked_sub(TAG_BYTES).ok_or_else(refused)?;
        let (body, tag) = token.split_at_checked(body_bytes).ok_or_else(refused)?;
        self.tag(digest, body).verify_slice(tag).map_err(|_| refused())?;
        match body.split_first() {
            Some((&FORMAT_VERSION, position)) => Ok(position),
            _ => Err(refused()),
        }
    }

    fn tag(&self, digest: &[u8; 32], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(digest);
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_its_query_only() {
        let seal = TokenSeal::ephemeral().unwrap();
        let digest = QueryDigest::new("find").with(b"app").with(b"users").finish();
        let token = seal.seal(&digest, b"position");
        assert_eq!(seal.open(&digest, &token).unwrap(), b"position");

        let other = QueryDigest::new("find").with(b"appu").with(b"sers").finish();
        assert!(seal.open(&other, &token).is_err());
        assert!(TokenSeal::ephemeral().unwrap().open(&digest, &token).is_err());
    }

    #[test]
    fn every_altered_byte_and_every_length_is_refused() {
        let seal = TokenSeal::ephemeral().unwrap();
        let digest = QueryDigest::new("find").finish();
        let token = seal.seal(&digest, b"position");
        for index in 0..token.len() {
            let mut altered = token.to_vec();
            altered[index] ^= 1;
            assert!(seal.open(&digest, &altered).is_err(), "byte {index}");
            assert!(seal.open(&digest, &token[..index]).is_err(), "length {index}");
        }
    }

    #[test]
    fn the_key_of_a_directory_outlives_the_process_and_damage_only_voids_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let digest = QueryDigest::new("find").finish();
        let token = TokenSeal::of_directory(directory.path()).unwrap().seal(&digest, b"here");
        let again = TokenSeal::of_directory(directory.path()).unwrap();
        assert_eq!(again.open(&digest, &token).unwrap(), b"here");

        std::fs::write(directory.path().join(DIRECTORY).join(FILE), b"short").unwrap();
        let fresh = TokenSeal::of_directory(directory.path()).unwrap();
        assert!(fresh.open(&digest, &token).is_err());
        assert_eq!(std::fs::read(directory.path().join(DIRECTORY).join(FILE)).unwrap().len(), KEY_BYTES);
    }
}
