//! `getClusterParameter` and `setClusterParameter`: what holds for every member of a deployment.
//!
//! What was set is kept in `config.clusterParameters`, a document per parameter, and survives a restart. Parameters
//! about moving chunks and about encryption on the client's side are kept and shown; there is nothing here that they
//! would change.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Timestamp, ValueRef};
use sheaf_engine::{Error, ErrorCode, Namespace, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::clock::now_millis;
use crate::codes::INVALID_OPTIONS;
use crate::number::to_integer;
use crate::request::Request;
use crate::stored;

/// There is no parameter of this name.
const NO_SUCH_KEY: ErrorCode = ErrorCode(4);

/// What a field of a parameter holds.
#[derive(Clone, Copy)]
enum Kind {
    /// A boolean, `false` unless it is set.
    Flag,
    /// A whole number, at least the first and the second unless it is set.
    Number(i64, i64),
    /// `{expireAfterSeconds: seconds or "off"}`.
    Expiry,
}

/// A parameter and its one field.
struct Parameter {
    name: &'static str,
    field: &'static str,
    kind: Kind,
}

const PARAMETERS: [Parameter; 5] = [
    Parameter { name: "changeStreamOptions", field: "preAndPostImages", kind: Kind::Expiry },
    Parameter { name: "changeStreams", field: "expireAfterSeconds", kind: Kind::Number(1, 3600) },
    Parameter { name: "defaultMaxTimeMS", field: "readOperations", kind: Kind::Number(0, 0) },
    Parameter { name: "fleDisableSubstringPreviewParameterLimits", field: "shouldDisable", kind: Kind::Flag },
    Parameter { name: "pauseMigrationsDuringMultiUpdates", field: "enabled", kind: Kind::Flag },
];

fn store() -> Result<Namespace> {
    Namespace::new("config", "clusterParameters")
}

fn find(name: &str) -> Result<&'static Parameter> {
    PARAMETERS
        .iter()
        .find(|parameter| parameter.name == name)
        .ok_or_else(|| Error::new(NO_SUCH_KEY, format!("there is no cluster parameter {name:?}")))
}

pub(crate) fn get(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let subject = request.subject();
    let wanted: Vec<&Parameter> = match subject {
        ValueRef::String("*") => PARAMETERS.iter().collect(),
        ValueRef::String(name) => vec![find(name)?],
        ValueRef::Array(names) if names.is_empty() => {
            return Err(Error::new(BAD_VALUE, "getClusterParameter needs at least one name"));
        }
        ValueRef::Array(names) => {
            let names = names
                .iter()
                .enumerate()
                .map(|(index, name)| {
                    name.as_str().ok_or_else(|| arguments.wrong_type(&index.to_string(), name, "a string"))
                })
                .collect::<Result<Vec<_>>>()?;
            names.into_iter().map(find).collect::<Result<_>>()?
        }
        other => return Err(arguments.wrong_type(request.name, other, "a name, names or \"*\"")),
    };
    arguments.finish()?;
    let shown = wanted.into_iter().map(|parameter| shown(request, parameter)).collect::<Result<Vec<_>>>()?;
    let mut body = DocumentBuilder::new();
    body.array("clusterParameters", |list| {
        for parameter in &shown {
            list.push_ref(ValueRef::Document(parameter.as_raw()));
        }
    });
    Ok(body)
}

fn shown(request: &Request<'_>, parameter: &Parameter) -> Result<RawDocumentBuf> {
    if let Some(set) = stored::read_one(request.session.engine(), &store()?, parameter.name)? {
        return Ok(set);
    }
    let mut out = DocumentBuilder::new();
    out.append("_id", parameter.name);
    out.append("clusterParameterTime", Timestamp { seconds: 0, increment: 0 });
    match parameter.kind {
        Kind::Flag => out.append(parameter.field, false),
        Kind::Number(_, default) => out.append(parameter.field, default),
        Kind::Expiry => out.document(parameter.field, |images| {
            images.append("expireAfterSeconds", "off");
        }),
    };
    Ok(out.build())
}

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    // Further fields of the command are no error, as in MongoDB.
    let document = match request.subject() {
        ValueRef::Document(document) => document,
        ValueRef::Null | ValueRef::Undefined => return request.arguments.required(request.name, None),
        other => return Err(request.arguments.wrong_type(request.name, other, "a document")),
    };
    let mut parameters = document.iter();
    let (first, second) = (parameters.next(), parameters.next());
    if second.is_some() {
        return Err(Error::new(INVALID_OPTIONS, "setClusterParameter sets one parameter at a time"));
    }
    let parameter = find(first.map_or("", |element| element.key()))?;
    let Some(ValueRef::Document(value)) = first.map(|element| element.value()) else {
        return Err(Error::new(BAD_VALUE, format!("the value of {} is a document", parameter.name)));
    };
    let mut out = DocumentBuilder::new();
    out.append("_id", parameter.name);
    out.append("clusterParameterTime", now());
    if read_value(parameter, value, &mut out)? {
        stored::put(request.session.engine(), &store()?, out.build().as_raw())?;
        request.commands().state().default_read_millis = None;
    }
    Ok(DocumentBuilder::new())
}

