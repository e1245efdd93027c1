//! Comparing documents with the entries of their indexes.
//!
//! Everything is read at one snapshot, without keeping writers waiting. For each document the entries that it should
//! have are made anew and looked up; as many as were found must be all that the index has. Only if they are not, the
//! entries are walked for those that no document has.

use std::sync::Arc;

use sheaf_document::{Binary, DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_storage::{IterOptions, Snapshot};

use super::Session;
use crate::catalog::Collection;
use crate::index::{Index, entry};
use crate::key_layout::{self, KeyRange};
use crate::operation::{IndexReport, ValidationReport};
use crate::{Error, Namespace, Result, error_code};

/// Findings of each kind that a report describes one by one.
const DESCRIBED_MAX: usize = 100;

impl Session {
    /// Reads every file of the database, those of other collections too, and says what is wrong with each. See
    /// [`Store::verify`](sheaf_storage::Store::verify).
    pub fn verify_files(&self) -> Vec<String> {
        self.database().store().verify().problems.iter().map(ToString::to_string).collect()
    }

    /// Reads a collection whole and says whether documents and index entries are sound and belong together.
    pub fn validate_collection(&self, namespace: &Namespace) -> Result<ValidationReport> {
        let collection = self.database().catalog().get(namespace)?;
        if collection.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{namespace} is a view and has no documents of its own"),
            ));
        }
        // A catalog that changes meanwhile may drop entries that the snapshot keeps, never add some.
        let snapshot = self.database().tablet().snapshot();
        let mut check = Check::new(self, &collection, snapshot)?;
        check.read_documents()?;
        check.read_entries()?;
        Ok(check.report)
    }

    /// Builds the indexes of a collection again, except the one on `_id` where the documents are its entries. Returns
    /// how many indexes there are.
    pub fn reindex(&self, namespace: &Namespace) -> Result<u64> {
        let catalog = self.database().catalog();
        catalog.rebuild_indexes(&catalog.get(namespace)?)
    }
}

struct Check<'s> {
    session: &'s Session,
    collection: &'s Arc<Collection>,
    snapshot: Snapshot,
    report: ValidationReport,
    /// For each index, the entries found for documents.
    found: Vec<u64>,
}

impl<'s> Check<'s> {
    fn new(session: &'s Session, collection: &'s Arc<Collection>, snapshot: Snapshot) -> Result<Self> {
        let mut report = ValidationReport::default();
        for index in &collection.indexes {
            report.indexes.push(IndexReport {
                name: index.specification.name.clone(),
                specification: index.specification.to_listed_document()?,
                is_unfilled: !index.has_entries(),
                ..IndexReport::default()
            });
        }
        let found = vec![0; collection.indexes.len()];
        Ok(Self { session, collection, snapshot, report, found })
    }

    fn read_documents(&mut self) -> Result<()> {
        let mut environment = self.session.environment(self.collection);
        let mut documents = iterate(&self.snapshot, key_layout::documents(self.collection.id), false)?;
        let mut valid = documents.seek_to_first()?;
        while valid {
            self.report.documents += 1;
            let document_key = documents.key().get(key_layout::PREFIX_BYTES..).unwrap_or_default();
            match self.sound(document_key, documents.value()) {
                Ok(document) => {
                    if let Some(validator) = &self.collection.validator
                        && !validator.matches(document, &mut environment)?
                    {
                        self.report.non_compliant_documents += 1;
                    }
                    self.look_up(document_key, document)?;
                }
                Err(error) => {
                    self.report.invalid_documents += 1;
                    if self.report.corrupt.len() < DESCRIBED_MAX {
                        let mut finding = DocumentBuilder::new();
                        append_bytes(&mut finding, "key", document_key);
                        finding.append("reason", error.message);
                        self.report.corrupt.push(finding.build());
                    }
                }
            }
            valid = documents.next()?;
        }
        Ok(())
    }

