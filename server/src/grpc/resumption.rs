//! What a resume token promises: the same documents in the same order.
//!
//! A token is sealed for its query ([`QueryDigest`]) and holds, before the engine's position, a digest of the
//! collection: its identity and its indexes. The position counts rows of a plan at a moment. In a collection that was
//! dropped and made again those rows are not; with other indexes the planner may choose another plan and with it
//! another order. Going on would leave documents out without a word, so such a token is refused.
//!
//! ```text
//! sealed  digest of the collection, 8 bytes | position of the engine
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

const COLLECTION_BYTES: usize = 8;

/// What the tokens of one query are bound to.
pub struct Resumption {
    query: [u8; 32],
    collection: [u8; COLLECTION_BYTES],
}

impl Resumption {
    /// That of a query as the collection is now; `None` for a view, whose own collection may change unseen.
    pub fn of(work: &Work, namespace: &Namespace, query: Option<&v1::Query>) -> Result<Option<Self>, Status> {
        let identity = work.session.collection_info(namespace).and_then(|info| info.uuid);
        let listed = match work.session.list_indexes(namespace) {
            Ok(listed) => listed,
            Err(error) if error.code == error_code::NAMESPACE_NOT_FOUND => Vec::new(),
            Err(error) if error.code == error_code::COMMAND_NOT_SUPPORTED_ON_VIEW => return Ok(None),
            Err(error) => return Err(status(&error)),
        };
        let collection =
            QueryDigest::new("collection").with(identity.as_ref().map_or(&[], |uuid| uuid.as_slice()));
        let digest = listed.iter().fold(collection, |digest, index| digest.with(index.as_bytes())).finish();
        let mut collection = [0; COLLECTION_BYTES];
        for (byte, digested) in collection.iter_mut().zip(digest) {
            *byte = digested;
        }
        Ok(Some(Self { query: query_digest(namespace, query), collection }))
    }

    /// The token of a position.
    pub fn seal(&self, seal: &TokenSeal, position: &[u8]) -> Bytes {
        let mut body = Vec::with_capacity(COLLECTION_BYTES + position.len());
        body.extend_from_slice(&self.collection);
        body.extend_from_slice(position);
        seal.seal(&self.query, &body)
    }

    /// The position in a token.
    pub fn open<'t>(&self, seal: &TokenSeal, token: &'t [u8]) -> Result<&'t [u8], Status> {
        let body = seal.open(&self.query, token)?;
        let (collection, position) = body
            .split_at_checked(COLLECTION_BYTES)
            .ok_or_else(|| invalid("RESUME_TOKEN_INVALID", "the resume token is too short"))?;
        if collection != self.collection {
            let message =
                "the collection was dropped, or indexes of it were created or dropped, since the token was \
                           made; the query has to begin again"
                    .to_owned();
            return Err(with_reason(Code::FailedPrecondition, message, "COLLECTION_CHANGED", HashMap::new()));
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
