//! Applying a projection to one document.

use sheaf_document::{
    ArrayBuilder, DocumentBuilder, Element, RawArray, RawDocument, RawDocumentBuf, ValueRef,
};

use super::{Entry, Mode, Node, Projection};
use crate::expression::Environment;
use crate::filter::{ElementFilter, MatchedPosition};
use crate::{Error, Result};

/// Bytes that an inclusion makes room for at first.
const INCLUDED_BYTES: usize = 256;

/// Bytes that computed fields may add before the room for the others does not do.
const COMPUTED_BYTES: usize = 64;

/// One application.
struct Application<'a, 'e> {
    mode: Mode,
    root: RawDocument<'a>,
    environment: &'e mut Environment,
    position: MatchedPosition,
    /// Whether the positional `$` has cut its array down; arrays inside the element are left alone.
    is_cut: bool,
}

pub(super) fn project(
    projection: &Projection,
    document: RawDocument<'_>,
    environment: &mut Environment,
    position: MatchedPosition,
) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::with_capacity(match projection.mode {
        // As a rule little is left of a large document, and results are held by the batch.
        Mode::Inclusion => document.len_bytes().min(INCLUDED_BYTES),
        Mode::Exclusion => document.len_bytes() + COMPUTED_BYTES,
    });
    let mut application =
        Application { mode: projection.mode, root: document, environment, position, is_cut: false };
    application.document(&projection.root, document, &mut out)?;
    Ok(out.build())
}

impl<'a> Application<'a, '_> {
    /// Writes what remains of `source`, then what is computed in addition.
    fn document(&mut self, node: &Node, source: RawDocument<'a>, out: &mut DocumentBuilder) -> Result<()> {
        // Behind the last field that an inclusion asks for there is nothing to look at. Fields are counted once: a
        // document may have a name twice.
        let mut awaited = if self.mode == Mode::Inclusion { node.awaited } else { Some(u64::MAX) };
        for element in source {
            if awaited == Some(0) {
                break;
            }
            let found = node.find(element);
            if let (Mode::Inclusion, Some((position, _)), Some(awaited)) = (self.mode, found, &mut awaited) {
                *awaited &= !(1 << position);
            }
            match found.map(|(_, entry)| entry) {
                None if self.mode == Mode::Inclusion => {}
                None | Some(Entry::Keep) => {
                    out.append_element(element);
                }
                Some(Entry::Drop) => {}
                // In its old place if only that is changed; otherwise behind what is kept.
                Some(Entry::Compute(expression)) => {
                    if self.mode == Mode::Exclusion {
                        let value = expression.evaluate(self.root, self.environment)?;
                        out.append_value(element.key(), &value);
                    }
                }
                // Behind what is kept, as what is computed.
                Some(Entry::FirstMatch(_)) if self.mode == Mode::Inclusion => {}
                Some(entry) => self.field(entry, element, out)?,
            }
        }
        if node.computes { self.computed(node, source, out) } else { Ok(()) }
    }

    /// Writes the computed fields that the walk over `source` did not come by.
    fn computed(&mut self, node: &Node, source: RawDocument<'a>, out: &mut DocumentBuilder) -> Result<()> {
        for (name, entry) in &node.fields {
            let is_present = || source.get_element(name).is_some();
            match entry {
                Entry::Compute(expression) if self.mode == Mode::Inclusion || !is_present() => {
                    let value = expression.evaluate(self.root, self.environment)?;
                    out.append_value(name, &value);
                }
                Entry::FirstMatch(filter) if self.mode == Mode::Inclusion => {
                    if let Some(ValueRef::Array(array)) = source.get(name) {
                        self.first_match(name, filter, array, out)?;
                    }
                }
                Entry::Nested(nested) if nested.computes && !is_present() => {
                    out.try_document(name, |out| self.document(nested, RawDocument::EMPTY, out))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes one field of which only a part is wanted.
    fn field(&mut self, entry: &Entry, element: Element<'a>, out: &mut DocumentBuilder) -> Result<()> {
        let key = element.key();
        match (entry, element.value()) {
            (Entry::Nested(node) | Entry::Matched(node), ValueRef::Document(document))
                if !node.fields.is_empty() =>
            {
                out.try_document(key, |out| self.document(node, document, out))?;
            }
            (Entry::Nested(node), ValueRef::Array(array)) => {
                out.try_array(key, |out| self.array(node, array, out))?;
            }
            (Entry::Nested(node), _) => self.scalar(node, element, out)?,
            (Entry::Matched(node), ValueRef::Array(array)) if !self.is_cut => {
                let matched = self.matched(key, array)?;
                self.is_cut = true;
                out.try_array(key, |out| self.part(node, matched, out))?;
                self.is_cut = false;
            }
            (Entry::Matched(node), ValueRef::Array(array)) if !node.fields.is_empty() => {
                out.try_array(key, |out| self.array(node, array, out))?;
            }
            (Entry::Matched(node), _) if !node.fields.is_empty() => {}
            (Entry::FirstMatch(filter), ValueRef::Array(array)) => {
                self.first_match(key, filter, array, out)?
            }
            (Entry::FirstMatch(_), _) => {}
            (Entry::Slice(slice), ValueRef::Array(array)) => slice.write(key, array, out),
            _ => {
                out.append_element(element);
            }
        }
        Ok(())
    }

    /// The matched element, or what is wanted of it.
    fn part(&mut self, node: &Node, element: Element<'a>, out: &mut ArrayBuilder) -> Result<()> {
        if node.fields.is_empty() {
            out.push_element(element);
            return Ok(());
        }
        self.element(node, element, out)
    }

    /// A value that has no fields where fields are named: what is computed replaces it.
    fn scalar(&mut self, node: &Node, element: Element<'a>, out: &mut DocumentBuilder) -> Result<()> {
        if node.computes {
            out.try_document(element.key(), |out| self.document(node, RawDocument::EMPTY, out))?;
        } else if self.mode == Mode::Exclusion {
            out.append_element(element);
        }
        Ok(())
    }

    fn array(&mut self, node: &Node, array: RawArray<'a>, out: &mut ArrayBuilder) -> Result<()> {
        for element in array.elements() {
            self.element(node, element, out)?;
        }
        Ok(())
    }

    fn element(&mut self, node: &Node, element: Element<'a>, out: &mut ArrayBuilder) -> Result<()> {
        let mut outcome = Ok(());
        match element.value() {
            ValueRef::Document(document) => {
                out.document(|out| outcome = self.document(node, document, out));
            }
            ValueRef::Array(array) => {
                out.array(|out| outcome = self.array(node, array, out));
            }
            _ if node.computes => {
                out.document(|out| outcome = self.document(node, RawDocument::EMPTY, out));
            }
            _ if self.mode == Mode::Exclusion => {
                out.push_element(element);
            }
            _ => {}
        }
        outcome
    }

    /// The element of an array that the query matched.
    fn matched(&self, key: &str, array: RawArray<'a>) -> Result<Element<'a>> {
        let found = self.position.0.and_then(|position| array.elements().nth(position));
        found.ok_or_else(|| {
            let message =
                format!("the positional '$' at '{key}' has no element: the query did not match one");
            Error::location(51246, message)
        })
    }

    fn first_match(
        &mut self,
        key: &str,
        filter: &ElementFilter,
        array: RawArray<'a>,
        out: &mut DocumentBuilder,
    ) -> Result<()> {
        if let Some(element) = filter.find(array, self.environment)? {
            out.array(key, |out| {
                out.push_element(element);
            });
        }
        Ok(())
    }
}
