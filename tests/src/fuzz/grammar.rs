//! Commands as their grammar has them, and not quite.

use std::sync::LazyLock;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, doc};

use crate::random::Random;

/// Every name of MongoDB's language that this server is asked about elsewhere, by kind.
static NAMES: LazyLock<Vec<(&str, Vec<&str>)>> = LazyLock::new(|| {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in include_str!("../../house/compat_names.txt").lines() {
        match line.strip_prefix("# ") {
            Some(kind) => kinds.push((kind, Vec::new())),
            None => {
                if let Some((_, names)) = kinds.last_mut() {
                    names.extend(line.split_whitespace());
                }
            }
        }
    }
    kinds
});

fn names_of(kind: &str) -> &'static [&'static str] {
    let found = NAMES.iter().find(|(known, _)| *known == kind);
    found.map(|(_, names)| names.as_slice()).unwrap_or_else(|| panic!("there are no names of {kind}"))
}

const FIELDS: [&str; 12] = ["_id", "a", "b", "a.b", "a.0", "b.0.c", "c", "t", "$$ROOT", "a.$", "a.$[]", ""];
const PATHS: [&str; 8] = ["$a", "$b", "$a.b", "$$ROOT", "$$NOW", "$c", "$t", "$$REMOVE"];
const ARGUMENTS: [&str; 46] = [
    "input",
    "in",
    "as",
    "cond",
    "initialValue",
    "sortBy",
    "output",
    "n",
    "date",
    "format",
    "timezone",
    "unit",
    "amount",
    "startDate",
    "endDate",
    "regex",
    "options",
    "find",
    "replacement",
    "vars",
    "to",
    "onNull",
    "onError",
    "field",
    "value",
    "inputs",
    "useLongestLength",
    "defaults",
    "branches",
    "default",
    "if",
    "then",
    "else",
    "from",
    "localField",
    "foreignField",
    "let",
    "pipeline",
    "path",
    "groupBy",
    "boundaries",
    "buckets",
    "partitionBy",
    "window",
    "documents",
    "range",
];
const STRINGS: [&str; 14] = [
    "",
    "a",
    "c",
    "$a",
    "Europe/Oslo",
    "%Y-%m-%d",
    "2024-02-29",
    "year",
    "(a+)+$",
    "\u{0}",
    "æøå",
    "int",
    "mean",
    "1",
];

/// Makes commands.
pub struct Grammar(pub Random);

