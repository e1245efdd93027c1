//! `applyOps`: applies entries of an oplog: `{applyOps: [{op, ns, o, o2}, ..], allowAtomic}`.
//!
//! `i` inserts `o` (or puts it in the place of the document with its `_id`), `u` changes the document with `o2._id` to `o`, or by
//! `o: {$v: 2, diff}`, `d` deletes the one with `o._id`, `c` runs a command on the catalog, `n` does nothing. Entries that only write
//! documents are applied all or none, unless `allowAtomic` is false.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{CollectionKind, DeleteOperation, UpdateOperation};
use sheaf_engine::{Error, ErrorCode, Namespace, Result, Session, error_code};

use crate::arguments::{Arguments, BAD_VALUE, MISSING_FIELD};
use crate::request::Request;

const NO_SUCH_KEY: ErrorCode = ErrorCode(4);
const UNKNOWN_ERROR: ErrorCode = ErrorCode(8);
const PRECONDITION: ErrorCode = ErrorCode(6_711_600);
const ALWAYS_UPSERT: ErrorCode = ErrorCode(6_711_601);
const PARTIAL_TRANSACTION: ErrorCode = ErrorCode(31_056);

/// Commands that an entry may carry.
const COMMANDS: [&str; 7] =
    ["collMod", "create", "createIndexes", "drop", "dropDatabase", "dropIndexes", "renameCollection"];

/// What an entry does.
enum Entry<'a> {
    Insert { namespace: Namespace, document: RawDocument<'a> },
    Update { namespace: Namespace, id: ValueRef<'a>, change: RawDocument<'a> },
    Delete { namespace: Namespace, id: ValueRef<'a> },
    Command { database: String, command: RawDocument<'a> },
    Nothing,
}

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let Some(array) = request.subject().as_array() else {
        return Err(arguments.wrong_type(request.name, request.subject(), "an array"));
    };
    check_options(arguments)?;
    let mut entries = Vec::new();
    for (index, entry) in array.iter().enumerate() {
        match entry {
            ValueRef::Document(document) => {
                entries.push(read(&format!("applyOps.{index}"), document)?);
            }
            other => return Err(arguments.wrong_type(&index.to_string(), other, "a document")),
        }
    }
    let may_be_atomic = arguments.present("allowAtomic").and_then(crate::number::to_truth).unwrap_or(true);
    let engine = request.session.engine();
    if may_be_atomic && entries.iter().all(|entry| entry.can_be_part(engine)) {
        engine.atomically(request.durability(), |session| {
            entries.iter().try_for_each(|entry| entry.apply(request, session))
        })?;
    } else {
        entries.iter().try_for_each(|entry| entry.apply(request, engine))?;
    }
    let applied = entries.iter().filter(|entry| !matches!(entry, Entry::Nothing)).count();
    let mut body = DocumentBuilder::new();
    body.append("applied", i32::try_from(applied).unwrap_or(i32::MAX));
    body.array("results", |results| {
        for _ in 0..applied {
            results.push(true);
        }
    });
    Ok(body)
}

/// Refuses what older servers took. Other fields mean nothing, as in MongoDB.
fn check_options(arguments: &Arguments<'_>) -> Result<()> {
    let refused = |code, what: &str| Err(Error::new(code, format!("applyOps does not take {what} any more")));
    if arguments.value("preCondition").is_some() {
        return refused(PRECONDITION, "preCondition");
    }
    if arguments.boolean("alwaysUpsert")? == Some(true) {
        return refused(ALWAYS_UPSERT, "alwaysUpsert: true");
    }
    if arguments.value("partialTxn").is_some() {
        return refused(PARTIAL_TRANSACTION, "partialTxn");
    }
    if arguments.value("prepare").is_some() {
        return refused(BAD_VALUE, "prepare");
    }
    arguments.integer("count").map(drop)
}

fn read<'a>(scope: &str, entry: RawDocument<'a>) -> Result<Entry<'a>> {
    let missing = |field: &str| Error::new(NO_SUCH_KEY, format!("{scope} needs the field \"{field}\""));
    let arguments = Arguments::new(scope, entry)?;
    let kind = match arguments.value("op") {
        None => return Err(missing("op")),
        Some(ValueRef::String(kind)) => kind,
        Some(other) => return Err(arguments.wrong_type("op", other, "a string")),
    };
    let not_allowed = |what: String| Error::new(error_code::ILLEGAL_OPERATION, what);
    if kind.is_empty() {
        return Err(not_allowed(format!("{scope}.op is empty")));
    }
    if kind == "n" {
        return Ok(Entry::Nothing);
    }
    let ValueRef::String(name) = arguments.value("ns").unwrap_or(ValueRef::Null) else {
        return Err(not_allowed(format!("{scope}.ns must be a string")));
    };
    if name.is_empty() {
        return Err(not_allowed(format!("{scope}.ns is empty")));
    }
    let namespace = Namespace::parse(name)?;
    if !matches!(kind, "c" | "d" | "i" | "u") {
        return Err(Error::new(BAD_VALUE, format!("{scope}.op is c, d, i, n or u, not {kind:?}")));
    }
    let object = arguments
        .document("o")?
        .ok_or_else(|| Error::new(MISSING_FIELD, format!("{scope} needs the field \"o\"")))?;
    let id_of = |document: Option<RawDocument<'a>>, field: &str| {
        document.and_then(|document| document.get("_id")).ok_or_else(|| missing(field))
    };
    match kind {
        "i" => {
            id_of(Some(object), "o._id")?;
            Ok(Entry::Insert { namespace, document: object })
        }
        "u" => {
            let id = id_of(arguments.document("o2")?, "o2._id")?;
            Ok(Entry::Update { namespace, id, change: object })
        }
        "d" => Ok(Entry::Delete { namespace, id: id_of(Some(object), "o._id")? }),
        _ => Ok(Entry::Command { database: namespace.database().to_owned(), command: object }),
    }
}

