//! insert, update, delete.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_proto::v1::{
    DeleteOperation, InsertOperation, ReplaceOperation, UpdateOperation, WriteOperation, WriteRequest,
    WriteResult, update_operation, write_operation::Operation, write_result::Outcome,
};
use tonic::codegen::Bytes;

use super::{Remote, bytes, collection, describe, truth, whole};

impl Remote {
    pub(super) fn insert(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let operations = statements(command, "documents")?
            .map(|document| {
                Operation::Insert(InsertOperation { document: Bytes::copy_from_slice(document.as_bytes()) })
            })
            .collect();
        self.write(database, command, operations)
    }

    pub(super) fn update(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let operations =
            statements(command, "updates")?.map(update_operation_of).collect::<Result<_, _>>()?;
        self.write(database, command, operations)
    }

    pub(super) fn delete(&self, database: &str, command: RawDocument<'_>) -> Result<RawDocumentBuf, String> {
        let operations = statements(command, "deletes")?
            .map(|statement| {
                Operation::Delete(DeleteOperation {
                    filter: bytes(statement, "q"),
                    multi: whole(statement, "limit") == 0,
                    hint: bytes(statement, "hint"),
                    collation: bytes(statement, "collation"),
                })
            })
            .collect();
        self.write(database, command, operations)
    }

    fn write(
        &self,
        database: &str,
        command: RawDocument<'_>,
        operations: Vec<Operation>,
    ) -> Result<RawDocumentBuf, String> {
        let request = WriteRequest {
            database: database.to_owned(),
            collection: collection(command)?,
            operations: operations
                .into_iter()
                .map(|operation| WriteOperation { operation: Some(operation) })
                .collect(),
            unordered: command.get("ordered").is_some() && !truth(command, "ordered"),
            variables: bytes(command, "let"),
            ..WriteRequest::default()
        };
        let mut documents = self.documents.clone();
        let response = self.runtime.block_on(documents.write(request)).map_err(describe)?.into_inner();
        Ok(reply(&response.results))
    }
}

fn statements<'a>(
    command: RawDocument<'a>,
    key: &str,
) -> Result<impl Iterator<Item = RawDocument<'a>> + use<'a>, String> {
    let array =
        command.get(key).and_then(ValueRef::as_array).ok_or_else(|| format!("the command needs '{key}'"))?;
    Ok(array.iter().filter_map(ValueRef::as_document))
}

fn update_operation_of(statement: RawDocument<'_>) -> Result<Operation, String> {
    let change = statement.get("u").ok_or("an update needs 'u'")?;
    let operators = match change {
        ValueRef::Document(document) => document.first().is_some_and(|first| first.key().starts_with('$')),
        _ => true,
    };
    if !operators {
        return Ok(Operation::Replace(ReplaceOperation {
            filter: bytes(statement, "q"),
            replacement: bytes(statement, "u"),
            upsert: truth(statement, "upsert"),
            hint: bytes(statement, "hint"),
            collation: bytes(statement, "collation"),
        }));
    }
    let filters = statement.get("arrayFilters").and_then(ValueRef::as_array);
    let filters = filters.iter().flat_map(|filters| filters.iter()).filter_map(ValueRef::as_document);
    Ok(Operation::Update(UpdateOperation {
        filter: bytes(statement, "q"),
        change: Some(match change {
            ValueRef::Array(stages) => {
                update_operation::Change::Pipeline(Bytes::copy_from_slice(stages.as_bytes()))
            }
            _ => update_operation::Change::Update(bytes(statement, "u")),
        }),
        multi: truth(statement, "multi"),
        upsert: truth(statement, "upsert"),
        array_filters: filters.map(|filter| Bytes::copy_from_slice(filter.as_bytes())).collect(),
        hint: bytes(statement, "hint"),
        collation: bytes(statement, "collation"),
    }))
}

/// The results as the reply of a write command.
fn reply(results: &[WriteResult]) -> RawDocumentBuf {
    let (mut n, mut modified) = (0i64, 0i64);
    let mut errors = Vec::new();
    for (index, result) in results.iter().enumerate() {
        match &result.outcome {
            Some(Outcome::Insert(_)) => n += 1,
            Some(Outcome::Update(update)) => {
                n += update.matched + i64::from(!update.upserted_key.is_empty());
                modified += update.modified;
            }
            Some(Outcome::Delete(delete)) => n += delete.deleted,
            Some(Outcome::Error(error)) => errors.push((index, error)),
            None => {}
        }
    }
    let mut reply = DocumentBuilder::new();
    reply.append("n", n).append("nModified", modified);
    if !errors.is_empty() {
        reply.array("writeErrors", |array| {
            for (index, error) in errors {
                array.document(|document| {
                    document
                        .append("index", i64::try_from(index).unwrap_or(i64::MAX))
                        .append("code", error.code)
                        .append("errmsg", error.message.as_str());
                });
            }
        });
    }
    reply.append("ok", 1.0);
    reply.build()
}
