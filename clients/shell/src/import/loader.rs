//! Records into batches, batches into the collection, bad records into the reject file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use super::record::Record;
use crate::namespace::Namespace;
use crate::reply;
use crate::target::Target;

/// Documents in one insert command.
const BATCH_DOCUMENTS_MAX: usize = 1_000;

/// Bytes of documents in one insert command; a single larger document makes a batch of its own.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Complaints that are printed; all of them are in the reject file.
const COMPLAINTS_PRINTED_MAX: u64 = 20;

/// Collects records and sends them in batches.
pub struct Loader<'a> {
    target: &'a Target,
    namespace: &'a Namespace,
    reject_path: PathBuf,
    reject: Option<BufWriter<File>>,
    batch: Vec<(u64, Vec<u8>, RawDocumentBuf)>,
    batch_bytes: usize,
    inserted: u64,
    rejected: u64,
    started: Instant,
}

impl<'a> Loader<'a> {
    /// Loads into this collection. The reject file is created at the first bad record.
    pub fn new(target: &'a Target, namespace: &'a Namespace, reject_path: PathBuf) -> Self {
        Self {
            target,
            namespace,
            reject_path,
            reject: None,
            batch: Vec::new(),
            batch_bytes: 0,
            inserted: 0,
            rejected: 0,
            started: Instant::now(),
        }
    }

    /// Documents that the database has acknowledged so far.
    pub const fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Takes the next record.
    pub fn add(&mut self, record: Record) -> Result<(), String> {
        let Record { line, text, document } = record;
        match document {
            Err(reason) => self.reject(line, &text, &reason),
            Ok(document) => {
                let bytes = document.as_bytes().len();
                if self.batch_bytes + bytes > BATCH_BYTES_MAX || self.batch.len() == BATCH_DOCUMENTS_MAX {
                    self.send()?;
                }
                self.batch_bytes += bytes;
                self.batch.push((line, text, document));
                Ok(())
            }
        }
    }

    fn send(&mut self) -> Result<(), String> {
        let batch = std::mem::take(&mut self.batch);
        let bytes = std::mem::take(&mut self.batch_bytes);
        if batch.is_empty() {
            return Ok(());
        }
        let mut command = DocumentBuilder::with_capacity(bytes + batch.len() * 16 + 256);
        command.append("insert", self.namespace.collection.as_str()).append("ordered", false);
        command.array("documents", |array| {
            for (_, _, document) in &batch {
                array.push_ref(ValueRef::Document(document.as_raw()));
            }
        });
        let reply = self.target.run(&self.namespace.database, &command.build())?;
        let reply = reply::checked(reply.as_raw())?;
        self.inserted += count(reply);
        let errors = reply.get("writeErrors").and_then(ValueRef::as_array);
        for error in errors.iter().flat_map(|errors| errors.iter()).filter_map(ValueRef::as_document) {
            let index = error.get("index").and_then(reply::number).unwrap_or(-1.0);
            let reason = error.get("errmsg").and_then(ValueRef::as_str).unwrap_or("refused without a reason");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index into the batch"
            )]
            let Some((line, text, _)) = batch.get(index as usize) else {
                return Err(format!("the database refused a document that was not sent: {reason}"));
            };
            self.reject(*line, text, reason)?;
        }
        Ok(())
    }

    fn reject(&mut self, line: u64, text: &[u8], reason: &str) -> Result<(), String> {
        self.rejected += 1;
        if self.rejected <= COMPLAINTS_PRINTED_MAX {
            eprintln!("line {line}: {reason}");
        }
        let broken = |error: std::io::Error| format!("{}: {error}", self.reject_path.display());
        let writer = match &mut self.reject {
            Some(writer) => writer,
            none => none.insert(BufWriter::new(File::create(&self.reject_path).map_err(broken)?)),
        };
        writer.write_all(text).and_then(|()| writer.write_all(b"\n")).map_err(broken)
    }

    /// Sends what is left and says how it went.
    pub fn finish(mut self) -> Result<String, String> {
        self.send()?;
        let mut summary = String::new();
        if let Some(mut writer) = self.reject.take() {
            writer.flush().map_err(|error| format!("{}: {error}", self.reject_path.display()))?;
            summary = format!("{} records were refused, see {}\n", self.rejected, self.reject_path.display());
        }
        let seconds = self.started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.inserted as f64 / seconds.max(1e-9);
        summary.push_str(&format!(
            "{} documents imported in {seconds:.2} s ({rate:.0} documents/s)",
            self.inserted
        ));
        Ok(summary)
    }
}

fn count(reply: RawDocument<'_>) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of at most one batch"
    )]
    reply.get("n").and_then(reply::number).map_or(0, |n| n.max(0.0) as u64)
}
