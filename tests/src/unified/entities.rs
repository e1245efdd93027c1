//! What a case names: clients, databases, collections, buckets, sessions, cursors and saved results.

use std::collections::{BTreeMap, VecDeque};

use bson::{Bson, Document, doc};

use super::client::{Session, Settings};

/// A collection and how operations on it are sent.
#[derive(Clone, Debug)]
pub struct Place {
    /// The database's name.
    pub database: String,
    /// The collection's name; empty for the database itself.
    pub collection: String,
    /// How operations are sent.
    pub settings: Settings,
}

/// A cursor that the case reads step by step.
#[derive(Clone, Debug)]
pub struct OpenCursor {
    /// What it reads.
    pub place: Place,
    /// Its number; 0 once it is exhausted.
    pub id: i64,
    /// Documents that arrived and were not asked for yet.
    pub ready: VecDeque<Bson>,
    /// Documents to ask for at once.
    pub batch_size: Option<Bson>,
    /// The session it belongs to.
    pub session: Option<String>,
}

/// Everything a case names.
#[derive(Debug, Default)]
pub struct Entities {
    /// Settings of the clients.
    pub clients: BTreeMap<String, Settings>,
    /// Databases, collections and buckets.
    pub places: BTreeMap<String, Place>,
    /// Which of the places are buckets.
    pub buckets: Vec<String>,
    /// Sessions.
    pub sessions: BTreeMap<String, Session>,
    /// Cursors.
    pub cursors: BTreeMap<String, OpenCursor>,
    /// Results that were saved.
    pub saved: BTreeMap<String, Bson>,
}

impl Entities {
    /// Makes them as the file says.
    pub fn create(descriptions: &[Document]) -> Result<Self, String> {
        let mut entities = Self::default();
        for description in descriptions {
            let (kind, body) = description.iter().next().ok_or("an entity without a kind")?;
            let body = body.as_document().ok_or("an entity is not a document")?;
            let id = body.get_str("id").map_err(|_| "an entity without an id")?.to_owned();
            entities.add(kind, id, body)?;
        }
        Ok(entities)
    }

    fn add(&mut self, kind: &str, id: String, body: &Document) -> Result<(), String> {
        let text = |key: &str| body.get_str(key).map_err(|_| format!("{kind} {id} without {key}"));
        match kind {
            "client" => {
                self.clients.insert(id, client_settings(body));
            }
            "database" => {
                let client = self.clients.get(text("client")?).ok_or("no such client")?;
                let settings = client.with(body.get_document("databaseOptions").ok());
                let database = text("databaseName")?.to_owned();
                self.places.insert(id, Place { database, collection: String::new(), settings });
            }
            "collection" => {
                let database = self.places.get(text("database")?).ok_or("no such database")?;
                let settings = database.settings.with(body.get_document("collectionOptions").ok());
                let place =
                    Place { collection: text("collectionName")?.to_owned(), settings, ..database.clone() };
                self.places.insert(id, place);
            }
            "bucket" => {
                let database = self.places.get(text("database")?).ok_or("no such database")?.clone();
                self.buckets.push(id.clone());
                self.places.insert(id, database);
            }
            "session" => {
                let number = u8::try_from(self.sessions.len()).map_err(|_| "too many sessions")?;
                let mut session = Session::new(number);
                let options = body.get_document("sessionOptions");
                session.snapshot = options.is_ok_and(|options| options.get_bool("snapshot").unwrap_or(false));
                self.sessions.insert(id, session);
            }
            other => return Err(format!("entities of the kind {other} are not known here")),
        }
        Ok(())
    }
}

fn client_settings(body: &Document) -> Settings {
    let mut settings = Settings::default();
    if let Ok(api) = body.get_document("serverApi") {
        for (key, field) in [
            ("version", "apiVersion"),
            ("strict", "apiStrict"),
            ("deprecationErrors", "apiDeprecationErrors"),
        ] {
            if let Some(value) = api.get(key) {
                settings.api.insert(field, value.clone());
            }
        }
    }
    if let Ok(options) = body.get_document("uriOptions") {
        if let Some(members) = options.get("w") {
            settings.write_concern = Some(doc! {"w": members.clone()});
        }
        if let Ok(level) = options.get_str("readConcernLevel") {
            settings.read_concern = Some(doc! {"level": level});
        }
    }
    settings
}
