//! Random operations on a collection with indexes and on one without: the answers must be the same.
//!
//! What this catches is what indexes add: keys that are missing or left behind, bounds that lose documents, orders that
//! are none. The indexed database is opened again from time to time.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use sheaf_engine::Database;
use sheaf_storage::MemoryVfs;

use crate::support::{create_index, database, delete, doc, find_with, insert, options, update};

/// splitmix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % limit
    }

    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[usize::try_from(self.below(list.len() as u64)).expect("small")]
    }

    pub fn scalar(&mut self) -> String {
        match self.below(9) {
            0 => "null".to_owned(),
            1 => format!("\"{}\"", self.pick(&["", "a", "ab", "b", "B"])),
            2 => format!("{}.5", self.below(4)),
            3 => "true".to_owned(),
            4 => format!("{{\"$numberLong\": \"{}\"}}", self.below(5)),
            _ => self.below(6).to_string(),
        }
    }

    pub fn value(&mut self) -> String {
        match self.below(8) {
            0 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.scalar()).collect();
                format!("[{}]", items.join(", "))
            }
            1 => format!("{{\"x\": {}}}", self.scalar()),
            2 => format!(
                "[{{\"x\": {}, \"y\": {}}}, {{\"x\": {}}}]",
                self.scalar(),
                self.scalar(),
                self.scalar()
            ),
            _ => self.scalar(),
        }
    }

    pub fn document(&mut self, id: u64) -> String {
        let mut fields = vec![format!("\"_id\": {id}")];
        for name in ["a", "b", "c"] {
            if self.below(4) > 0 {
                fields.push(format!("\"{name}\": {}", self.value()));
            }
        }
        format!("{{{}}}", fields.join(", "))
    }

    fn path(&mut self) -> &'static str {
        self.pick(&["a", "a", "b", "b", "c", "a.x", "b.x", "b.y", "b.0", "_id"])
    }

    pub fn condition(&mut self) -> String {
        let path = self.path();
        let test = match self.below(12) {
            0 => format!("{{\"$in\": [{}, {}, {}]}}", self.scalar(), self.value(), self.scalar()),
            1 => format!("{{\"$ne\": {}}}", self.value()),
            2 => format!("{{\"$exists\": {}}}", self.pick(&["true", "false"])),
            3 => format!("{{\"$gt\": {}, \"$lte\": {}}}", self.scalar(), self.scalar()),
            4 => format!("{{\"$elemMatch\": {{\"$gte\": {}, \"$lt\": {}}}}}", self.scalar(), self.scalar()),
            5 => format!("{{\"$elemMatch\": {{\"x\": {}}}}}", self.scalar()),
            6 => format!("{{\"$not\": {{\"$gt\": {}}}}}", self.scalar()),
            7 => format!("{{\"$nin\": [{}, {}]}}", self.scalar(), self.scalar()),
            8 => "{\"$regex\": \"^a\"}".to_owned(),
            9 => format!("{{\"{}\": {}}}", self.pick(&["$gt", "$gte", "$lt", "$lte"]), self.value()),
            _ => self.value(),
        };
        format!("{{\"{path}\": {test}}}")
    }

    pub fn filter(&mut self) -> String {
        let list = |random: &mut Self, least: u64| {
            let parts: Vec<_> = (0..least + random.below(3)).map(|_| random.condition()).collect();
            parts.join(", ")
        };
        match self.below(6) {
            0 => "{}".to_owned(),
            1 | 2 => format!("{{\"$and\": [{}]}}", list(self, 1)),
            3 => format!("{{\"$or\": [{}]}}", list(self, 1)),
            4 => format!("{{\"$or\": [{}], \"$and\": [{}]}}", list(self, 2), list(self, 1)),
            _ => self.condition(),
        }
    }

    pub fn sort(&mut self) -> String {
        let path = self.pick(&["a", "b", "c", "a.x"]);
        let direction = |random: &mut Self| random.pick(&["1", "-1"]);
        format!("{{\"{path}\": {}, \"_id\": {}}}", direction(self), direction(self))
    }

    fn change(&mut self) -> String {
        let name = self.pick(&["a", "b", "c"]);
        match self.below(5) {
            0 => format!("{{\"$unset\": {{\"{name}\": 1}}}}"),
            1 => format!("{{\"$push\": {{\"{name}\": {}}}}}", self.scalar()),
            2 => format!("{{\"$set\": {{\"{name}.x\": {}}}}}", self.scalar()),
            _ => format!("{{\"$set\": {{\"{name}\": {}}}}}", self.value()),
        }
    }
}

