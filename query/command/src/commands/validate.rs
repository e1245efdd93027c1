//! `validate`: reads a collection whole and says whether it is sound.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::operation::{CollectionKind, IndexReport, ValidationReport};
use sheaf_engine::{Error, Result, error_code};

use crate::codes::{COMMAND_NOT_SUPPORTED, INVALID_OPTIONS};
use crate::lookup;
use crate::number::to_truth;
use crate::request::Request;
use crate::write_batch::count_value;

/// What was asked for besides reading everything.
struct Options {
    /// The files under all collections, too.
    full: bool,
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
    let engine = request.session.engine();
    let mut body = DocumentBuilder::new();
    body.append("ns", namespace.to_string()).append("uuid", uuid(info.uuid));
    let mode = match (options.repair, options.fix_multikey) {
        (true, _) => "FixErrors",
        (false, true) => "AdjustMultikey",
        (false, false) => "None",
    };
    if options.metadata_only || info.kind != CollectionKind::Collection {
        write_metadata(&engine.list_indexes(&namespace)?, &mut body);
        write_verdict(&ValidationReport::default(), &[], false, mode, &mut body);
        return Ok(body);
    }
    let mut report = engine.validate_collection(&namespace)?;
    let can_repair = options.repair || options.fix_multikey;
    let repaired = can_repair && report.indexes.iter().any(|index| !index.is_valid());
    if repaired {
        engine.reindex(&namespace)?;
        report = engine.validate_collection(&namespace)?;
    }
    let damaged_files = if options.full { engine.verify_files() } else { Vec::new() };
    write_report(&report, &mut body);
    write_verdict(&report, &damaged_files, repaired, mode, &mut body);
    Ok(body)
}

/// What is known without reading documents.
fn write_metadata(indexes: &[RawDocumentBuf], body: &mut DocumentBuilder) {
    body.append("nIndexes", i32::try_from(indexes.len()).unwrap_or(i32::MAX));
    body.document("keysPerIndex", |_| {});
    body.document("indexDetails", |details| {
        for index in indexes {
            if let Some(name) = index.as_raw().get("name").and_then(ValueRef::as_str) {
                details.document(name, |detail| {
                    detail.append("valid", true).append("spec", index.as_raw());
                });
            }
        }
    });
}

fn write_report(report: &ValidationReport, body: &mut DocumentBuilder) {
    body.append_value("nInvalidDocuments", &count_value(report.invalid_documents));
    body.append_value("nNonCompliantDocuments", &count_value(report.non_compliant_documents));
    body.append_value("nrecords", &count_value(report.documents));
    body.append("nIndexes", i32::try_from(report.indexes.len()).unwrap_or(i32::MAX));
    body.document("keysPerIndex", |keys| {
        for index in &report.indexes {
            keys.append_value(&index.name, &count_value(index.keys));
        }
    });
    body.document("indexDetails", |details| {
        for index in &report.indexes {
            details.document(&index.name, |detail| {
                detail.append("valid", index.is_valid()).append("spec", index.specification.as_raw());
                let problems = problems(index);
                if !problems.is_empty() {
                    append_texts("errors", &problems, detail);
                }
            });
        }
    });
}

/// What is wrong with an index, in words.
fn problems(index: &IndexReport) -> Vec<String> {
    let mut problems = Vec::new();
    if index.missing > 0 {
        problems.push(format!("{} entries of documents are missing in \"{}\"", index.missing, index.name));
    }
    if index.extra > 0 {
        problems.push(format!("{} entries of \"{}\" are of no document", index.extra, index.name));
    }
    if index.has_unknown_arrays {
        problems.push(format!("\"{}\" does not know of arrays that documents have", index.name));
    }
    problems
}

fn append_texts(name: &str, texts: &[String], out: &mut DocumentBuilder) {
    out.array(name, |array| {
        for text in texts {
            array.push(text.as_str());
        }
    });
}

fn append_documents<'d>(
    name: &str,
    documents: impl Iterator<Item = &'d RawDocumentBuf>,
    out: &mut DocumentBuilder,
) {
    out.array(name, |array| {
        for document in documents {
            array.push_ref(ValueRef::Document(document.as_raw()));
        }
    });
}

fn write_verdict(
    report: &ValidationReport,
    damaged_files: &[String],
    repaired: bool,
    mode: &str,
    body: &mut DocumentBuilder,
) {
    let mut errors: Vec<String> = report.indexes.iter().flat_map(problems).collect();
    if report.invalid_documents > 0 {
        errors.push(format!("{} documents are damaged", report.invalid_documents));
    }
    errors.extend_from_slice(damaged_files);
    let warnings: Vec<String> = report
        .indexes
        .iter()
        .filter(|index| index.is_unfilled)
        .map(|index| {
            format!(
                "\"{}\" was created by an older version and has no entries; reIndex builds it",
                index.name
            )
        })
        .chain(
            (report.non_compliant_documents > 0)
                .then(|| format!("{} documents do not pass the validator", report.non_compliant_documents)),
        )
        .collect();
    let is_valid = report.is_valid() && damaged_files.is_empty();
    body.append("valid", is_valid).append("repaired", repaired).append("repairMode", mode);
    append_texts("warnings", &warnings, body);
    append_texts("errors", &errors, body);
    append_documents("extraIndexEntries", report.indexes.iter().flat_map(|index| &index.extra_entries), body);
    append_documents(
        "missingIndexEntries",
        report.indexes.iter().flat_map(|index| &index.missing_entries),
        body,
    );
    append_documents("corruptRecords", report.corrupt.iter(), body);
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
    Ok(Options { full, metadata_only, repair, fix_multikey })
}
