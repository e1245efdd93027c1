//! Operations on collections and databases, as the commands that a driver sends for them.

use bson::{Bson, Document, doc, oid::ObjectId};

use super::client::{Client, Kind, Session, integer};
use super::entities::Place;
use super::{Failure, Outcome};

/// An operation that is being run.
pub struct Call<'a> {
    /// The connection.
    pub client: &'a mut Client,
    /// The session, if the operation names one.
    pub session: Option<&'a mut Session>,
    /// The collection or database.
    pub place: &'a Place,
    /// The operation's arguments.
    pub arguments: &'a Document,
}

/// Options of reads that keep their names in the command.
const READ_OPTIONS: [&str; 12] = [
    "allowDiskUse",
    "collation",
    "comment",
    "hint",
    "let",
    "limit",
    "max",
    "maxTimeMS",
    "min",
    "projection",
    "skip",
    "sort",
];

/// Options of one update or delete that keep their names in the statement.
const STATEMENT_OPTIONS: [&str; 5] = ["arrayFilters", "collation", "hint", "sort", "upsert"];

/// Options of a write command that keep their names.
const WRITE_OPTIONS: [&str; 4] = ["bypassDocumentValidation", "comment", "let", "ordered"];

/// Copies those fields that are there.
pub fn copy(from: &Document, to: &mut Document, keys: &[&str]) {
    for key in keys {
        if let Some(value) = from.get(key) {
            to.insert(*key, value.clone());
        }
    }
}

/// A document with its `_id` in front; drivers make one if there is none.
pub fn with_id(document: &Document) -> Document {
    if document.contains_key("_id") {
        return document.clone();
    }
    let mut made = doc! {"_id": ObjectId::new()};
    made.extend(document.clone());
    made
}