const INDEXES: [&str; 7] = [
    r#"{"key": {"a": 1}, "name": "a"}"#,
    r#"{"key": {"a": -1, "c": 1}, "name": "a_c"}"#,
    r#"{"key": {"b.x": 1, "b.y": -1}, "name": "b_x_y"}"#,
    r#"{"key": {"b": 1}, "name": "b", "sparse": true}"#,
    r#"{"key": {"c": 1}, "name": "c", "partialFilterExpression": {"c": {"$gt": 2}}}"#,
    r#"{"key": {"c": "hashed"}, "name": "c_hashed", "partialFilterExpression": {"c": {"$lt": "b"}}}"#,
    r#"{"key": {"a.x": 1, "_id": -1}, "name": "a_x_id"}"#,
];

#[test]
fn deep_indexes_change_no_answer() {
    let rounds = if std::env::var_os("SHEAF_DEEP").is_some() { 60 } else { 3 };
    let mut compared = 0;
    for round in 0..rounds {
        compared += run_round(round, 1_200);
    }
    println!("stage indexes change no answer: {compared} answers compared");
}

fn run_round(seed: u64, steps: u64) -> u64 {
    let mut random = Random(seed);
    let plain = database().session();
    let vfs = Arc::new(MemoryVfs::new());
    let open =
        || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens").session();
    let mut indexed = open();
    let mut compared = 0;
    for step in 0..steps {
        if step % 100 == 50 {
            let number = usize::try_from(step / 100).expect("small");
            if let Some(index) = INDEXES.get(number) {
                // A document with two arrays in one index, or a hashed array, refuses the index; then there is none.
                let outcome = create_index(&indexed, index);
                assert!(
                    outcome.as_ref().err().is_none_or(|error| [171, 16766].contains(&error.code.0)),
                    "{outcome:?}"
                );
            }
        }
        if step % 400 == 399 {
            indexed.database().close().expect("closes");
            indexed = open();
        }
        let describe = |what: &str| format!("seed {seed}, step {step}: {what}");
        match random.below(10) {
            0..=3 => {
                let document = random.document(random.0 % 200);
                let refused = insert(&indexed, &[&document]).errors;
                let is_index_refusal =
                    refused.iter().any(|refused| [171, 16766].contains(&refused.error.code.0));
                if !is_index_refusal {
                    let other = insert(&plain, &[&document]).errors;
                    assert_eq!(refused.len(), other.len(), "{}", describe(&document));
                }
            }
            4 => {
                let (filter, change) = (random.filter(), random.change());
                // One document, by its id: an update of many stops in the middle if an index refuses one.
                let id = format!("{{\"_id\": {}}}", random.below(200));
                let _ = filter;
                let outcome = update(&indexed, &id, &change, false, false);
                if outcome.as_ref().err().is_some_and(|error| [171, 16766].contains(&error.code.0)) {
                    continue;
                }
                let other = update(&plain, &id, &change, false, false);
                assert_eq!(
                    outcome.map(|found| (found.matched, found.modified)).map_err(|error| error.code),
                    other.map(|found| (found.matched, found.modified)).map_err(|error| error.code),
                    "{}",
                    describe(&change)
                );
            }
            5 if random.below(4) == 0 => {
                let filter = format!("{{\"$and\": [{}, {{\"_id\": {{\"$lt\": 60}}}}]}}", random.condition());
                let outcome = delete(&indexed, &filter, true).expect("deletes");
                assert_eq!(outcome, delete(&plain, &filter, true).expect("deletes"), "{}", describe(&filter));
            }
            _ => {
                let (filter, sort) = (random.filter(), random.sort());
                let (filter_doc, sort_doc) = (doc(&filter), doc(&sort));
                let limit = random.below(2) * (1 + random.below(9));
                let answer = |session| {
                    find_with(session, filter_doc.as_raw(), |operation| {
                        operation.sort = Some(sort_doc.as_raw());
                        operation.limit = Some(limit);
                    })
                    .map_err(|error| error.code)
                };
                assert_eq!(
                    answer(&indexed),
                    answer(&plain),
                    "{}",
                    describe(&format!("find {filter} sort {sort}"))
                );
                compared += 1;
            }
        }
    }
    compared
}
