//! Wildcard, geo and text indexes: a collection with one and a collection without must give the same answers.
//!
//! Each round also says how many of its questions the index served: a round that never uses it shows nothing.

use sheaf_engine::Session;
use sheaf_engine::operation::{ExplainTarget, FindOperation};

use crate::model::Random;
use crate::support::{create_index, database, delete, doc, find_with, insert, namespace, update};

/// Two collections with the same documents.
struct Pair {
    indexed: Session,
    plain: Session,
    served: u32,
    asked: u32,
}

impl Pair {
    fn new(indexes: &[&str], needs_index: bool) -> Self {
        let (indexed, plain) = (database().session(), database().session());
        for (number, index) in indexes.iter().enumerate() {
            create_index(&indexed, index).expect("creates");
            // A search by distance is refused without an index. A hidden one will do, and serves nothing.
            if needs_index {
                let hidden = index.replacen('}', r#"}, "hidden": true"#, 1);
                create_index(&plain, if number == 0 { &hidden } else { index }).expect("creates");
            }
        }
        Self { indexed, plain, served: 0, asked: 0 }
    }

    /// Inserts a document into both, unless the index refuses it.
    fn insert(&self, document: &str) {
        if insert(&self.indexed, &[document]).errors.is_empty() {
            assert!(insert(&self.plain, &[document]).errors.is_empty(), "{document}");
        }
    }

    fn update(&self, id: u64, change: &str) {
        let filter = format!("{{\"_id\": {id}}}");
        if update(&self.indexed, &filter, change, false, false).is_ok() {
            update(&self.plain, &filter, change, false, false).expect("updates");
        }
    }

    fn delete(&self, id: u64) {
        let filter = format!("{{\"_id\": {id}}}");
        assert_eq!(
            delete(&self.indexed, &filter, false).expect("deletes"),
            delete(&self.plain, &filter, false).expect("deletes")
        );
    }

    /// Asks both; the answers must be the same, in the same order.
    fn ask(&mut self, filter: &str, sort: Option<&str>, uses: &str) {
        let (filter_doc, sort_doc) = (doc(filter), sort.map(doc));
        let answer = |session: &Session| {
            find_with(session, filter_doc.as_raw(), |operation| {
                operation.sort = sort_doc.as_ref().map(|sort| sort.as_raw());
            })
            .map_err(|error| error.code)
        };
        let (found, expected) = (answer(&self.indexed), answer(&self.plain));
        let operation = FindOperation::new(namespace(), filter_doc.as_raw());
        let plan = self.indexed.explain_text(&ExplainTarget::Find(operation)).unwrap_or_default();
        assert_eq!(found, expected, "{filter}\n{plan}");
        self.asked += 1;
        self.served += u32::from(plan.contains(uses));
    }

    fn enough(&self, what: &str) {
        assert!(self.served * 4 >= self.asked, "{what}: {} of {} were served", self.served, self.asked);
    }
}

fn rounds() -> u64 {
    if std::env::var_os("SHEAF_DEEP").is_some() { 12 } else { 1 }
}

#[test]
fn deep_wildcard_indexes_change_no_answer() {
    let indexes = [
        r#"{"key": {"$**": 1}, "name": "w"}"#,
        r#"{"key": {"a.$**": -1}, "name": "w"}"#,
        r#"{"key": {"$**": 1}, "name": "w", "wildcardProjection": {"a": 1, "b.x": 1, "_id": 1}}"#,
        r#"{"key": {"$**": 1}, "name": "w", "wildcardProjection": {"a.x": 0, "b.y": 0}}"#,
        r#"{"key": {"c": 1, "$**": 1}, "name": "w", "wildcardProjection": {"c": 0}}"#,
        r#"{"key": {"b.$**": 1, "c": -1}, "name": "w", "partialFilterExpression": {"c": {"$gt": 1}}}"#,
    ];
    for seed in 0..rounds() {
        for (number, index) in indexes.iter().enumerate() {
            let mut random = Random(seed * 100 + number as u64);
            let mut pair = Pair::new(&[index], false);
            for step in 0..420u64 {
                match random.below(10) {
                    0..=4 => pair.insert(&random.document(step % 150)),
                    5 => {
                        let change = format!("{{\"$set\": {{\"a.x\": {}}}}}", random.scalar());
                        pair.update(random.below(150), &change);
                    }
                    6 if random.below(3) == 0 => pair.delete(random.below(150)),
                    _ => {
                        let filter = match random.below(3) {
                            0 => random.filter(),
                            // What the partial index wants.
                            1 => format!("{{\"$and\": [{}, {{\"c\": {{\"$gt\": 2}}}}]}}", random.condition()),
                            _ => random.condition(),
                        };
                        pair.ask(&filter, Some(&random.sort()), "IxScan: w");
                    }
                }
            }
            assert!(pair.served > 7, "{index}: {} of {}", pair.served, pair.asked);
        }
    }
}

fn coordinate(random: &mut Random, limit: i64) -> String {
    // Near each other often, at the borders sometimes.
    let limit_steps = u64::try_from(limit * 2).expect("positive");
    match random.below(6) {
        0 => random.pick(&["0", "180", "-180", "90", "-90"]).to_owned(),
        1 | 2 => format!("{}.{}", random.below(limit_steps) as i64 - limit, random.below(10)),
        _ => format!("{}.{:02}", random.below(10), random.below(100)),
    }
}

fn longitude_latitude(random: &mut Random) -> String {
    let clamp = |text: String, limit: f64| {
        let number: f64 = text.parse().expect("a number");
        number.clamp(-limit, limit).to_string()
    };
    format!("[{}, {}]", clamp(coordinate(random, 180), 180.0), clamp(coordinate(random, 90), 90.0))
}

/// A small ring around a position.
fn ring(random: &mut Random) -> String {
    let x = random.below(340) as f64 - 170.0;
    let y = random.below(140) as f64 - 70.0;
    let (x, y) = if random.below(2) == 0 { (x, y) } else { (x / 30.0, y / 30.0) };
    let size: f64 = random.pick(&["0.01", "1", "8", "15"]).parse().expect("a number");
    format!(
        "[[{}, {}], [{}, {}], [{}, {}], [{}, {}], [{}, {}]]",
        x - size,
        y - size,
        x + size,
        y - size,
        x + size,
        y + size,
        x - size,
        y + size,
        x - size,
        y - size
    )
}

fn sphere_place(random: &mut Random) -> String {
    match random.below(9) {
        0 => format!(
            r#"{{"type": "LineString", "coordinates": [{}, {}]}}"#,
            longitude_latitude(random),
            format_args!("[{}.5, {}.25]", random.below(100), random.below(60))
        ),
        1 => format!(r#"{{"type": "Polygon", "coordinates": [{}]}}"#, ring(random)),
        2 => format!(
            r#"{{"type": "MultiPoint", "coordinates": [{}, {}]}}"#,
            longitude_latitude(random),
            longitude_latitude(random)
        ),
        3 => longitude_latitude(random),
        4 => "null".to_owned(),
        _ => format!(r#"{{"type": "Point", "coordinates": {}}}"#, longitude_latitude(random)),
    }
}

#[test]
fn deep_indexes_on_the_sphere_change_no_answer() {
    for seed in 0..rounds() {
        for index in [
            r#"{"key": {"p": "2dsphere"}, "name": "geo"}"#,
            r#"{"key": {"p": "2dsphere", "n": 1}, "name": "geo"}"#,
            r#"{"key": {"n": -1, "p": "2dsphere"}, "name": "geo"}"#,
            r#"{"key": {"l.p": "2dsphere"}, "name": "geo"}"#,
        ] {
            let path = if index.contains("l.p") { "l.p" } else { "p" };
            let mut random = Random(seed + 77);
            let mut pair = Pair::new(&[index], true);
            for id in 0..160u64 {
                let n = random.below(4);
                let place = sphere_place(&mut random);
                let document = match (path, random.below(8)) {
                    (_, 0) => format!("{{\"_id\": {id}, \"n\": {n}}}"),
                    ("l.p", 1..=3) => format!(
                        "{{\"_id\": {id}, \"n\": {n}, \"l\": [{{\"p\": {place}}}, {{\"p\": {}}}]}}",
                        sphere_place(&mut random)
                    ),
                    ("l.p", _) => format!("{{\"_id\": {id}, \"n\": {n}, \"l\": {{\"p\": {place}}}}}"),
                    _ => format!("{{\"_id\": {id}, \"n\": {n}, \"p\": {place}}}"),
                };
                pair.insert(&document);
            }
            for id in 0..20 {
                pair.update(id, &format!("{{\"$set\": {{\"p\": {}}}}}", sphere_place(&mut random)));
                pair.delete(100 + id);
            }
            for _ in 0..60 {
                let n = random.below(4);
                let more = if random.below(2) == 0 { format!(", \"n\": {n}") } else { String::new() };
                let geometry = |random: &mut Random| match random.below(3) {
                    0 => format!(r#"{{"type": "Polygon", "coordinates": [{}]}}"#, ring(random)),
                    _ => format!(r#"{{"type": "Point", "coordinates": {}}}"#, longitude_latitude(random)),
                };
                let test = match random.below(5) {
                    0 => format!(
                        r#"{{"$geoWithin": {{"$geometry": {{"type": "Polygon", "coordinates": [{}]}}}}}}"#,
                        ring(&mut random)
                    ),
                    1 => format!(
                        r#"{{"$geoWithin": {{"$centerSphere": [{}, 0.{}]}}}}"#,
                        longitude_latitude(&mut random),
                        random.below(1000)
                    ),
                    2 => format!(r#"{{"$geoIntersects": {{"$geometry": {}}}}}"#, geometry(&mut random)),
                    3 => format!(
                        r#"{{"$nearSphere": {{"$geometry": {{"type": "Point", "coordinates": {}}},
                            "$maxDistance": {}, "$minDistance": {}}}}}"#,
                        longitude_latitude(&mut random),
                        random.pick(&["1000", "500000", "30000000"]),
                        random.pick(&["0", "0", "300000"]),
                    ),
                    _ => format!(
                        r#"{{"$near": {{"$geometry": {{"type": "Point", "coordinates": {}}}}}}}"#,
                        longitude_latitude(&mut random)
                    ),
                };
                let filter = format!("{{\"{path}\": {test}{more}}}");
                let sort = (!test.contains("$near")).then_some(r#"{"_id": 1}"#);
                pair.ask(&filter, sort, if test.contains("$near") { "GeoNear" } else { "IxScan: geo" });
            }
            pair.enough(index);
        }
    }
}

#[test]
fn deep_indexes_on_the_plane_change_no_answer() {
    for seed in 0..rounds() {
        for index in [
            r#"{"key": {"p": "2d"}, "name": "geo"}"#,
            r#"{"key": {"p": "2d", "n": 1}, "name": "geo", "min": -200, "max": 200, "bits": 5}"#,
        ] {
            let mut random = Random(seed + 5);
            let mut pair = Pair::new(&[index], true);
            let pair_of =
                |random: &mut Random| format!("[{}, {}]", coordinate(random, 180), coordinate(random, 180));
            for id in 0..160u64 {
                let place = match random.below(6) {
                    0 => format!("{{\"x\": {}, \"y\": 3}}", coordinate(&mut random, 180)),
                    1 => format!("[{}, {}]", pair_of(&mut random), pair_of(&mut random)),
                    _ => pair_of(&mut random),
                };
                let field = if random.below(9) == 0 { "q" } else { "p" };
                pair.insert(&format!("{{\"_id\": {id}, \"n\": {}, \"{field}\": {place}}}", random.below(3)));
            }
            for id in 0..20 {
                pair.update(id, &format!("{{\"$set\": {{\"p\": {}}}}}", pair_of(&mut random)));
                pair.delete(100 + id);
            }
            for _ in 0..60 {
                let test = match random.below(4) {
                    0 => format!(
                        r#"{{"$geoWithin": {{"$box": [{}, {}]}}}}"#,
                        pair_of(&mut random),
                        pair_of(&mut random)
                    ),
                    1 => format!(
                        r#"{{"$geoWithin": {{"$center": [{}, {}]}}}}"#,
                        pair_of(&mut random),
                        random.below(100)
                    ),
                    2 => format!(
                        r#"{{"$geoWithin": {{"$polygon": [{}, {}, {}]}}}}"#,
                        pair_of(&mut random),
                        pair_of(&mut random),
                        pair_of(&mut random)
                    ),
                    _ => format!(
                        r#"{{"$near": {}, "$maxDistance": {}}}"#,
                        pair_of(&mut random),
                        1 + random.below(400)
                    ),
                };
                let filter = format!("{{\"p\": {test}, \"n\": {{\"$lt\": {}}}}}", 1 + random.below(3));
                let sort = (!test.contains("$near")).then_some(r#"{"_id": 1}"#);
                pair.ask(&filter, sort, if test.contains("$near") { "GeoNear" } else { "IxScan: geo" });
            }
            pair.enough(index);
        }
    }
}

#[test]
fn deep_text_indexes_change_no_answer() {
    const WORDS: [&str; 14] = [
        "fox",
        "foxes",
        "Fox",
        "running",
        "runs",
        "café",
        "cafe",
        "the",
        "brown",
        "Straße",
        "brown-fox",
        "quick",
        "x",
        "déjà vu",
    ];
    let text = |random: &mut Random| {
        let words: Vec<&str> = (0..random.below(6)).map(|_| random.pick(&WORDS)).collect();
        words.join(" ")
    };
    for seed in 0..rounds() {
        for index in [
            r#"{"key": {"t": "text"}, "name": "text"}"#,
            r#"{"key": {"t": "text", "u.v": "text"}, "name": "text", "weights": {"t": 5}}"#,
            r#"{"key": {"$**": "text"}, "name": "text", "default_language": "french"}"#,
            r#"{"key": {"n": 1, "t": "text"}, "name": "text"}"#,
        ] {
            let mut random = Random(seed + 9);
            let mut pair = Pair::new(&[index], false);
            let document = |random: &mut Random, id: u64| {
                let language = random.pick(&["english", "none", "french", "english"]);
                format!(
                    r#"{{"_id": {id}, "n": {}, "t": "{}", "u": [{{"v": "{}"}}, {{"v": 3}}], "language": "{language}"}}"#,
                    random.below(2),
                    text(random),
                    text(random)
                )
            };
            for id in 0..120 {
                pair.insert(&document(&mut random, id));
            }
            for id in 0..20 {
                let words = text(&mut random);
                pair.update(id, &format!("{{\"$set\": {{\"t\": \"{words} {}\"}}}}", "z".repeat(200)));
                pair.delete(60 + id);
            }
            for _ in 0..60 {
                let mut search = text(&mut random);
                match random.below(4) {
                    0 => search.push_str(" -brown"),
                    1 => search.push_str(" \\\"fox runs\\\""),
                    _ => {}
                }
                let option = random.pick(&[
                    "",
                    ", \"$caseSensitive\": true",
                    ", \"$diacriticSensitive\": true",
                    ", \"$language\": \"none\"",
                ]);
                let n = random.below(2);
                let search = format!("{{\"$text\": {{\"$search\": \"{search}\"{option}}}, \"n\": {n}}}");
                pair.ask_by_scan(&search);
            }
            pair.enough(index);
        }
    }
}

impl Pair {
    /// Asks for a search of text: the answer by the index must be that of every document looked at.
    fn ask_by_scan(&mut self, search: &str) {
        // A branch that no index serves makes the alternative a scan of the collection.
        let scan = format!("{{\"$or\": [{search}, {{\"nothing\": 1, \"never\": 2}}]}}");
        let answer = |filter: &str| {
            find_with(&self.indexed, doc(filter).as_raw(), |_| {})
                .expect("finds")
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
        };
        let plan = |filter: &str| {
            let filter = doc(filter);
            let operation = FindOperation::new(namespace(), filter.as_raw());
            self.indexed.explain_text(&ExplainTarget::Find(operation)).expect("plans")
        };
        assert!(plan(&scan).contains("CollScan"), "{}", plan(&scan));
        assert_eq!(answer(search), answer(&scan), "{search}\n{}", plan(search));
        self.asked += 1;
        self.served += u32::from(plan(search).contains("IxScan: text") || plan(search).contains("Empty"));
    }
}
