//! `bulkWrite` on a collection and on the client.

use bson::{Bson, Document, doc};

use super::client::{Kind, integer};
use super::crud::{Call, check_write, copy, delete_statement, update_statement, with_id};
use super::{Failure, Outcome};

/// What a bulk write did.
#[derive(Default)]
struct Totals {
    inserted: i64,
    matched: i64,
    modified: i64,
    upserted: i64,
    deleted: i64,
    inserted_ids: Document,
    upserted_ids: Document,
    errors: Document,
}

impl Totals {
    fn to_document(&self) -> Document {
        doc! {
            "insertedCount": self.inserted,
            "matchedCount": self.matched,
            "modifiedCount": self.modified,
            "upsertedCount": self.upserted,
            "deletedCount": self.deleted,
            "insertedIds": self.inserted_ids.clone(),
            "upsertedIds": self.upserted_ids.clone(),
        }
    }

    /// Adds the reply to one request.
    fn add(&mut self, position: &str, name: &str, reply: &Document) {
        let n = integer(reply.get("n")).unwrap_or(0);
        match name {
            "insertOne" => self.inserted += n,
            "deleteOne" | "deleteMany" => self.deleted += n,
            _ => {
                let upserted = reply.get_array("upserted").map(Vec::as_slice).unwrap_or_default();
                let id = upserted.first().and_then(Bson::as_document).and_then(|item| item.get("_id"));
                self.modified += integer(reply.get("nModified")).unwrap_or(0);
                match id {
                    Some(id) => {
                        self.upserted += 1;
                        self.upserted_ids.insert(position, id.clone());
                    }
                    None => self.matched += n,
                }
            }
        }
    }
}

impl Call<'_> {
    /// `bulkWrite` of a collection: a command for every request, in order.
    pub fn bulk_write(&mut self) -> Outcome {
        let requests = self.arguments.get_array("requests").cloned().unwrap_or_default();
        let ordered = self.arguments.get_bool("ordered").unwrap_or(true);
        let mut totals = Totals::default();
        let mut failed: Option<Failure> = None;
        for (position, request) in requests.iter().filter_map(Bson::as_document).enumerate() {
            let position = position.to_string();
            let Some((name, Bson::Document(body))) = request.iter().next() else {
                return Err(Failure::client("a request without a kind"));
            };
            let (command, is_multi) = self.request_command(&position, name, body, &mut totals);
            let reply = self.send(command, if is_multi { Kind::Write } else { Kind::RetryableWrite })?;
            totals.add(&position, name, &reply);
            if let Err(failure) = check_write(&reply) {
                totals.inserted_ids.remove(&position);
                totals.errors.insert(position, failure.reply.as_deref().cloned());
                failed.get_or_insert(failure);
                if ordered {
                    break;
                }
            }
        }
        match failed {
            None if self.place.settings.is_unacknowledged() => {
                Ok(Bson::Document(doc! {"acknowledged": false}))
            }
            None => Ok(Bson::Document(totals.to_document())),
            Some(failure) => Err(Failure {
                partial: Some(Box::new(Bson::Document(totals.to_document()))),
                write_errors: Box::new(totals.errors),
                ..failure
            }),
        }
    }

    fn request_command(
        &self,
        position: &str,
        name: &str,
        body: &Document,
        totals: &mut Totals,
    ) -> (Document, bool) {
        let collection = self.place.collection.as_str();
        let mut command = match name {
            "insertOne" => {
                let document = with_id(&body.get_document("document").cloned().unwrap_or_default());
                totals.inserted_ids.insert(position, document.get("_id").cloned());
                doc! {"insert": collection, "documents": [document]}
            }
            "deleteOne" | "deleteMany" => {
                doc! {"delete": collection, "deletes": [delete_statement(name, body)]}
            }
            _ => doc! {"update": collection, "updates": [update_statement(name, body)]},
        };
        let options: &[&str] = match name {
            "insertOne" => &["bypassDocumentValidation", "comment"],
            _ => &["bypassDocumentValidation", "comment", "let"],
        };
        copy(self.arguments, &mut command, options);
        (command, name.ends_with("Many"))
    }

    /// `bulkWrite` of the client: one command for everything.
    pub fn client_bulk_write(&mut self) -> Outcome {
        let models = self.arguments.get_array("models").cloned().unwrap_or_default();
        let verbose = self.arguments.get_bool("verboseResults").unwrap_or(false);
        let mut namespaces: Vec<String> = Vec::new();
        let mut operations = Vec::new();
        let mut kinds = Vec::new();
        for model in models.iter().filter_map(Bson::as_document) {
            let Some((name, Bson::Document(body))) = model.iter().next() else {
                return Err(Failure::client("a model without a kind"));
            };
            let namespace = body.get_str("namespace").unwrap_or_default().to_owned();
            let number = namespaces.iter().position(|known| *known == namespace).unwrap_or_else(|| {
                namespaces.push(namespace);
                namespaces.len() - 1
            });
            let number = i32::try_from(number).map_err(|_| Failure::client("too many namespaces"))?;
            let operation = client_operation(name, number, body);
            let id =
                operation.get_document("document").ok().and_then(|document| document.get("_id")).cloned();
            kinds.push((name.clone(), id));
            operations.push(Bson::Document(operation));
        }
        let infos: Vec<Bson> =
            namespaces.into_iter().map(|namespace| Bson::Document(doc! {"ns": namespace})).collect();
        let mut command = doc! {"bulkWrite": 1, "ops": operations, "nsInfo": infos, "errorsOnly": !verbose};
        let ordered = self.arguments.get_bool("ordered").unwrap_or(true);
        command.insert("ordered", ordered);
        copy(self.arguments, &mut command, &["bypassDocumentValidation", "comment", "let", "writeConcern"]);
        let is_multi = kinds.iter().any(|(name, _)| name.ends_with("Many"));
        let reply = self.send(command, if is_multi { Kind::Write } else { Kind::RetryableWrite })?;
        let items = self.drain(&reply)?;
        client_result(&reply, &items, &kinds, Flags { verbose, ordered })
    }
}

