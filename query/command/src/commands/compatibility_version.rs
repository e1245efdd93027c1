//! `setFeatureCompatibilityVersion`: the version whose features may be used. There is one; the version before it is
//! accepted and kept, as upgrades ask for it.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result};

use crate::request::Request;
use crate::version::FEATURE_COMPATIBILITY_VERSIONS;

/// There is no such version.
const INVALID_VERSION: ErrorCode = ErrorCode(4_926_900);
/// The change was not confirmed.
const NOT_CONFIRMED: ErrorCode = ErrorCode(7_369_100);

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let ValueRef::String(version) = request.subject() else {
        return match request.subject() {
            ValueRef::Null | ValueRef::Undefined => arguments.required(request.name, None),
            other => Err(arguments.wrong_type(request.name, other, "a string")),
        };
    };
    let confirm = arguments.flag("confirm")?.unwrap_or(false);
    arguments.ignore(&["fromConfigServer", "phase", "timestamp", "changeTimestamp"]);
    arguments.finish()?;
    let Some(known) = FEATURE_COMPATIBILITY_VERSIONS.into_iter().find(|known| *known == version) else {
        return Err(Error::new(
            INVALID_VERSION,
            format!("the version is one of {}, not {version:?}", FEATURE_COMPATIBILITY_VERSIONS.join(", ")),
        ));
    };
    if !confirm {
        return Err(Error::new(NOT_CONFIRMED, "setFeatureCompatibilityVersion needs confirm: true"));
    }
    request.commands().state().feature_compatibility_version = Some(known);
    Ok(DocumentBuilder::new())
}
