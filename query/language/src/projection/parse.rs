//! Reading the projection of `find` and `$project`.
//!
//! One number or boolean decides for all: fields are either named to be kept or named to be dropped, `_id` excepted.
//! What is computed goes with kept fields only.

use sheaf_document::{RawDocument, ValueRef};

use super::slice::Slice;
use super::{Entry, Mode, Node, Projection, ProjectionKind};
use crate::expression::{Expression, FieldPath, Scope};
use crate::filter::ElementFilter;
use crate::{Error, Result};

/// What has been read so far.
struct Reader<'s> {
    kind: ProjectionKind,
    scope: &'s mut Scope,
    root: Node,
    /// Decided by the first entry that says so.
    mode: Option<Mode>,
    /// What was said about `_id` alone.
    id: Option<bool>,
    positional: bool,
    first_match: bool,
    /// Whether `$slice` or `$meta` was seen, which decide nothing.
    decorates: bool,
}

impl Projection {
    /// Reads a projection. The empty one, of `find` only, keeps everything.
    pub fn parse(document: RawDocument<'_>, kind: ProjectionKind, scope: &mut Scope) -> Result<Self> {
        if kind == ProjectionKind::Aggregate && document.is_empty() {
            return Err(Error::location(51272, "$project must say something about at least one field"));
        }
        let root = Node::default();
        let mut reader = Reader {
            kind,
            scope,
            root,
            mode: None,
            id: None,
            positional: false,
            first_match: false,
            decorates: false,
        };
        for element in document {
            reader.entry("", element.key(), element.value())?;
        }
        reader.finish()
    }
}

impl Reader<'_> {
    fn finish(self) -> Result<Projection> {
        let Self { mut root, id, first_match, .. } = self;
        let mode = match (self.mode, id) {
            (Some(mode), _) => mode,
            (None, Some(true)) => Mode::Inclusion,
            (None, _) if first_match => Mode::Inclusion,
            (None, _) => Mode::Exclusion,
        };
        let keeps_id = match (id, mode) {
            (Some(keeps), Mode::Inclusion) if !keeps => false,
            (None | Some(true), Mode::Inclusion) => !root.names("_id"),
            _ => false,
        };
        if keeps_id {
            root.prepend_id();
        }
        if id == Some(false) && mode == Mode::Exclusion {
            root.push("_id", Entry::Drop);
        }
        Ok(Projection { mode, root, positional: self.positional })
    }

    /// Reads what is said about `prefix` and `key` together.
    fn entry(&mut self, prefix: &str, key: &str, value: ValueRef<'_>) -> Result<()> {
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        if self.kind == ProjectionKind::Find
            && let Some(array) = path.strip_suffix(".$")
        {
            return self.matched(array, value);
        }
        if self.kind == ProjectionKind::Find && path.contains(".$.") {
            let message = format!("in '{path}' the positional '$' must come last");
            return Err(Error::location(31394, message));
        }
        if self.kind == ProjectionKind::Aggregate && path.ends_with(".$") {
            let message = format!("'{path}': the positional '$' is for find, not for pipelines");
            return Err(Error::location(31324, message));
        }
        let parsed = FieldPath::parse(&path)?;
        match value {
            ValueRef::Document(document) if document.is_empty() => Err(Error::location(
                51270,
                format!("'{path}' is given an empty document, which says nothing"),
            )),
            ValueRef::Document(document) => self.document(&path, &parsed, document, value),
            flag if flag.kind().is_number() || matches!(flag, ValueRef::Boolean(_)) => {
                self.flag(&path, &parsed, is_kept(flag))
            }
            literal => self.computed(&path, &parsed, literal, 31310),
        }
    }

    fn document(
        &mut self,
        path: &str,
        parsed: &FieldPath,
        document: RawDocument<'_>,
        value: ValueRef<'_>,
    ) -> Result<()> {
        let only =
            document.first().filter(|first| first.key().starts_with('$') && document.iter().nth(1).is_none());
        let Some(operator) = only else {
            for element in document {
                self.entry(path, element.key(), element.value())?;
            }
            return Ok(());
        };
        let (name, operand) = (operator.key(), operator.value());
        if self.kind == ProjectionKind::Find {
            match name {
                "$slice" => {
                    if let Some(slice) = Slice::parse(operand) {
                        self.decorates = true;
                        return self.insert(path, parsed, Entry::Slice(slice));
                    }
                }
                "$elemMatch" => return self.first_match(path, parsed, operand),
                "$meta" => {
                    self.decorates = true;
                    let expression = Expression::parse(value, self.scope)?;
                    return self.insert(path, parsed, Entry::Compute(expression));
                }
                _ => {}
            }
        }
        if !Expression::is_operator(name) && (name != "$elemMatch" || self.kind == ProjectionKind::Find) {
            return Err(Error::location(31325, format!("'{path}' uses the unknown expression '{name}'")));
        }
        self.computed(path, parsed, value, 31252)
    }

    /// A number or a boolean.
    fn flag(&mut self, path: &str, parsed: &FieldPath, keeps: bool) -> Result<()> {
        if path == "_id" {
            self.id = Some(keeps);
            if keeps {
                return self.insert(path, parsed, Entry::Keep);
            }
            return Ok(());
        }
        match (self.mode, keeps) {
            (Some(Mode::Exclusion), true) => {
                let message = format!("'{path}' is to be kept, but others are named to be dropped");
                return Err(Error::location(31253, message));
            }
            (Some(Mode::Inclusion), false) => {
                let message = format!("'{path}' is to be dropped, but others are named to be kept");
                return Err(Error::location(31254, message));
            }
            _ => {}
        }
        self.mode = Some(if keeps { Mode::Inclusion } else { Mode::Exclusion });
        self.insert(path, parsed, if keeps { Entry::Keep } else { Entry::Drop })
    }

    /// An expression; `code` is the error if fields are named to be dropped.
    fn computed(&mut self, path: &str, parsed: &FieldPath, value: ValueRef<'_>, code: i32) -> Result<()> {
        if self.mode == Some(Mode::Exclusion) {
            let message = format!("'{path}' is to be computed, but others are named to be dropped");
            return Err(Error::location(code, message));
        }
        let expression = Expression::parse(value, self.scope)?;
        self.mode = Some(Mode::Inclusion);
        self.insert(path, parsed, Entry::Compute(expression))
    }

    fn first_match(&mut self, path: &str, parsed: &FieldPath, operand: ValueRef<'_>) -> Result<()> {
        let ValueRef::Document(condition) = operand else {
            let kind = operand.kind().name();
            return Err(Error::location(
                31274,
                format!("$elemMatch at '{path}' needs a document, not {kind}"),
            ));
        };
        if parsed.components().nth(1).is_some() {
            return Err(Error::location(
                31275,
                format!("$elemMatch cannot be used at the nested path '{path}'"),
            ));
        }
        if self.positional {
            let message = "$elemMatch and the positional '$' cannot be used together";
            return Err(Error::location(31255, message));
        }
        self.first_match = true;
        let filter = ElementFilter::parse(condition, self.scope)?;
        self.insert(path, parsed, Entry::FirstMatch(filter))
    }

    /// A path that ends with the positional `$`.
    fn matched(&mut self, path: &str, value: ValueRef<'_>) -> Result<()> {
        let refused = |code, message: String| Err(Error::location(code, message));
        match value {
            ValueRef::Document(_) => {
                return refused(31271, format!("'{path}.$' cannot be combined with an expression"));
            }
            flag if flag.kind().is_number() || matches!(flag, ValueRef::Boolean(_)) => {
                if !is_kept(flag) {
                    return refused(31395, format!("'{path}.$' cannot be dropped"));
                }
            }
            _ => return refused(31308, format!("'{path}.$' can only be given a number or a boolean")),
        }
        if self.positional {
            return refused(31276, "there can be only one positional '$'".to_owned());
        }
        if self.first_match {
            return refused(31256, "$elemMatch and the positional '$' cannot be used together".to_owned());
        }
        if self.mode == Some(Mode::Exclusion) {
            return refused(31395, format!("'{path}.$' cannot be used where others are named to be dropped"));
        }
        if path.split('.').any(|name| name == "$") {
            return refused(31287, format!("'{path}.$' has more than one positional '$'"));
        }
        self.positional = true;
        self.mode = Some(Mode::Inclusion);
        let parsed = FieldPath::parse(path)?;
        self.insert(path, &parsed, Entry::Keep)?;
        if let Some(first) = parsed.components().next()
            && let Some((_, entry)) = self.root.fields.iter_mut().find(|(name, _)| **name == *first)
        {
            mark_matched(entry);
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, parsed: &FieldPath, entry: Entry) -> Result<()> {
        let names: Vec<&str> = parsed.components().collect();
        self.root.insert(&names, entry).map_err(|collision| {
            let (code, what) = match collision {
                Collision::Below => (31249, "a path above it"),
                Collision::Above => (31250, "it or a path below it"),
            };
            Error::location(code, format!("'{path}' collides: {what} is named already"))
        })
    }
}

