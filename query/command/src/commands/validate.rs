//! `validate`: reads a collection whole and says whether it is sound.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_engine::operation::{CollectionKind, FindOperation, Hint};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::codes::{COMMAND_NOT_SUPPORTED, INVALID_OPTIONS};
use crate::lookup;
use crate::number::to_truth;
use crate::request::Request;
use crate::write_batch::count_value;

/// What was asked for besides reading everything.
struct Options {
    metadata_only: bool,
    repair: bool,
    fix_multikey: bool,
}

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = match request.subject() {
        ValueRef::String(name) if name.starts_with('$') => {
            return Err(Error::new(
                error_code::NAMESPACE_NOT_FOUND,
                format!("the collection {}.{name} does not exist", request.database),
            ));
        }
        _ => request.namespace()?,
    };
    let options = read_options(request)?;
    let info = lookup::existing(request, &namespace)?;
    lookup::refuse_view(request, &namespace, &info)?;
    let indexes = request.session.engine().list_indexes(&namespace)?;
    let documents = if options.metadata_only || info.kind != CollectionKind::Collection {
        0
    } else {
        read_all(request, &namespace)?
    };
    let mut body = DocumentBuilder::new();
    body.append("ns", namespace.to_string());
    body.append("uuid", uuid(info.uuid)).append("nInvalidDocuments", 0).append("nNonCompliantDocuments", 0);
    body.append_value("nrecords", &count_value(documents));
    body.append("nIndexes", i32::try_from(indexes.len()).unwrap_or(i32::MAX));
    body.document("keysPerIndex", |keys| {
        for index in &indexes {
            if let Some(name) = index.as_raw().get("name").and_then(ValueRef::as_str) {
                keys.append_value(name, &count_value(documents));
            }
        }
    });
    body.document("indexDetails", |details| {
        for index in &indexes {
            if let Some(name) = index.as_raw().get("name").and_then(ValueRef::as_str) {
                details.document(name, |detail| {
                    detail.append("valid", true).append("spec", index.as_raw());
                });
            }
        }
    });
    let mode = match (options.repair, options.fix_multikey) {
        (true, _) => "FixErrors",
        (false, true) => "AdjustMultikey",
        (false, false) => "None",
    };
    body.append("valid", true).append("repaired", false).append("repairMode", mode);
    for name in ["warnings", "errors", "extraIndexEntries", "missingIndexEntries", "corruptRecords"] {
        body.append(name, Vec::<Value<'_>>::new());
    }
    Ok(body)
}

fn uuid(uuid: Option<[u8; 16]>) -> Value<'static> {
    uuid.map_or(Value::Missing, |uuid| Value::Binary { subtype: 4, bytes: uuid.to_vec().into() })
}

fn read_options(request: &Request<'_>) -> Result<Options> {
    let flag = |name: &str| match request.arguments.value(name) {
        None => false,
        Some(value) => to_truth(value).unwrap_or(!value.is_nullish()),
    };
    let (full, repair, metadata_only) = (flag("full"), flag("repair"), flag("metadata"));
    let (background, conformance, fix_multikey) =
        (flag("background"), flag("checkBSONConformance"), flag("fixMultikey"));
    let refused = |what: &str| Err(Error::new(INVALID_OPTIONS, format!("validate cannot have {what}")));
    if background && !request.commands().is_replica_set() {
        return Err(Error::new(COMMAND_NOT_SUPPORTED, "validate.background needs a replica set"));
    }
    if background && (full || repair) {
        return refused("background together with full or repair");
    }
    if metadata_only && (background || full || repair || conformance) {
        return refused("metadata together with background, full, repair or checkBSONConformance");
    }
    if conformance && repair {
        return refused("checkBSONConformance together with repair");
    }
    if repair && request.commands().is_replica_set() {
        return refused("repair on a replica set");
    }
    Ok(Options { metadata_only, repair, fix_multikey })
}

/// Reads every document, which checks the checksums on the way, and checks its bytes. Returns how many there are.
fn read_all(request: &Request<'_>, namespace: &Namespace) -> Result<u64> {
    let mut order = DocumentBuilder::new();
    order.append("$natural", 1);
    let order = order.build();
    let mut operation = FindOperation::new(namespace.clone(), RawDocument::EMPTY);
    operation.hint = Some(Hint::KeyPattern(order.as_raw()));
    let mut cursor = request.session.engine().find(&operation)?;
    let mut documents = 0;
    while !cursor.is_exhausted() {
        for document in cursor.next_batch(1000, sheaf_document::DOCUMENT_BYTES_MAX)?.documents {
            RawDocument::validate(document.as_bytes())?;
            documents += 1;
        }
    }
    Ok(documents)
}
