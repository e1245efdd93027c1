//! `dropDatabase`: drops a database with all its collections.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, ErrorCode, Result, error_code};

use crate::number::to_integer;
use crate::request::Request;

/// The argument is a number, but not 1.
const NOT_ONE: ErrorCode = ErrorCode(5_255_100);

/// Databases that the system needs.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let subject = request.subject();
    if subject.is_nullish() {
        return request.arguments.required("dropDatabase", None);
    }
    if !subject.kind().is_number() {
        return Err(request.arguments.wrong_type("dropDatabase", subject, "the number 1"));
    }
    if to_integer(subject) != Some(1) {
        return Err(Error::new(NOT_ONE, format!("dropDatabase takes the number 1, not {subject:?}")));
    }
    request.arguments.finish()?;
    if SYSTEM_DATABASES.contains(&request.database) {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            format!("the database {} cannot be dropped", request.database),
        ));
    }
    let existed = request.session.engine().drop_database(request.database)?;
    let mut body = DocumentBuilder::new();
    if existed {
        body.append("dropped", request.database);
    }
    Ok(body)
}
