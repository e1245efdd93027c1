//! What a resume token promises: the same documents in the same order.
//!
//! A token is sealed for its query ([`QueryDigest`]) and holds, before the engine's position, a digest of the
//! collection's indexes. The position counts rows of a plan; with other indexes the planner may choose another plan and
//! with it another order, and going on would leave documents out. Such a token is refused instead.
//!
//! ```text
//! sealed  digest of the indexes, 8 bytes | position of the engine
//! ```

use std::collections::HashMap;

use bytes::Bytes;
use sheaf_engine::{Namespace, error_code};
use sheaf_proto::v1;
use tonic::{Code, Status};

use super::Work;
use super::query::query_digest;
use super::resume_token::{QueryDigest, TokenSeal};
use super::status::{invalid, status, with_reason};

const INDEXES_BYTES: usize = 8;

/// What the tokens of one query are bound to.
pub struct Resumption {
    query: [u8; 32],
    indexes: [u8; INDEXES_BYTES],
}

impl Resumption {
    /// That of a query as the collection is now; `None` for a view, whose own collection may change unseen.
    pub fn of(work: &Work, namespace: &Namespace, query: Option<&v1::Query>) -> Result<Option<Self>, Status> {
        let listed = match work.session.list_indexes(namespace) {
            Ok(listed) => listed,
            Err(error) if error.code == error_code::NAMESPACE_NOT_FOUND => Vec::new(),
            Err(error) if error.code == error_code::COMMAND_NOT_SUPPORTED_ON_VIEW => return Ok(None),
            Err(error) => return Err(status(&error)),
        };
        let digest = listed
            .iter()
            .fold(QueryDigest::new("indexes"), |digest, index| digest.with(index.as_bytes()))
            .finish();
        let mut indexes = [0; INDEXES_BYTES];
        for (byte, digested) in indexes.iter_mut().zip(digest) {
            *byte = digested;
        }
        Ok(Some(Self { query: query_digest(namespace, query), indexes }))
    }

    /// The token of a position.
    pub fn seal(&self, seal: &TokenSeal, position: &[u8]) -> Bytes {
        let mut body = Vec::with_capacity(INDEXES_BYTES + position.len());
        body.extend_from_slice(&self.indexes);
        body.extend_from_slice(position);
        seal.seal(&self.query, &body)
    }

    /// The position in a token.
    pub fn open<'t>(&self, seal: &TokenSeal, token: &'t [u8]) -> Result<&'t [u8], Status> {
        let body = seal.open(&self.query, token)?;
        let (indexes, position) = body
            .split_at_checked(INDEXES_BYTES)
            .ok_or_else(|| invalid("RESUME_TOKEN_INVALID", "the resume token is too short"))?;
        if indexes != self.indexes {
            let message = "indexes of the collection were created or dropped since the token was made; \
                           the query has to begin again"
                .to_owned();
            return Err(with_reason(Code::FailedPrecondition, message, "INDEXES_CHANGED", HashMap::new()));
        }
        Ok(position)
    }
}

/// The position in the token of a request, if it has one.
pub fn resume_after<'t>(
    work: &Work,
    resumption: Option<&Resumption>,
    token: &'t Bytes,
) -> Result<Option<&'t [u8]>, Status> {
    match resumption {
        _ if token.is_empty() => Ok(None),
        Some(resumption) => resumption.open(&work.door.seal, token).map(Some),
        None => Err(invalid("RESUME_TOKEN_INVALID", "queries on views have no resume tokens")),
    }
}
