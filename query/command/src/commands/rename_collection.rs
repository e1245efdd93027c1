//! `renameCollection`: `{renameCollection: namespace, to: namespace, dropTarget}`, on the admin database.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::operation::RenameCollectionOperation;
use sheaf_engine::{Error, NAMESPACE_BYTES_MAX, Namespace, Result, error_code};

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let from = match request.subject() {
        ValueRef::String(namespace) => namespace,
        ValueRef::Null | ValueRef::Undefined => return arguments.required("renameCollection", None),
        other => return Err(arguments.wrong_type("renameCollection", other, "a string")),
    };
    let to = arguments.required("to", arguments.string("to")?)?;
    let drop_target = match arguments.present("dropTarget") {
        None => false,
        // A UUID names the collection that may be dropped; any is fine for us.
        Some(ValueRef::Binary(_)) => true,
        Some(_) => arguments.flag("dropTarget")?.unwrap_or(false),
    };
    let _stay_temp = arguments.boolean("stayTemp")?;
    let (from, to) = (read_name(from)?, read_name(to)?);
    crate::collection_uuid::check(request, &from)?;
    arguments.finish()?;
    let operation = RenameCollectionOperation { from, to, drop_target };
    request.session.engine().rename_collection(&operation)?;
    Ok(DocumentBuilder::new())
}

/// A namespace. One that is too long, or has a dollar sign, is nothing that could be renamed, which is another error than
/// that of a name that is written wrongly.
fn read_name(name: &str) -> Result<Namespace> {
    Namespace::parse(name).map_err(|error| {
        if name.contains('$') || name.len() > NAMESPACE_BYTES_MAX {
            return Error::new(error_code::ILLEGAL_OPERATION, error.message);
        }
        error
    })
}
