//! Replies: `{.., ok: 1}`, or `{ok: 0, errmsg, code, codeName, ..}`.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};
use sheaf_engine::operation::WriteError;
use sheaf_engine::{Error, Timestamp};

use crate::error_catalogue::code_name;
use crate::transaction::timestamp_value;

/// What a command answers.
#[derive(Clone, Debug)]
pub struct CommandReply {
    /// The whole reply, with `ok`.
    pub document: RawDocumentBuf,
}

impl CommandReply {
    /// The reply of a command that succeeded; a command that wrote `ok` itself is left as it is.
    pub(crate) fn success(body: DocumentBuilder) -> Self {
        let document = body.build();
        if document.as_raw().get("ok").is_some() {
            return Self { document };
        }
        let mut body = document.into_builder();
        body.append("ok", 1.0);
        Self { document: body.build() }
    }

    /// The reply of a command that failed.
    pub fn failure(error: &Error) -> Self {
        let mut body = DocumentBuilder::new();
        body.append("ok", 0.0);
        append_error(&mut body, error);
        Self { document: body.build() }
    }

    /// Whether the command succeeded.
    pub fn is_ok(&self) -> bool {
        self.document.as_raw().get("ok").is_some_and(|ok| crate::number::is_one(ok))
    }
}

/// Appends `errmsg`, `code`, `codeName` and whatever goes beside them.
pub(crate) fn append_error(body: &mut DocumentBuilder, error: &Error) {
    body.append("errmsg", error.message.as_str());
    body.append("code", error.code.0);
    body.append("codeName", code_name(error.code));
    append_details(body, error);
}

fn append_details(body: &mut DocumentBuilder, error: &Error) {
    if let Some(details) = &error.details {
        for element in details.as_raw() {
            body.append_element(element);
        }
    }
}

/// Appends `writeErrors`, if there are any.
pub(crate) fn append_write_errors(body: &mut DocumentBuilder, errors: &[WriteError]) {
    if errors.is_empty() {
        return;
    }
    body.array("writeErrors", |array| {
        for error in errors {
            array.document(|item| {
                item.append("index", i32::try_from(error.index).unwrap_or(i32::MAX));
                item.append("code", error.error.code.0);
                append_details(item, &error.error);
                item.append("errmsg", error.error.message.as_str());
            });
        }
    });
}

/// Appends `cursor: {firstBatch|nextBatch, id, ns}`, and the moment that is read if the client asked for one.
pub(crate) fn append_cursor(
    body: &mut DocumentBuilder,
    batch_name: &str,
    documents: &[RawDocumentBuf],
    id: i64,
    namespace: &str,
    moment: Option<Timestamp>,
) {
    body.document("cursor", |cursor| {
        cursor.array(batch_name, |array| {
            for document in documents {
                array.push_value(&Value::from(document.as_raw()));
            }
        });
        cursor.append("id", id);
        cursor.append("ns", namespace);
        if let Some(moment) = moment {
            cursor.append_value("atClusterTime", &timestamp_value(moment));
        }
    });
}

/// Appends the error of one operation of a `bulkWrite`: `code`, `errmsg` and what goes beside them.
pub(crate) fn append_item_error(body: &mut DocumentBuilder, error: &Error) {
    body.append("code", error.code.0);
    append_details(body, error);
    body.append("errmsg", error.message.as_str());
}
