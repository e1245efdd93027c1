//! Projections: which fields of a document a result has, and what is computed in addition. Serves `find`, `$project`,
//! `$addFields`/`$set` and `$unset`.
//!
//! A specification is read into a tree of field names, as deep as its paths. Applying it is one walk over the
//! document that writes the result straight into its bytes: fields that are kept whole are copied as they are. Arrays
//! on the way are transparent: what is said about a path is done to each of their documents.

mod apply;
mod fields;
mod parse;
mod slice;
#[cfg(test)]
mod tests;

pub use slice::Slice;

use sheaf_document::{Element, RawDocument, RawDocumentBuf};

use crate::Result;
use crate::expression::{Environment, Expression};
use crate::filter::{ElementFilter, MatchedPosition};

/// Whose dialect a projection is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionKind {
    /// `find` and its kind: `$slice`, `$elemMatch` and the positional `$` are projections.
    Find,
    /// `$project`.
    Aggregate,
}

/// What happens to fields that are not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are dropped.
    Inclusion,
    /// They are kept.
    Exclusion,
}

/// A compiled projection.
#[derive(Clone)]
pub struct Projection {
    mode: Mode,
    root: Node,
    positional: bool,
}

/// What is said about the fields of a document, in the order it was said.
#[derive(Clone)]
struct Node {
    fields: Vec<(Box<str>, Entry)>,
    /// The positions in `fields`, as bits, of what is taken from the document as it is walked; nothing if there are
    /// too many fields to tell them by bits.
    awaited: Option<u64>,
    /// Whether anything below is computed, so that it must be there even if the document has no such field.
    computes: bool,
}

/// What is said about one field.
#[derive(Clone)]
enum Entry {
    /// Kept as it is.
    Keep,
    /// Dropped.
    Drop,
    /// Computed, whatever it was.
    Compute(Expression),
    /// The first element of the array that fulfils this, alone.
    FirstMatch(ElementFilter),
    /// The element that the query matched, alone.
    Matched(Node),
    /// Part of the array.
    Slice(Slice),
    /// Looked into.
    Nested(Node),
}

impl Default for Node {
    fn default() -> Self {
        Self { fields: Vec::new(), awaited: Some(0), computes: false }
    }
}

impl Node {
    /// What is said about a field, with its position.
    fn find(&self, element: Element<'_>) -> Option<(usize, &Entry)> {
        let mut fields = self.fields.iter().enumerate();
        fields.find(|(_, (known, _))| element.has_key(known)).map(|(position, (_, entry))| (position, entry))
    }

    /// Whether anything is said about a field.
    fn names(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| **known == *name)
    }

    /// Puts `_id` before the others, as it is kept where nothing is said about it.
    fn prepend_id(&mut self) {
        self.awaited = self.awaited.filter(|_| self.fields.len() < 64).map(|awaited| awaited << 1 | 1);
        self.fields.insert(0, (Box::from("_id"), Entry::Keep));
    }

    /// Puts a field that is not there yet behind the others.
    fn push(&mut self, name: &str, entry: Entry) {
        let position = self.fields.len();
        let is_walked = !matches!(entry, Entry::Compute(_) | Entry::FirstMatch(_) | Entry::Drop);
        self.awaited = self.awaited.filter(|_| position < 64);
        if let Some(awaited) = self.awaited.as_mut().filter(|_| is_walked) {
            *awaited |= 1 << position;
        }
        self.fields.push((Box::from(name), entry));
    }
}

impl Projection {
    /// The result for one document. `position` is where the query matched, for the positional `$`.
    pub fn apply(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
        position: MatchedPosition,
    ) -> Result<RawDocumentBuf> {
        apply::project(self, document, environment, position)
    }

    /// Whether fields that are not named are dropped or kept.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether applying it needs to know where the query matched.
    pub const fn needs_position(&self) -> bool {
        self.positional
    }

    /// The dotted paths that are kept and nothing else, if that is all the projection does: an index that has them
    /// all serves the query alone.
    pub fn kept_paths(&self) -> Option<Vec<String>> {
        if self.mode != Mode::Inclusion {
            return None;
        }
        let mut paths = Vec::new();
        collect_kept(&self.root, "", &mut paths).then_some(paths)
    }
}

fn collect_kept(node: &Node, prefix: &str, paths: &mut Vec<String>) -> bool {
    node.fields.iter().all(|(name, entry)| match entry {
        Entry::Keep => {
            paths.push(format!("{prefix}{name}"));
            true
        }
        Entry::Drop => true,
        Entry::Nested(nested) => collect_kept(nested, &format!("{prefix}{name}."), paths),
        _ => false,
    })
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projection").field("mode", &self.mode).finish_non_exhaustive()
    }
}