impl Call<'_> {
    /// Sends a command to the collection's database.
    pub fn send(&mut self, command: Document, kind: Kind) -> Result<Document, Failure> {
        let Place { database, settings, .. } = self.place;
        self.client.send(database, command, kind, settings, self.session.as_deref_mut())
    }

    /// An argument, null if it was left out.
    pub fn argument(&self, key: &str) -> Bson {
        self.arguments.get(key).cloned().unwrap_or(Bson::Null)
    }

    fn document(&self, key: &str) -> Document {
        self.arguments.get_document(key).cloned().unwrap_or_default()
    }

    fn collection(&self) -> &str {
        &self.place.collection
    }

    /// Reads all documents of the cursor in a reply.
    pub fn drain(&mut self, reply: &Document) -> Result<Vec<Bson>, Failure> {
        let broken = || Failure::client("the reply has no cursor");
        let cursor = reply.get_document("cursor").map_err(|_| broken())?;
        let mut all = cursor.get_array("firstBatch").map_err(|_| broken())?.clone();
        let mut id = cursor.get_i64("id").map_err(|_| broken())?;
        let namespace = cursor.get_str("ns").map_err(|_| broken())?;
        let collection = namespace.split_once('.').map_or("", |(_, collection)| collection).to_owned();
        while id != 0 {
            let mut more = doc! {"getMore": id, "collection": collection.as_str()};
            copy(self.arguments, &mut more, &["batchSize", "comment"]);
            if self.arguments.contains_key("commandName") {
                copy(self.arguments, &mut more, &["maxTimeMS"]);
            }
            let reply = self.send(more, Kind::Other)?;
            let cursor = reply.get_document("cursor").map_err(|_| broken())?;
            all.extend(cursor.get_array("nextBatch").map_err(|_| broken())?.iter().cloned());
            id = cursor.get_i64("id").map_err(|_| broken())?;
        }
        Ok(all)
    }

    /// Runs an operation on a collection; `None` if it is not one.
    pub fn run(&mut self, name: &str) -> Option<Outcome> {
        let outcome = match name {
            "find" => self.find(),
            "findOne" => self.find().map(|found| first(found).unwrap_or(Bson::Null)),
            "aggregate" => self.aggregate(),
            "distinct" => self.distinct(),
            "count" | "countDocuments" | "estimatedDocumentCount" => self.count(name),
            "insertOne" | "insertMany" => self.insert(name),
            "updateOne" | "updateMany" | "replaceOne" => self.update(name),
            "deleteOne" | "deleteMany" => self.delete(name),
            "findOneAndUpdate" | "findOneAndReplace" | "findOneAndDelete" => self.find_one_and(name),
            "bulkWrite" => self.bulk_write(),
            "createIndex" => self.create_index(),
            "dropIndex" => {
                let command = doc! {"dropIndexes": self.collection(), "index": self.argument("name")};
                self.send(command, Kind::Write).map(|_| Bson::Null)
            }
            "listIndexes" => {
                let command = doc! {"listIndexes": self.collection(), "cursor": {}};
                self.send(command, Kind::Other).and_then(|reply| self.drain(&reply)).map(Bson::Array)
            }
            "createSearchIndex"
            | "createSearchIndexes"
            | "updateSearchIndex"
            | "dropSearchIndex"
            | "listSearchIndexes" => self.search_index(name),
            _ => return None,
        };
        Some(outcome)
    }

    fn find(&mut self) -> Outcome {
        let mut command = doc! {"find": self.collection(), "filter": self.document("filter")};
        copy(self.arguments, &mut command, &READ_OPTIONS);
        copy(self.arguments, &mut command, &["batchSize"]);
        let reply = self.send(command, Kind::Read)?;
        self.drain(&reply).map(Bson::Array)
    }

    /// Runs a pipeline on the collection, or on the database if there is none.
    pub fn aggregate(&mut self) -> Outcome {
        let target = match self.collection() {
            "" => Bson::Int32(1),
            name => Bson::from(name),
        };
        let mut cursor = Document::new();
        copy(self.arguments, &mut cursor, &["batchSize"]);
        let pipeline = self.argument("pipeline");
        let writes = pipeline
            .as_array()
            .and_then(|stages| stages.last())
            .and_then(Bson::as_document)
            .is_some_and(|stage| stage.contains_key("$out") || stage.contains_key("$merge"));
        if writes {
            cursor.clear();
        }
        let mut command = doc! {"aggregate": target, "pipeline": pipeline, "cursor": cursor};
        copy(self.arguments, &mut command, &READ_OPTIONS);
        copy(self.arguments, &mut command, &["bypassDocumentValidation"]);
        if writes && let Some(concern) = &self.place.settings.read_concern {
            command.insert("readConcern", concern.clone());
        }
        let reply = self.send(command, if writes { Kind::Write } else { Kind::Read })?;
        self.drain(&reply).map(Bson::Array)
    }

    fn distinct(&mut self) -> Outcome {
        let mut command = doc! {"distinct": self.collection(), "key": self.argument("fieldName")};
        command.insert("query", self.document("filter"));
        copy(self.arguments, &mut command, &["collation", "comment", "hint", "maxTimeMS"]);
        let reply = self.send(command, Kind::Read)?;
        reply.get("values").cloned().ok_or_else(|| Failure::client("the reply has no values"))
    }

    fn count(&mut self, name: &str) -> Outcome {
        if name == "countDocuments" {
            let mut stages = vec![Bson::Document(doc! {"$match": self.document("filter")})];
            for (key, stage) in [("skip", "$skip"), ("limit", "$limit")] {
                if let Some(count) = self.arguments.get(key) {
                    stages.push(Bson::Document(doc! {stage: count.clone()}));
                }
            }
            stages.push(Bson::Document(doc! {"$group": {"_id": 1, "n": {"$sum": 1}}}));
            let mut command = doc! {"aggregate": self.collection(), "pipeline": stages, "cursor": {}};
            copy(self.arguments, &mut command, &["collation", "comment", "hint", "maxTimeMS"]);
            let reply = self.send(command, Kind::Read)?;
            let counted = first(Bson::Array(self.drain(&reply)?));
            let n = counted.as_ref().and_then(Bson::as_document).and_then(|group| group.get("n"));
            return Ok(n.cloned().unwrap_or(Bson::Int32(0)));
        }
        let mut command = doc! {"count": self.collection()};
        copy(self.arguments, &mut command, &["collation", "comment", "hint", "limit", "maxTimeMS", "skip"]);
        if name == "count" {
            command.insert("query", self.document("filter"));
        }
        let reply = self.send(command, Kind::Read)?;
        reply.get("n").cloned().ok_or_else(|| Failure::client("the reply has no n"))
    }

    fn insert(&mut self, name: &str) -> Outcome {
        let given = match name {
            "insertOne" => vec![self.argument("document")],
            _ => self.arguments.get_array("documents").cloned().unwrap_or_default(),
        };
        let documents: Vec<Document> = given.iter().filter_map(Bson::as_document).map(with_id).collect();
        let ids = documents.iter().enumerate().map(|(position, document)| {
            (position.to_string(), document.get("_id").cloned().unwrap_or(Bson::Null))
        });
        let ids: Document = ids.collect();
        let mut command = doc! {"insert": self.collection(), "documents": documents};
        copy(self.arguments, &mut command, &WRITE_OPTIONS);
        let reply = self.send(command, Kind::RetryableWrite)?;
        check_write(&reply)
            .map_err(|failure| Failure { partial: Some(Box::new(inserted_only(&reply))), ..failure })?;
        if self.place.settings.is_unacknowledged() {
            return Ok(unacknowledged());
        }
        Ok(Bson::Document(match name {
            "insertOne" => doc! {"insertedId": ids.get("0").cloned()},
            _ => doc! {"insertedIds": ids},
        }))
    }

    fn update(&mut self, name: &str) -> Outcome {
        let mut command =
            doc! {"update": self.collection(), "updates": [update_statement(name, self.arguments)]};
        copy(self.arguments, &mut command, &WRITE_OPTIONS);
        let kind = if name == "updateMany" { Kind::Write } else { Kind::RetryableWrite };
        let reply = self.send(command, kind)?;
        check_write(&reply)?;
        if self.place.settings.is_unacknowledged() {
            return Ok(unacknowledged());
        }
        let upserted =
            reply.get_array("upserted").ok().and_then(|items| items.first()).and_then(Bson::as_document);
        let n = integer(reply.get("n")).unwrap_or(0);
        let mut result = doc! {
            "matchedCount": if upserted.is_some() { 0 } else { n },
            "modifiedCount": integer(reply.get("nModified")).unwrap_or(0),
            "upsertedCount": i32::from(upserted.is_some()),
        };
        if let Some(upserted) = upserted {
            result.insert("upsertedId", upserted.get("_id").cloned());
        }
        Ok(Bson::Document(result))
    }

    fn delete(&mut self, name: &str) -> Outcome {
        let mut command =
            doc! {"delete": self.collection(), "deletes": [delete_statement(name, self.arguments)]};
        copy(self.arguments, &mut command, &WRITE_OPTIONS);
        let kind = if name == "deleteMany" { Kind::Write } else { Kind::RetryableWrite };
        let reply = self.send(command, kind)?;
        check_write(&reply)?;
        if self.place.settings.is_unacknowledged() {
            return Ok(unacknowledged());
        }
        Ok(Bson::Document(doc! {"deletedCount": integer(reply.get("n")).unwrap_or(0)}))
    }

    fn find_one_and(&mut self, name: &str) -> Outcome {
        let mut command = doc! {"findAndModify": self.collection(), "query": self.document("filter")};
        match name {
            "findOneAndDelete" => command.insert("remove", true),
            "findOneAndUpdate" => command.insert("update", self.argument("update")),
            _ => command.insert("update", self.argument("replacement")),
        };
        if self.arguments.get_str("returnDocument").is_ok_and(|which| which == "After") {
            command.insert("new", true);
        }
        if let Some(projection) = self.arguments.get("projection") {
            command.insert("fields", projection.clone());
        }
        copy(self.arguments, &mut command, &STATEMENT_OPTIONS);
        copy(self.arguments, &mut command, &["bypassDocumentValidation", "comment", "let", "maxTimeMS"]);
        let reply = self.send(command, Kind::RetryableWrite)?;
        check_write(&reply)?;
        if self.place.settings.is_unacknowledged() {
            return Ok(Bson::Null);
        }
        Ok(reply.get("value").cloned().unwrap_or(Bson::Null))
    }

    fn create_index(&mut self) -> Outcome {
        let keys = self.document("keys");
        let name: Vec<String> = keys
            .iter()
            .map(|(key, direction)| format!("{key}_{}", direction.to_string().trim_matches('"')))
            .collect();
        let mut index = doc! {"key": keys, "name": name.join("_")};
        copy(self.arguments, &mut index, &["unique", "name", "sparse", "expireAfterSeconds"]);
        let name = index.get("name").cloned().unwrap_or(Bson::Null);
        self.send(doc! {"createIndexes": self.collection(), "indexes": [index]}, Kind::Write).map(|_| name)
    }

    fn search_index(&mut self, name: &str) -> Outcome {
        let collection = self.collection().to_owned();
        let command = match name {
            "createSearchIndex" => {
                doc! {"createSearchIndexes": collection, "indexes": [self.argument("model")]}
            }
            "createSearchIndexes" => {
                doc! {"createSearchIndexes": collection, "indexes": self.argument("models")}
            }
            "updateSearchIndex" => doc! {
                "updateSearchIndex": collection,
                "name": self.argument("name"),
                "definition": self.argument("definition"),
            },
            "dropSearchIndex" => doc! {"dropSearchIndex": collection, "name": self.argument("name")},
            _ => {
                let mut stage = Document::new();
                copy(self.arguments, &mut stage, &["name"]);
                let mut cursor = Document::new();
                if let Ok(options) = self.arguments.get_document("aggregationOptions") {
                    copy(options, &mut cursor, &["batchSize"]);
                }
                doc! {"aggregate": collection, "pipeline": [{"$listSearchIndexes": stage}], "cursor": cursor}
            }
        };
        self.send(command, Kind::Other).map(Bson::Document)
    }
}

