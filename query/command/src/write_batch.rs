//! What `insert`, `update` and `delete` share: a bounded list of operations, and errors one by one.

use sheaf_engine::operation::WriteError;
use sheaf_engine::{Error, Result};

use crate::arguments::Arguments;
use crate::codes::INVALID_LENGTH;
use crate::version::WRITE_BATCH_MAX;

/// Checks the number of operations.
pub(crate) fn check_len(field: &str, len: usize) -> Result<()> {
    if (1..=WRITE_BATCH_MAX).contains(&len) {
        return Ok(());
    }
    Err(Error::new(
        INVALID_LENGTH,
        format!("{field} must have from 1 to {WRITE_BATCH_MAX} elements, not {len}"),
    ))
}

/// Whether the first error ends the batch.
pub(crate) fn is_ordered(arguments: &Arguments<'_>) -> Result<bool> {
    Ok(arguments.flag("ordered")?.unwrap_or(true))
}

/// Whether a whole batch is refused because of this error, not only one operation of it.
pub(crate) fn is_fatal(error: &Error) -> bool {
    use sheaf_engine::error_code::{COMMAND_NOT_SUPPORTED_ON_VIEW, INVALID_NAMESPACE, SHUTDOWN_IN_PROGRESS};
    [COMMAND_NOT_SUPPORTED_ON_VIEW, INVALID_NAMESPACE, SHUTDOWN_IN_PROGRESS].contains(&error.code)
        || is_fatal_in_transaction(error)
}

/// Whether the error is about the transaction or the number of the write, not about one operation.
pub(crate) fn is_fatal_in_transaction(error: &Error) -> bool {
    use sheaf_engine::error_code::{
        NO_SUCH_TRANSACTION, OPERATION_NOT_SUPPORTED_IN_TRANSACTION, RETRIED_AS_ANOTHER,
        TRANSACTION_TOO_LARGE, TRANSACTION_TOO_OLD, WRITE_CONFLICT,
    };
    [
        NO_SUCH_TRANSACTION,
        OPERATION_NOT_SUPPORTED_IN_TRANSACTION,
        RETRIED_AS_ANOTHER,
        TRANSACTION_TOO_LARGE,
        TRANSACTION_TOO_OLD,
        WRITE_CONFLICT,
    ]
    .contains(&error.code)
}

/// Runs operations until the first error if `ordered`, else all; returns the errors.
pub(crate) fn run_each<T>(
    operations: impl IntoIterator<Item = T>,
    ordered: bool,
    mut run: impl FnMut(usize, T) -> Result<()>,
) -> Result<Vec<WriteError>> {
    let mut errors = Vec::new();
    for (index, operation) in operations.into_iter().enumerate() {
        match run(index, operation) {
            Ok(()) => {}
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                errors.push(WriteError { index, error });
                if ordered {
                    break;
                }
            }
        }
    }
    Ok(errors)
}

/// A count in a reply: an `int` if it fits.
pub(crate) fn count_value(count: u64) -> sheaf_document::Value<'static> {
    i32::try_from(count).map_or_else(
        |_| sheaf_document::Value::Int64(i64::try_from(count).unwrap_or(i64::MAX)),
        sheaf_document::Value::Int32,
    )
}