impl Grammar {
    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.0.below(list.len())].clone()
    }

    /// A field name, an argument, or the name of something with a dollar.
    pub fn name(&mut self) -> String {
        match self.0.below(4) {
            0 => self.pick(&FIELDS).to_owned(),
            1 => self.pick(&ARGUMENTS).to_owned(),
            2 => self.pick(names_of("expressions")).to_owned(),
            _ => {
                let (_, names) = &NAMES[self.0.below(NAMES.len())];
                self.pick(names).to_owned()
            }
        }
    }

    /// Any value.
    pub fn value(&mut self, depth: usize) -> Bson {
        match self.0.below(10) {
            0 | 1 if depth > 0 => Bson::Array((0..self.0.below(4)).map(|_| self.value(depth - 1)).collect()),
            2 if depth > 0 => {
                let fields = (0..self.0.below(4)).map(|_| (self.name(), self.value(depth - 1)));
                Bson::Document(fields.collect())
            }
            3 => self.expression(depth),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Bson {
        match self.0.below(18) {
            0 => Bson::Null,
            1 => Bson::Boolean(self.0.once_in(2)),
            2 => Bson::Int64(self.pick(&[0, -1, 5, i64::MAX, i64::MIN])),
            3 => Bson::Double(self.pick(&[0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, -1e308, 5e-324])),
            4 => Bson::Decimal128(
                self.pick(&["0", "1.5", "NaN", "-Infinity", "9E6144"]).parse().expect("a decimal"),
            ),
            5 => {
                Bson::DateTime(DateTime::from_millis(self.pick(&[0, i64::MAX, i64::MIN, 1_700_000_000_000])))
            }
            6 => Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12])),
            7 => Bson::Timestamp(Timestamp { time: 5, increment: 0 }),
            8 => {
                let subtype =
                    self.pick(&[BinarySubtype::Generic, BinarySubtype::Uuid, BinarySubtype::BinaryOld]);
                Bson::Binary(Binary { subtype, bytes: vec![3; self.pick(&[0, 1, 16])] })
            }
            9 => {
                let (pattern, options) = (self.pick(&["a", "(a|b)*", "^", "["]), self.pick(&["", "i", "x"]));
                Bson::RegularExpression(Regex {
                    pattern: pattern.try_into().expect("no NUL"),
                    options: options.try_into().expect("no NUL"),
                })
            }
            10 => self.pick(&[Bson::MinKey, Bson::MaxKey, Bson::Undefined]),
            11 | 12 => Bson::String(self.pick(&STRINGS).to_owned()),
            13 => Bson::String(self.pick(&PATHS).to_owned()),
            _ => Bson::Int32(self.pick(&[0, 1, 2, -1, 7, i32::MAX, i32::MIN])),
        }
    }

    fn expression(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return if self.0.once_in(2) {
                Bson::String(self.pick(&PATHS).to_owned())
            } else {
                self.scalar()
            };
        }
        let name = self.pick(names_of("expressions"));
        let argument = match self.0.below(4) {
            0 => self.expression(depth - 1),
            1 => {
                let fields = (0..self.0.below(4)).map(|_| {
                    let value = self.expression(depth - 1);
                    (self.pick(&ARGUMENTS).to_owned(), value)
                });
                Bson::Document(fields.collect())
            }
            _ => Bson::Array((0..=self.0.below(3)).map(|_| self.expression(depth - 1)).collect()),
        };
        Bson::Document(doc! {name: argument})
    }

    /// Documents to work on.
    pub fn documents(&mut self) -> Vec<Document> {
        let document = |id: i32| {
            let mut document = doc! {"_id": id, "t": "some text"};
            for name in ["a", "b", "c"] {
                let value = self.plain(3);
                document.insert(name, value);
            }
            document
        };
        (0..8).map(document).collect()
    }

    /// A value without dollars, as documents have it.
    fn plain(&mut self, depth: usize) -> Bson {
        match self.0.below(6) {
            0 if depth > 0 => Bson::Array((0..self.0.below(4)).map(|_| self.plain(depth - 1)).collect()),
            1 if depth > 0 => Bson::Document(
                (0..self.0.below(3))
                    .map(|_| (self.pick(&["b", "c", "x"]).to_owned(), self.plain(depth - 1)))
                    .collect(),
            ),
            _ => self.scalar(),
        }
    }

    fn filter(&mut self, depth: usize) -> Bson {
        let clause = |grammar: &mut Self| {
            if grammar.0.once_in(5) {
                return ("$expr".to_owned(), grammar.expression(3));
            }
            let name = grammar.pick(names_of("filter operators"));
            let operand = match name {
                "$and" | "$or" | "$nor" if depth > 0 => {
                    Bson::Array((0..=grammar.0.below(2)).map(|_| grammar.filter(depth - 1)).collect())
                }
                "$elemMatch" | "$not" if depth > 0 => grammar.filter(depth - 1),
                _ => grammar.value(2),
            };
            match name {
                "$and" | "$or" | "$nor" => (name.to_owned(), operand),
                name if grammar.0.once_in(6) => (name.to_owned(), operand),
                name => (grammar.pick(&FIELDS).to_owned(), Bson::Document(doc! {name: operand})),
            }
        };
        Bson::Document((0..self.0.below(3)).map(|_| clause(self)).collect())
    }

    fn update(&mut self) -> Bson {
        if self.0.once_in(4) {
            return Bson::Array((0..=self.0.below(2)).map(|_| self.stage(2)).collect());
        }
        let fields = (0..=self.0.below(2)).map(|_| {
            let name = self.pick(names_of("update operators"));
            let fields = (0..=self.0.below(1)).map(|_| (self.pick(&FIELDS).to_owned(), self.value(2)));
            (name.to_owned(), Bson::Document(fields.collect()))
        });
        Bson::Document(fields.collect())
    }

    fn computed(&mut self, depth: usize) -> Document {
        (0..=self.0.below(2))
            .map(|_| (self.pick(&["a", "b", "x.y", "z"]).to_owned(), self.expression(depth)))
            .collect()
    }

    fn sort(&mut self) -> Document {
        (0..=self.0.below(1))
            .map(|_| (self.pick(&["a", "b", "_id", "a.b"]).to_owned(), Bson::Int32(self.pick(&[1, -1]))))
            .collect()
    }

    fn stage(&mut self, depth: usize) -> Bson {
        let name = self.pick(names_of("stages"));
        let argument = match name {
            "$match" => self.filter(2),
            "$project" | "$addFields" | "$set" => Bson::Document(self.computed(3)),
            "$sort" => Bson::Document(self.sort()),
            "$limit" | "$skip" | "$sample" if self.0.once_in(2) => Bson::Int32(self.pick(&[0, 1, 5])),
            "$unwind" => Bson::String(self.pick(&PATHS).to_owned()),
            "$count" => Bson::String("n".to_owned()),
            "$group" => {
                let mut group = doc! {"_id": self.expression(2)};
                for name in ["x", "y"] {
                    let accumulator = self.pick(names_of("accumulators"));
                    group.insert(name, doc! {accumulator: self.expression(2)});
                }
                Bson::Document(group)
            }
            "$setWindowFields" => {
                let function = self.pick(names_of("window functions"));
                let window = doc! {"documents": [self.pick(&[-1, 0]), self.pick(&[0, 1])]};
                let output = doc! {"w": {function: self.expression(1), "window": window}};
                Bson::Document(
                    doc! {"partitionBy": self.expression(1), "sortBy": self.sort(), "output": output},
                )
            }
            "$facet" if depth > 0 => Bson::Document(doc! {"f": self.pipeline(depth - 1)}),
            "$lookup" if depth > 0 => Bson::Document(
                doc! {"from": "c", "localField": "a", "foreignField": "b", "as": "l", "pipeline": self.pipeline(depth - 1)},
            ),
            "$graphLookup" => Bson::Document(
                doc! {"from": "c", "startWith": "$a", "connectFromField": "b", "connectToField": "_id", "as": "g"},
            ),
            "$unionWith" if depth > 0 => {
                Bson::Document(doc! {"coll": "c", "pipeline": self.pipeline(depth - 1)})
            }
            "$replaceRoot" => Bson::Document(doc! {"newRoot": self.expression(2)}),
            "$bucketAuto" => {
                Bson::Document(doc! {"groupBy": self.expression(1), "buckets": self.pick(&[1, 3])})
            }
            "$merge" | "$out" => Bson::String("d".to_owned()),
            _ => self.value(3),
        };
        Bson::Document(doc! {name: argument})
    }

    fn pipeline(&mut self, depth: usize) -> Vec<Bson> {
        (0..self.0.below(4)).map(|_| self.stage(depth)).collect()
    }

    /// A command on the collection `c`.
    pub fn command(&mut self) -> Document {
        let mut command = match self.0.below(14) {
            0..=2 => {
                doc! {"find": "c", "filter": self.filter(2), "projection": self.computed(2), "sort": self.sort()}
            }
            3..=6 => doc! {"aggregate": "c", "pipeline": self.pipeline(2), "cursor": {}},
            7 | 8 => {
                let one = doc! {"q": self.filter(1), "u": self.update(), "multi": self.0.once_in(2), "upsert": self.0.once_in(3)};
                doc! {"update": "c", "updates": [one]}
            }
            9 => doc! {"insert": "c", "documents": [self.plain(3)]},
            10 => doc! {"delete": "c", "deletes": [{"q": self.filter(2), "limit": self.pick(&[0, 1])}]},
            11 => {
                doc! {"findAndModify": "c", "query": self.filter(1), "update": self.update(), "sort": self.sort()}
            }
            12 => {
                let key: Document =
                    self.sort().into_iter().map(|(name, _)| (name, self.index_kind())).collect();
                doc! {"createIndexes": "c", "indexes": [{"key": key, "name": "i"}]}
            }
            _ => {
                let commands = sheaf_command::commands();
                let name = commands[self.0.below(commands.len())].name;
                let subject = self.pick(&[Bson::Int32(1), Bson::String("c".to_owned())]);
                let mut command: Document = doc! {name: subject};
                command.extend((0..self.0.below(3)).map(|_| (self.name(), self.value(2))));
                command
            }
        };
        if self.0.once_in(4) {
            let name = self.pick(&[
                "hint",
                "collation",
                "let",
                "batchSize",
                "skip",
                "limit",
                "arrayFilters",
                "explain",
            ]);
            command.insert(name, self.value(2));
        }
        harmless(command)
    }

    fn index_kind(&mut self) -> Bson {
        self.pick(&[
            Bson::Int32(1),
            Bson::Int32(-1),
            "text".into(),
            "2d".into(),
            "2dsphere".into(),
            "hashed".into(),
        ])
    }
}

/// The command without what makes it wait on purpose.
pub fn harmless(mut command: Document) -> Document {
    for name in ["maxTimeMS", "awaitData", "wtimeout"] {
        command.remove(name);
    }
    command
}