fn now() -> Timestamp {
    Timestamp { seconds: u32::try_from(now_millis() / 1000).unwrap_or(u32::MAX), increment: 1 }
}

/// Reads the value of a parameter's field; nothing is set if it is left out.
fn read_value(parameter: &Parameter, value: RawDocument<'_>, out: &mut DocumentBuilder) -> Result<bool> {
    let (name, field) = (parameter.name, parameter.field);
    if let Some(other) = value.iter().find(|element| element.key().starts_with('$')) {
        return Err(Error::new(
            error_code::DOLLAR_PREFIXED_FIELD_NAME,
            format!("{name} has no field {:?}", other.key()),
        ));
    }
    if let Kind::Expiry = parameter.kind {
        let seconds = read_expiry(name, field, value)?;
        out.document(field, |images| {
            match seconds {
                Some(seconds) => images.append("expireAfterSeconds", seconds),
                None => images.append("expireAfterSeconds", "off"),
            };
        });
        return Ok(true);
    }
    let arguments = Arguments::new(name, value)?;
    match (parameter.kind, arguments.value(field)) {
        (_, None) => {
            arguments.finish()?;
            return Ok(false);
        }
        (Kind::Number(_, default), Some(ValueRef::Null | ValueRef::Undefined)) => out.append(field, default),
        (Kind::Number(least, _), Some(_)) => {
            let number = arguments.integer(field)?.unwrap_or(least);
            if number < least {
                return Err(Error::new(
                    BAD_VALUE,
                    format!("{name}.{field} must be at least {least}, not {number}"),
                ));
            }
            out.append(field, number)
        }
        (_, Some(_)) => out.append(field, arguments.boolean(field)?.unwrap_or(false)),
    };
    arguments.finish()?;
    Ok(true)
}

/// The time that images are kept: none is for ever.
fn read_expiry(name: &str, field: &str, value: RawDocument<'_>) -> Result<Option<i64>> {
    let refused = |what: &str| Error::new(BAD_VALUE, format!("{name}.{field} {what}"));
    if let Some(other) = value.iter().find(|element| element.key() != field) {
        return Err(Error::new(BAD_VALUE, format!("{name} has no field {:?}", other.key())));
    }
    let Some(ValueRef::Document(images)) = value.get(field) else {
        return Err(refused("is a document"));
    };
    if images.iter().any(|element| element.key() != "expireAfterSeconds") {
        return Err(refused("has expireAfterSeconds only"));
    }
    match images.get("expireAfterSeconds") {
        Some(ValueRef::String("off")) => Ok(None),
        Some(seconds) => {
            let seconds = to_integer(seconds).filter(|seconds| *seconds > 0);
            seconds.map(Some).ok_or_else(|| refused("expires after a number of seconds, or \"off\""))
        }
        None => Err(refused("needs expireAfterSeconds")),
    }
}

/// The time limit of reads that bring none; zero is no limit. Read from the store once, then remembered.
pub(crate) fn default_read_millis(request: &Request<'_>) -> Result<u64> {
    let known = request.commands().state().default_read_millis;
    if let Some(millis) = known {
        return Ok(millis);
    }
    let set = stored::read_one(request.session.engine(), &store()?, "defaultMaxTimeMS")?;
    let millis = set.and_then(|set| set.as_raw().get("readOperations").and_then(to_integer));
    let millis = millis.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
    request.commands().state().default_read_millis = Some(millis);
    Ok(millis)
}