fn id_filter(id: ValueRef<'_>) -> RawDocumentBuf {
    let mut filter = DocumentBuilder::new();
    filter.document("_id", |equal| {
        equal.append_ref("$eq", id);
    });
    filter.build()
}

impl Entry<'_> {
    /// Whether it can be applied together with others: it writes a document of a plain collection.
    fn can_be_part(&self, session: &Session) -> bool {
        let (Self::Insert { namespace, .. }
        | Self::Update { namespace, .. }
        | Self::Delete { namespace, .. }) = self
        else {
            return false;
        };
        session.collection_info(namespace).is_none_or(|info| {
            let is_capped =
                info.options.as_raw().get("capped").is_some_and(|capped| capped == ValueRef::Boolean(true));
            info.kind == CollectionKind::Collection && !is_capped
        })
    }

    fn apply(&self, request: &Request<'_>, session: &Session) -> Result<()> {
        match self {
            Self::Insert { namespace, document } => {
                demand(session, namespace)?;
                let id = document.get("_id").unwrap_or(ValueRef::Null);
                write(request, session, namespace, id, ValueRef::Document(*document), true).map(drop)
            }
            Self::Update { namespace, id, change } => {
                demand(session, namespace)?;
                let made;
                let update = match change.get("$v") {
                    None => *change,
                    Some(_) => {
                        made = update_of_diff(*change)?;
                        made.as_raw()
                    }
                };
                match write(request, session, namespace, *id, ValueRef::Document(update), false)? {
                    0 => Err(Error::new(
                        UNKNOWN_ERROR,
                        format!("applyOps found no document to update in {namespace}"),
                    )),
                    _ => Ok(()),
                }
            }
            Self::Delete { namespace, id } => {
                demand(session, namespace)?;
                let filter = id_filter(*id);
                let mut operation = DeleteOperation::new(namespace.clone(), filter.as_raw());
                operation.durability = request.durability();
                session.delete(&operation).map(drop)
            }
            Self::Command { database, command } => run_command(request, database, *command),
            Self::Nothing => Ok(()),
        }
    }
}

