//! `dropIndexes`: `{dropIndexes: collection, index: name | [name, ..] | key | "*"}`.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::Result;
use sheaf_engine::operation::{DropIndexesOperation, IndexTarget};

use crate::arguments::Arguments;
use crate::request::Request;
use crate::write_batch::count_value;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let index = arguments.required("index", arguments.value("index"))?;
    let target = target(arguments, index)?;
    let drops_all = matches!(target, IndexTarget::All);
    arguments.finish()?;
    let outcome = request.session.engine().drop_indexes(&DropIndexesOperation { namespace, target })?;
    let mut body = DocumentBuilder::new();
    body.append_value("nIndexesWas", &count_value(outcome.indexes_before));
    if drops_all {
        body.append("msg", "non-_id indexes dropped for collection");
    }
    Ok(body)
}

fn target(arguments: &Arguments<'_>, index: ValueRef<'_>) -> Result<IndexTarget> {
    match index {
        ValueRef::String("*") => Ok(IndexTarget::All),
        ValueRef::String(name) => Ok(IndexTarget::Names(vec![name.to_owned()])),
        ValueRef::Document(key) => Ok(IndexTarget::KeyPattern(RawDocument::to_buf(key))),
        ValueRef::Array(names) if names.iter().eq([ValueRef::String("*")]) => Ok(IndexTarget::All),
        ValueRef::Array(names) => names
            .iter()
            .enumerate()
            .map(|(index, name)| match name {
                ValueRef::String(name) => Ok(name.to_owned()),
                other => Err(arguments.wrong_type(&format!("index.{index}"), other, "a string")),
            })
            .collect::<Result<Vec<_>>>()
            .map(IndexTarget::Names),
        other => Err(arguments.wrong_type("index", other, "a string, an array of strings or a document")),
    }
}
