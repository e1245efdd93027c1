//! GridFS: files in two collections, as drivers keep them.

use bson::{Bson, Document, doc, oid::ObjectId};

use super::client::{Kind, integer};
use super::crud::{Call, check_write};
use super::matching::unhex;
use super::{Failure, Outcome};

const FILES: &str = "fs.files";
const CHUNKS: &str = "fs.chunks";
/// Bytes of a chunk unless an upload says otherwise.
const CHUNK_BYTES: i64 = 255 * 1024;

fn missing() -> Failure {
    Failure::client("there is no such file")
}

impl Call<'_> {
    /// Runs an operation on a bucket; `None` if it is not one.
    pub fn run_on_bucket(&mut self, name: &str) -> Option<Outcome> {
        let id = self.argument("id");
        let filename = self.argument("filename");
        Some(match name {
            "upload" => self.upload(),
            "download" => self.download_where(doc! {"_id": id}, 0),
            "downloadByName" => {
                let revision = integer(self.arguments.get("revision")).unwrap_or(-1);
                self.download_where(doc! {"filename": filename}, revision)
            }
            "delete" => self.delete_files(&[id]),
            "deleteByName" => {
                let found = self.files(doc! {"filename": filename}, 1);
                found.and_then(|files| self.delete_files(&ids(&files)))
            }
            "rename" => self.rename_files(doc! {"_id": id}),
            "renameByName" => self.rename_files(doc! {"filename": filename}),
            _ => return None,
        })
    }

    /// The files that match, by the date of their upload.
    fn files(&mut self, filter: Document, direction: i32) -> Result<Vec<Document>, Failure> {
        let command = doc! {"find": FILES, "filter": filter, "sort": {"uploadDate": direction}};
        let reply = self.send(command, Kind::Read)?;
        let found = self.drain(&reply)?;
        Ok(found.into_iter().filter_map(|file| file.as_document().cloned()).collect())
    }

    fn upload(&mut self) -> Outcome {
        let hex =
            self.arguments.get_document("source").ok().and_then(|source| source.get_str("$$hexBytes").ok());
        let bytes = unhex(hex.ok_or_else(|| Failure::client("upload without a source"))?)?;
        let chunk_bytes = integer(self.arguments.get("chunkSizeBytes")).unwrap_or(CHUNK_BYTES);
        let id = ObjectId::new();
        let size = usize::try_from(chunk_bytes).map_err(|_| Failure::client("chunks of no size"))?;
        let chunks: Vec<Bson> = (0_i32..)
            .zip(bytes.chunks(size))
            .map(|(n, data)| {
                let data = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: data.to_vec() };
                Bson::Document(doc! {"_id": ObjectId::new(), "files_id": id, "n": n, "data": data})
            })
            .collect();
        if !chunks.is_empty() {
            let reply = self.send(doc! {"insert": CHUNKS, "documents": chunks}, Kind::RetryableWrite)?;
            check_write(&reply)?;
        }
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let mut file = doc! {
            "_id": id,
            "length": length,
            "chunkSize": i32::try_from(chunk_bytes).unwrap_or(i32::MAX),
            "uploadDate": bson::DateTime::now(),
            "filename": self.argument("filename"),
        };
        if let Some(metadata) = self.arguments.get("metadata") {
            file.insert("metadata", metadata.clone());
        }
        let reply = self.send(doc! {"insert": FILES, "documents": [file]}, Kind::RetryableWrite)?;
        check_write(&reply)?;
        Ok(Bson::ObjectId(id))
    }

    /// Downloads a revision: 0 is the oldest, -1 the newest.
    fn download_where(&mut self, filter: Document, revision: i64) -> Outcome {
        let direction = if revision < 0 { -1 } else { 1 };
        let place = if revision < 0 { -1 - revision } else { revision };
        let files = self.files(filter, direction)?;
        let file = usize::try_from(place).ok().and_then(|place| files.get(place)).ok_or_else(missing)?;
        let length = integer(file.get("length")).unwrap_or(0);
        let chunk_bytes = integer(file.get("chunkSize")).unwrap_or(CHUNK_BYTES);
        let mut bytes = Vec::new();
        if length > 0 {
            let filter = doc! {"files_id": file.get("_id").cloned()};
            let reply = self.send(doc! {"find": CHUNKS, "filter": filter, "sort": {"n": 1}}, Kind::Read)?;
            for (expected, chunk) in (0_i64..).zip(self.drain(&reply)?) {
                let chunk = chunk.as_document().cloned().unwrap_or_default();
                let data =
                    chunk.get_binary_generic("data").map_err(|_| Failure::client("a chunk without data"))?;
                let left = length - i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                let fits = i64::try_from(data.len()) == Ok(left.min(chunk_bytes));
                if integer(chunk.get("n")) != Some(expected) || !fits {
                    return Err(Failure::client(format!("chunk {expected} is missing or of the wrong size")));
                }
                bytes.extend_from_slice(data);
            }
        }
        if i64::try_from(bytes.len()) != Ok(length) {
            return Err(Failure::client("chunks are missing at the end"));
        }
        Ok(Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes }))
    }

    /// Deletes files and their chunks; that there is no such file is found out after its chunks are gone.
    fn delete_files(&mut self, ids: &[Bson]) -> Outcome {
        if ids.is_empty() {
            return Err(missing());
        }
        let mut deleted = 0;
        for (collection, field) in [(FILES, "_id"), (CHUNKS, "files_id")] {
            let command =
                doc! {"delete": collection, "deletes": [{"q": {field: {"$in": ids.to_vec()}}, "limit": 0}]};
            let reply = self.send(command, Kind::Write)?;
            check_write(&reply)?;
            if collection == FILES {
                deleted = integer(reply.get("n")).unwrap_or(0);
            }
        }
        if deleted == 0 { Err(missing()) } else { Ok(Bson::Null) }
    }

    fn rename_files(&mut self, filter: Document) -> Outcome {
        let update = doc! {"$set": {"filename": self.argument("newFilename")}};
        let command = doc! {"update": FILES, "updates": [{"q": filter, "u": update, "multi": true}]};
        let reply = self.send(command, Kind::Write)?;
        check_write(&reply)?;
        if integer(reply.get("n")) == Some(0) { Err(missing()) } else { Ok(Bson::Null) }
    }
}

fn ids(files: &[Document]) -> Vec<Bson> {
    files.iter().filter_map(|file| file.get("_id").cloned()).collect()
}