fn demand(session: &Session, namespace: &Namespace) -> Result<()> {
    match session.collection_info(namespace) {
        Some(_) => Ok(()),
        None => Err(Error::new(
            error_code::NAMESPACE_NOT_FOUND,
            format!("applyOps writes to {namespace}, which does not exist"),
        )),
    }
}

/// Writes one document. Returns how many matched, or were made.
fn write(
    request: &Request<'_>,
    session: &Session,
    namespace: &Namespace,
    id: ValueRef<'_>,
    update: ValueRef<'_>,
    upsert: bool,
) -> Result<u64> {
    let filter = id_filter(id);
    let mut operation = UpdateOperation::new(namespace.clone(), filter.as_raw(), update);
    operation.upsert = upsert;
    operation.bypass_document_validation = true;
    operation.durability = request.durability();
    let outcome = session.update(&operation)?;
    Ok(outcome.matched + u64::from(outcome.upserted_id.is_some()))
}

fn run_command(request: &Request<'_>, database: &str, command: RawDocument<'_>) -> Result<()> {
    let name = command.first().map_or("", |element| element.key());
    if !COMMANDS.contains(&name) {
        return Err(Error::new(
            BAD_VALUE,
            format!("applyOps does not apply the command {name:?}, but {}", COMMANDS.join(", ")),
        ));
    }
    let reply = crate::command::run_command(request.session, database, command);
    if reply.is_ok() {
        return Ok(());
    }
    let reply = reply.document.as_raw();
    let code =
        reply.get("code").and_then(crate::number::to_integer).and_then(|code| i32::try_from(code).ok());
    let message = reply.get("errmsg").and_then(ValueRef::as_str).unwrap_or_default();
    Err(Error::new(code.map_or(UNKNOWN_ERROR, ErrorCode), message))
}

/// The update that an entry's difference stands for: `u` and `i` set fields, `d` removes them, `sNAME` goes into one.
fn update_of_diff(change: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let version = change.get("$v").and_then(crate::number::to_integer);
    let diff = change.get("diff").and_then(ValueRef::as_document);
    let (Some(2), Some(diff)) = (version, diff) else {
        return Err(Error::new(
            error_code::FAILED_TO_PARSE,
            "applyOps takes updates of the form {$v: 2, diff: {..}} or whole documents",
        ));
    };
    let (mut set, mut unset) = (DocumentBuilder::new(), DocumentBuilder::new());
    collect(diff, "", &mut set, &mut unset)?;
    let mut update = DocumentBuilder::new();
    for (operator, fields) in [("$set", set.build()), ("$unset", unset.build())] {
        if !fields.as_raw().is_empty() {
            update.append(operator, fields.as_raw());
        }
    }
    // A difference without fields changes nothing, which an update says by an operator without fields.
    let mut update = update.build();
    if update.as_raw().is_empty() {
        let mut nothing = DocumentBuilder::new();
        nothing.document("$set", |_| {});
        update = nothing.build();
    }
    Ok(update)
}

fn collect(
    diff: RawDocument<'_>,
    prefix: &str,
    set: &mut DocumentBuilder,
    unset: &mut DocumentBuilder,
) -> Result<()> {
    let unknown = |what: &str| {
        Error::new(
            error_code::NOT_IMPLEMENTED,
            format!("applyOps: the difference \"{prefix}{what}\" is not supported"),
        )
    };
    for element in diff {
        let key = element.key();
        match (key, element.value()) {
            ("i" | "u", ValueRef::Document(fields)) => {
                for field in fields {
                    set.append_ref(&format!("{prefix}{}", field.key()), field.value());
                }
            }
            ("d", ValueRef::Document(fields)) => {
                for field in fields {
                    unset.append(&format!("{prefix}{}", field.key()), true);
                }
            }
            (nested, ValueRef::Document(inner)) if nested.starts_with('s') && inner.get("a").is_none() => {
                let name = nested.get(1..).unwrap_or_default();
                collect(inner, &format!("{prefix}{name}."), set, unset)?;
            }
            (other, _) => return Err(unknown(other)),
        }
    }
    Ok(())
}