    /// The document, if its bytes are well-formed and it stands under its own key.
    fn sound<'d>(&self, document_key: &[u8], bytes: &'d [u8]) -> Result<RawDocument<'d>> {
        let document = RawDocument::validate(bytes)?;
        if self.collection.options.capped {
            return Ok(document);
        }
        let own_key = match document.get("_id") {
            Some(id) => key_layout::document_key(id, self.collection.collate())?,
            None => return Err(Error::internal("the document has no _id")),
        };
        if own_key != document_key {
            return Err(Error::internal("the document stands under the key of another _id"));
        }
        Ok(document)
    }

    /// Looks for the entries that a document should have.
    fn look_up(&mut self, document_key: &[u8], document: RawDocument<'_>) -> Result<()> {
        let indexes = self.collection.indexes.iter().zip(&mut self.report.indexes).zip(&mut self.found);
        for ((index, report), found) in indexes {
            if index.is_primary() || !index.has_entries() {
                continue;
            }
            let wanted = match index.entries(document, document_key) {
                Ok(wanted) => wanted,
                // A document that the index cannot take should not be there.
                Err(_) => {
                    report.missing += 1;
                    describe(&mut report.missing_entries, index, document_key, &[], Some(document));
                    continue;
                }
            };
            let known = index.multikey.paths();
            report.has_unknown_arrays |=
                wanted.multikey.iter().zip(&known).any(|(seen, known)| seen & !known != 0);
            for (key, value) in wanted.entries {
                match self.snapshot.get(&key)? {
                    Some(stored) if *stored == *value => *found += 1,
                    // Of another document, or with other type bits: this document's entry is missing.
                    _ => {
                        report.missing += 1;
                        describe(&mut report.missing_entries, index, document_key, &key, Some(document));
                    }
                }
            }
        }
        Ok(())
    }

    fn read_entries(&mut self) -> Result<()> {
        for ((index, report), found) in
            self.collection.indexes.iter().zip(&mut self.report.indexes).zip(&self.found)
        {
            if index.is_primary() {
                report.keys = self.report.documents;
                continue;
            }
            report.keys = count(&self.snapshot, key_layout::entries(index.id))?;
            if report.keys != *found {
                find_extra(&self.snapshot, self.collection, index, report)?;
            }
        }
        Ok(())
    }
}

fn iterate(snapshot: &Snapshot, range: KeyRange, keys_only: bool) -> Result<sheaf_storage::Iter> {
    Ok(snapshot.iter(IterOptions { lower: Some(range.lower), upper: Some(range.upper), keys_only })?)
}

fn count(snapshot: &Snapshot, range: KeyRange) -> Result<u64> {
    let mut keys = iterate(snapshot, range, true)?;
    let mut count = 0;
    let mut valid = keys.seek_to_first()?;
    while valid {
        count += 1;
        valid = keys.next()?;
    }
    Ok(count)
}

/// Walks the entries of an index for those that no document has.
fn find_extra(
    snapshot: &Snapshot,
    collection: &Collection,
    index: &Index,
    report: &mut IndexReport,
) -> Result<()> {
    let mut entries = iterate(snapshot, key_layout::entries(index.id), false)?;
    let mut valid = entries.seek_to_first()?;
    while valid {
        let (key, value) = (entries.key(), entries.value());
        let document_key = match entry::split(key, value, index.specification.unique) {
            Ok(parts) => parts.document_key,
            Err(_) => &[],
        };
        let document = snapshot.get(&key_layout::document(collection.id, document_key))?;
        let document = document.as_deref().and_then(|bytes| RawDocument::validate(bytes).ok());
        let wanted = document.and_then(|document| index.entries(document, document_key).ok());
        if wanted.is_none_or(|wanted| wanted.entries.get(key).map(Vec::as_slice) != Some(value)) {
            report.extra += 1;
            describe(&mut report.extra_entries, index, document_key, key, document);
        }
        valid = entries.next()?;
    }
    Ok(())
}

fn describe(
    findings: &mut Vec<RawDocumentBuf>,
    index: &Index,
    document_key: &[u8],
    key: &[u8],
    document: Option<RawDocument<'_>>,
) {
    if findings.len() >= DESCRIBED_MAX {
        return;
    }
    let mut finding = DocumentBuilder::new();
    finding.append("indexName", index.specification.name.as_str());
    append_bytes(&mut finding, "documentKey", document_key);
    if let Some(id) = document.and_then(|document| document.get("_id")) {
        finding.append_ref("idKey", id);
    }
    append_bytes(&mut finding, "indexKey", key.get(key_layout::PREFIX_BYTES..).unwrap_or_default());
    findings.push(finding.build());
}

fn append_bytes(finding: &mut DocumentBuilder, name: &str, bytes: &[u8]) {
    finding.append_ref(name, ValueRef::Binary(Binary { subtype: 0, bytes }));
}