/// The statement of an `update` command.
pub fn update_statement(name: &str, arguments: &Document) -> Document {
    let update = if name == "replaceOne" { "replacement" } else { "update" };
    let mut statement = doc! {
        "q": arguments.get_document("filter").cloned().unwrap_or_default(),
        "u": arguments.get(update).cloned().unwrap_or(Bson::Null),
    };
    if name == "updateMany" {
        statement.insert("multi", true);
    }
    copy(arguments, &mut statement, &STATEMENT_OPTIONS);
    statement
}

/// The statement of a `delete` command.
pub fn delete_statement(name: &str, arguments: &Document) -> Document {
    let mut statement = doc! {
        "q": arguments.get_document("filter").cloned().unwrap_or_default(),
        "limit": i32::from(name == "deleteOne"),
    };
    copy(arguments, &mut statement, &["collation", "hint"]);
    statement
}

/// The result of a write that was not acknowledged.
fn unacknowledged() -> Bson {
    Bson::Document(doc! {"acknowledged": false})
}

/// What an insert did before it failed, as a bulk write says it.
fn inserted_only(reply: &Document) -> Bson {
    Bson::Document(doc! {
        "deletedCount": 0,
        "insertedCount": integer(reply.get("n")).unwrap_or(0),
        "matchedCount": 0,
        "modifiedCount": 0,
        "upsertedCount": 0,
        "upsertedIds": {},
    })
}

fn first(array: Bson) -> Option<Bson> {
    match array {
        Bson::Array(items) => items.into_iter().next(),
        other => Some(other),
    }
}

/// Fails with the first write error or the write concern error of a reply.
pub fn check_write(reply: &Document) -> Result<(), Failure> {
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    match errors.first().and_then(Bson::as_document).or_else(|| reply.get_document("writeConcernError").ok())
    {
        None => Ok(()),
        Some(error) => Err(Failure::server(error)),
    }
}
