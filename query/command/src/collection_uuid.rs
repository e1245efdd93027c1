//! `collectionUUID`: the command is for the collection with this identity and no other of its name.

use sheaf_document::{DocumentBuilder, Value, ValueRef};
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use crate::arguments::Arguments;
use crate::codes::INVALID_UUID;
use crate::request::Request;

/// The collection has another identity.
pub(crate) const COLLECTION_UUID_MISMATCH: ErrorCode = ErrorCode(361);

/// The subtype of binary data that is a UUID.
const UUID_SUBTYPE: u8 = 4;

/// Refuses the command if it names an identity that the collection does not have.
pub(crate) fn check(request: &Request<'_>, namespace: &Namespace) -> Result<()> {
    let arguments = &request.arguments;
    check_field(request, arguments, namespace)
}

/// As [`check`], for a document of arguments that names a collection of its own.
pub(crate) fn check_field(
    request: &Request<'_>,
    arguments: &Arguments<'_>,
    namespace: &Namespace,
) -> Result<()> {
    let Some(value) = arguments.present("collectionUUID") else { return Ok(()) };
    let bytes = match value {
        ValueRef::Binary(binary) if binary.subtype == UUID_SUBTYPE => binary.bytes,
        other => return Err(arguments.wrong_type("collectionUUID", other, "a UUID")),
    };
    if bytes.len() != size_of::<[u8; 16]>() {
        return Err(Error::new(
            INVALID_UUID,
            format!("{}.collectionUUID must have 16 bytes, not {}", request.name, bytes.len()),
        ));
    }
    let engine = request.session.engine();
    let is = |uuid: Option<[u8; 16]>| uuid.is_some_and(|uuid| uuid == bytes);
    if is(engine.collection_info(namespace).and_then(|info| info.uuid)) {
        return Ok(());
    }
    let all = engine.list_collections(namespace.database())?;
    let actual = all.into_iter().find(|info| is(info.uuid)).map(|info| info.name);
    let mut details = DocumentBuilder::new();
    details
        .append("db", namespace.database())
        .append_value("collectionUUID", &Value::from(value))
        .append("expectedCollection", namespace.collection())
        .append_value("actualCollection", &actual.map_or(Value::Null, Value::from));
    Err(Error::new(
        COLLECTION_UUID_MISMATCH,
        format!("{} names the identity of another collection than {namespace}", request.name),
    )
    .with_details(details.build()))
}
