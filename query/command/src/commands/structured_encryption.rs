//! `compactStructuredEncryptionData` and `cleanupStructuredEncryptionData`: for collections with encrypted fields, of which
//! there are none here.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, ErrorCode, Result};

use crate::lookup;
use crate::request::Request;

/// The collection has no encrypted fields.
const NOT_ENCRYPTED: ErrorCode = ErrorCode(6_346_807);

pub(crate) fn compact(request: &Request<'_>) -> Result<DocumentBuilder> {
    refuse(request, "compactionTokens")
}

pub(crate) fn clean_up(request: &Request<'_>) -> Result<DocumentBuilder> {
    refuse(request, "cleanupTokens")
}

fn refuse(request: &Request<'_>, tokens: &str) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    arguments.required(tokens, arguments.document(tokens)?)?;
    arguments.ignore(&["encryptionInformation", "anchorPaddingFactor"]);
    arguments.finish()?;
    lookup::existing(request, &namespace)?;
    Err(Error::new(NOT_ENCRYPTED, format!("{namespace} has no encrypted fields")))
}