/// One of the `ops` of the command.
fn client_operation(name: &str, number: i32, body: &Document) -> Document {
    let filter = body.get_document("filter").cloned().unwrap_or_default();
    let mut operation = match name {
        "insertOne" => {
            let document = with_id(&body.get_document("document").cloned().unwrap_or_default());
            return doc! {"insert": number, "document": document};
        }
        "deleteOne" | "deleteMany" => {
            doc! {"delete": number, "filter": filter, "multi": name == "deleteMany"}
        }
        _ => {
            let update = body.get("update").or_else(|| body.get("replacement")).cloned();
            doc! {"update": number, "filter": filter, "updateMods": update, "multi": name == "updateMany"}
        }
    };
    copy(body, &mut operation, &["arrayFilters", "collation", "hint", "sort", "upsert"]);
    operation
}

/// How a client's bulk write runs and answers.
#[derive(Clone, Copy)]
struct Flags {
    verbose: bool,
    ordered: bool,
}

fn client_result(
    reply: &Document,
    items: &[Bson],
    kinds: &[(String, Option<Bson>)],
    flags: Flags,
) -> Outcome {
    let mut result = Document::new();
    for (field, key) in [
        ("insertedCount", "nInserted"),
        ("upsertedCount", "nUpserted"),
        ("matchedCount", "nMatched"),
        ("modifiedCount", "nModified"),
        ("deletedCount", "nDeleted"),
    ] {
        result.insert(field, integer(reply.get(key)).unwrap_or(0));
    }
    let (mut inserts, mut updates, mut deletes) = (Document::new(), Document::new(), Document::new());
    let mut errors = Document::new();
    let mut first_error = None;
    for item in items.iter().filter_map(Bson::as_document) {
        let position = integer(item.get("idx")).unwrap_or(-1);
        let kind = usize::try_from(position).ok().and_then(|position| kinds.get(position));
        let Some((name, id)) = kind else { return Err(Failure::client("an item of no operation")) };
        let position = position.to_string();
        let n = integer(item.get("n")).unwrap_or(0);
        if item.contains_key("code") {
            first_error.get_or_insert(Failure::server(item));
            errors.insert(position, item.clone());
            continue;
        }
        match name.as_str() {
            "insertOne" => inserts.insert(position, doc! {"insertedId": id.clone()}),
            "deleteOne" | "deleteMany" => deletes.insert(position, doc! {"deletedCount": n}),
            _ => {
                let upserted = item.get_document("upserted").ok().and_then(|upserted| upserted.get("_id"));
                let mut update = doc! {"modifiedCount": integer(item.get("nModified")).unwrap_or(0)};
                // An upsert counts as matched here, other than in a collection's own bulk write.
                update.insert("matchedCount", n);
                if let Some(id) = upserted {
                    update.insert("upsertedId", id.clone());
                }
                updates.insert(position, update)
            }
        };
    }
    if flags.verbose {
        result.insert("insertResults", inserts);
        result.insert("updateResults", updates);
        result.insert("deleteResults", deletes);
    }
    let concern = reply.get_document("writeConcernError").ok();
    if first_error.is_none() && concern.is_none() {
        return Ok(Bson::Document(result));
    }
    let nothing_done = match flags.ordered {
        true => errors.contains_key("0"),
        false => errors.len() == kinds.len(),
    };
    Err(Failure {
        partial: (!nothing_done).then(|| Box::new(Bson::Document(result))),
        write_errors: Box::new(errors),
        write_concern_errors: concern.map(|error| Bson::Document(error.clone())).into_iter().collect(),
        ..first_error.unwrap_or_default()
    })
}
