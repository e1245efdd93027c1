//! `dropDatabase`: drops a database with all its collections.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Result, error_code};

use crate::arguments::BAD_VALUE;
use crate::number::to_integer;
use crate::request::Request;

/// Databases that the system needs.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let subject = request.subject();
    if to_integer(subject) != Some(1) {
        let code = if subject.kind().is_number() { BAD_VALUE } else { crate::arguments::TYPE_MISMATCH };
        return Err(Error::new(code, format!("dropDatabase takes the number 1, not {subject:?}")));
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
