//! Documents, filters and updates by chance: few names and few values, so that they meet.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Timestamp, doc};

use crate::random::Random;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const INNER: [&str; 3] = ["x", "y", "0"];
const STRINGS: [&str; 6] = ["", "a", "ab", "b", "B", "ba"];
const PATHS: [&str; 16] = [
    "a", "b", "c", "d", "a.x", "b.x", "b.y", "a.0", "b.1", "a.0.x", "b.x.y", "c.x.0", "a.1.x", "c.0.0", "e",
    "a.x.x",
];
const COMPARISONS: [&str; 6] = ["$eq", "$gt", "$gte", "$lt", "$lte", "$ne"];
const TYPES: [&str; 9] = ["double", "string", "object", "array", "null", "int", "long", "number", "bool"];

/// Makes things up.
pub struct Generator(pub Random);

impl Generator {
    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.0.below(list.len())].clone()
    }

    fn small(&mut self) -> i32 {
        i32::try_from(self.0.below(9)).expect("small") - 2
    }

    fn number(&mut self) -> Bson {
        match self.0.below(8) {
            0 => Bson::Int64(self.small().into()),
            1 => Bson::Double(f64::from(self.small()) + 0.5),
            2 => Bson::Double(self.small().into()),
            3 => Bson::Decimal128(self.small().to_string().parse().expect("a decimal")),
            _ => Bson::Int32(self.small()),
        }
    }

    fn scalar(&mut self) -> Bson {
        match self.0.below(24) {
            0..=3 => Bson::String(self.pick(&STRINGS).to_owned()),
            4 | 5 => Bson::Null,
            6 | 7 => Bson::Boolean(self.0.once_in(2)),
            8 => Bson::DateTime(DateTime::from_millis(self.small().into())),
            9 => Bson::ObjectId(bson::oid::ObjectId::from_bytes([u8::from(self.0.once_in(2)); 12])),
            10 => {
                let bytes = vec![u8::try_from(self.0.below(256)).expect("a byte"); self.0.below(3)];
                Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
            }
            11 => Bson::Double(f64::NAN),
            12 => Bson::Timestamp(Timestamp { time: 1, increment: u32::from(self.0.once_in(2)) }),
            13 if self.0.once_in(2) => Bson::Decimal128("1.5".parse().expect("a decimal")),
            14 if self.0.once_in(3) => Bson::Double(f64::INFINITY),
            15 if self.0.once_in(3) => Bson::Int64(i64::MAX - 1),
            16 if self.0.once_in(3) => Bson::Int32(i32::MAX),
            _ => self.number(),
        }
    }

    fn value(&mut self, depth: usize) -> Bson {
        match self.0.below(8) {
            0 | 1 if depth > 0 => {
                let count = self.0.below(4);
                Bson::Array((0..count).map(|_| self.value(depth - 1)).collect())
            }
            2 if depth > 0 => Bson::Document(self.nested(depth - 1)),
            _ => self.scalar(),
        }
    }

    fn nested(&mut self, depth: usize) -> Document {
        let mut document = Document::new();
        for _ in 0..self.0.below(3) {
            let name = self.pick(&INNER);
            document.insert(name, self.value(depth));
        }
        document
    }

    /// A document.
    pub fn document(&mut self) -> Document {
        let mut document = doc! {"_id": 1};
        for name in NAMES {
            if !self.0.once_in(5) {
                document.insert(name, self.value(3));
            }
        }
        document
    }

    /// A filter, with so many levels of logic.
    pub fn filter(&mut self, depth: usize) -> Document {
        let mut filter = Document::new();
        for _ in 0..=self.0.below(2) {
            if depth > 0 && self.0.once_in(5) {
                let name = self.pick(&["$and", "$or", "$nor"]);
                let branches: Vec<Document> = (0..=self.0.below(2)).map(|_| self.filter(depth - 1)).collect();
                filter.insert(name, branches);
            } else if depth == 3 && self.0.once_in(12) {
                filter.insert("$expr", self.expression(2));
            } else {
                let path = self.pick(&PATHS);
                let condition = self.condition(depth);
                filter.insert(path, condition);
            }
        }
        filter
    }

    fn condition(&mut self, depth: usize) -> Bson {
        if self.0.once_in(4) {
            // A document that is no operators.
            return self.value(1);
        }
        Bson::Document(self.operators(depth))
    }

    fn operators(&mut self, depth: usize) -> Document {
        let mut operators = Document::new();
        for _ in 0..=self.0.below(2) {
            let (name, operand) = self.operator(depth);
            operators.insert(name, operand);
        }
        operators
    }

    fn list(&mut self) -> Vec<Bson> {
        (0..=self.0.below(3)).map(|_| self.value(1)).collect()
    }

    fn operator(&mut self, depth: usize) -> (&'static str, Bson) {
        match self.0.below(22) {
            0 | 1 => ("$in", Bson::Array(self.list())),
            2 => ("$nin", Bson::Array(self.list())),
            3 | 4 => ("$exists", Bson::Boolean(self.0.once_in(2))),
            5 | 6 => ("$type", Bson::String(self.pick(&TYPES).to_owned())),
            7 => ("$size", Bson::Int32(self.small().max(0))),
            8 => ("$all", Bson::Array(self.list())),
            9 if depth > 0 => ("$not", Bson::Document(self.operators(depth - 1))),
            10 | 11 if depth > 0 => {
                let condition =
                    if self.0.once_in(2) { self.operators(depth - 1) } else { self.element_filter(depth) };
                ("$elemMatch", Bson::Document(condition))
            }
            12 => {
                let divisor = self.pick(&[2, 3, -2]);
                ("$mod", Bson::Array(vec![divisor.into(), self.pick(&[0, 1, -1]).into()]))
            }
            13 => ("$regex", Bson::String(self.pick(&["a", "^a", "b$", "^ab$", "B"]).to_owned())),
            14 => {
                let name = self.pick(&["$bitsAllSet", "$bitsAnySet", "$bitsAllClear", "$bitsAnyClear"]);
                let positions = if self.0.once_in(2) {
                    Bson::Int32(self.small().max(0))
                } else {
                    Bson::Array(vec![
                        Bson::Int32(self.small().max(0)),
                        Bson::Int32(self.pick(&[1, 9, 63, 70])),
                    ])
                };
                (name, positions)
            }
            _ => (self.pick(&COMPARISONS), self.value(1)),
        }
    }

    /// A filter on the elements of an array.
    fn element_filter(&mut self, depth: usize) -> Document {
        let mut filter = Document::new();
        for _ in 0..=self.0.below(1) {
            let name = self.pick(&["x", "y", "0", "x.y", "1"]);
            let condition = self.condition(depth - 1);
            filter.insert(name, condition);
        }
        filter
    }

    fn expression(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.0.below(3) {
                0 => self.scalar_constant(),
                _ => Bson::String(format!("${}", self.pick(&["a", "b", "c", "a.x", "b.x.y", "c.0", "e"]))),
            };
        }
        let name = self.pick(&["$eq", "$gt", "$lte", "$ne", "$and", "$or", "$not"]);
        let count = if name == "$not" { 1 } else { 2 };
        let arguments: Vec<Bson> = (0..count).map(|_| self.expression(depth - 1)).collect();
        Bson::Document(doc! {name: arguments})
    }

    /// A constant that is no path.
    fn scalar_constant(&mut self) -> Bson {
        self.scalar()
    }

    /// An update with the array filters that its paths need; mostly of what the document allows.
    pub fn update(&mut self, document: &Document) -> (Document, Vec<Document>) {
        let mut update = Document::new();
        for _ in 0..=self.0.below(2) {
            let path = self.update_path(document);
            let value = value_at(document, path);
            let (name, operand) =
                if self.0.once_in(8) { self.modifier() } else { self.fitting_modifier(value.as_ref()) };
            if name == "$rename" && (path.contains('$') || operand.as_str() == Some(path)) {
                continue;
            }
            let fields = update.entry(name.to_owned()).or_insert_with(|| Bson::Document(Document::new()));
            if let Bson::Document(fields) = fields {
                fields.insert(path, operand);
            }
        }
        if update.is_empty() {
            update = doc! {"$set": {"a": 1}};
        }
        if chooses_twice(&update) {
            return self.update(document);
        }
        let is_filtered = update.to_string().contains("$[e]");
        let condition = match self.0.below(3) {
            0 => doc! {"e": self.number()},
            1 => doc! {"e": {"$gte": self.number()}},
            _ => doc! {"e.x": self.value(1)},
        };
        (update, if is_filtered { vec![condition] } else { Vec::new() })
    }

    /// Elements of an array by choice mostly where there is an array.
    fn update_path(&mut self, document: &Document) -> &'static str {
        let path = match self.0.below(8) {
            0 => self.pick(&["a.$[]", "b.$[]", "a.$[].x", "c.$[].$[]"]),
            1 => self.pick(&["a.$[e]", "b.$[e].x", "a.$[e].x.y"]),
            2 => self.pick(&["a.$", "b.$.x"]),
            _ => return self.pick(&PATHS),
        };
        let first = path.split('.').next().expect("a name");
        if document.get(first).and_then(Bson::as_array).is_some() || self.0.once_in(6) {
            path
        } else {
            self.update_path(document)
        }
    }

    fn fitting_modifier(&mut self, value: Option<&Bson>) -> (&'static str, Bson) {
        loop {
            let (name, operand) = self.modifier();
            let fits = match (name, value) {
                ("$inc" | "$mul", Some(value)) => super::order::number(value).is_some(),
                ("$bit", Some(value)) => super::order::integer(value).is_some(),
                ("$push" | "$addToSet" | "$pull" | "$pullAll" | "$pop", Some(value)) => {
                    value.as_array().is_some()
                }
                ("$pull" | "$pullAll" | "$pop" | "$unset" | "$rename" | "$setOnInsert", None) => {
                    self.0.once_in(6)
                }
                _ => true,
            };
            if fits {
                return (name, operand);
            }
        }
    }

    fn modifier(&mut self) -> (&'static str, Bson) {
        match self.0.below(17) {
            0 => ("$unset", Bson::String(String::new())),
            1 => ("$inc", self.operand()),
            2 => ("$mul", self.operand()),
            3 => ("$min", self.value(1)),
            4 => ("$max", self.value(1)),
            5 => ("$rename", Bson::String(self.pick(&["e", "f", "b", "c.y", "f.g", "d.x"]).to_owned())),
            6 | 7 => ("$push", self.pushed()),
            8 => ("$addToSet", self.value(1)),
            9 => ("$addToSet", Bson::Document(doc! {"$each": self.list()})),
            10 => ("$pull", self.value(1)),
            11 => ("$pull", Bson::Document(self.operators(1))),
            12 => ("$pullAll", Bson::Array(self.list())),
            13 => ("$pop", Bson::Int32(self.pick(&[1, -1]))),
            14 => {
                let name = self.pick(&["and", "or", "xor"]);
                let mask = self.pick(&[Bson::Int32(5), Bson::Int32(-1), Bson::Int64(6)]);
                ("$bit", Bson::Document(doc! {name: mask}))
            }
            15 => ("$setOnInsert", self.value(1)),
            _ => ("$set", self.value(2)),
        }
    }

    /// What `$inc` and `$mul` take.
    fn operand(&mut self) -> Bson {
        match self.0.below(12) {
            0 => Bson::Int64(i64::MAX - 1),
            1 => Bson::Int32(i32::MAX),
            _ => self.number(),
        }
    }

    fn pushed(&mut self) -> Bson {
        if self.0.once_in(2) {
            return self.value(2);
        }
        let mut modifiers = doc! {"$each": self.list()};
        if self.0.once_in(2) {
            modifiers.insert("$position", self.pick(&[0, 1, -1, -2, 9]));
        }
        if self.0.once_in(2) {
            modifiers.insert("$slice", self.pick(&[0, 1, 2, -1, -2, 9]));
        }
        match self.0.below(4) {
            0 => drop(modifiers.insert("$sort", self.pick(&[1, -1]))),
            1 => drop(modifiers.insert("$sort", doc! {"x": self.pick(&[1, -1]), "y": 1})),
            _ => {}
        }
        Bson::Document(modifiers)
    }
}

/// Whether two paths choose elements of one array, each in its way: which operators then meet depends on the document.
fn chooses_twice(update: &Document) -> bool {
    let fields = update.values().filter_map(Bson::as_document).flat_map(Document::keys);
    let paths: Vec<Vec<&str>> = fields.map(|path| path.split('.').collect()).collect();
    let differ = |left: &Vec<&str>, right: &Vec<&str>| {
        let first = left.iter().zip(right).find(|(left, right)| left != right);
        let picks = |part: &str| part.starts_with('$') || part.parse::<u32>().is_ok();
        first.is_some_and(|(left, right)| left.starts_with('$') && picks(right))
    };
    paths.iter().any(|left| paths.iter().any(|right| differ(left, right)))
}

/// What is at a path, `$` and its kind taken for the first element.
fn value_at(document: &Document, path: &str) -> Option<Bson> {
    let mut value = Bson::Document(document.clone());
    for part in path.split('.') {
        value = match &value {
            Bson::Document(document) => document.get(part)?.clone(),
            Bson::Array(items) => items.get(part.parse().unwrap_or(0))?.clone(),
            _ => return None,
        };
    }
    Some(value)
}