/// Every step of the one positional path is marked; the first array that is met is the one that is cut down.
fn mark_matched(entry: &mut Entry) {
    match std::mem::replace(entry, Entry::Drop) {
        Entry::Nested(mut node) => {
            if let [(_, inner)] = node.fields.as_mut_slice() {
                mark_matched(inner);
            }
            *entry = Entry::Matched(node);
        }
        Entry::Keep => *entry = Entry::Matched(Node::default()),
        other => *entry = other,
    }
}

/// How two paths collide.
pub(super) enum Collision {
    /// A path above says something already.
    Below,
    /// The path itself, or one below, says something already.
    Above,
}

impl Node {
    /// Puts an entry at the end of a path.
    pub(super) fn insert(&mut self, path: &[&str], entry: Entry) -> std::result::Result<(), Collision> {
        let Some((name, rest)) = path.split_first() else { return Err(Collision::Above) };
        self.computes |= matches!(entry, Entry::Compute(_) | Entry::FirstMatch(_));
        let known = self.fields.iter().position(|(known, _)| **known == **name);
        match known.and_then(|position| self.fields.get_mut(position)) {
            Some((_, Entry::Nested(nested))) if !rest.is_empty() => nested.insert(rest, entry),
            Some((_, Entry::Nested(_))) => Err(Collision::Above),
            Some(_) if rest.is_empty() => Err(Collision::Above),
            Some(_) => Err(Collision::Below),
            None => {
                let entry = if rest.is_empty() {
                    entry
                } else {
                    let mut nested = Node::default();
                    nested.insert(rest, entry)?;
                    Entry::Nested(nested)
                };
                self.push(name, entry);
                Ok(())
            }
        }
    }
}

fn is_kept(flag: ValueRef<'_>) -> bool {
    match flag {
        ValueRef::Boolean(keeps) => keeps,
        ValueRef::Int32(number) => number != 0,
        ValueRef::Int64(number) => number != 0,
        ValueRef::Double(number) => number != 0.0,
        ValueRef::Decimal128(number) => !number.is_zero(),
        _ => true,
    }
}
