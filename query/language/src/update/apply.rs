//! Walking a document with the tree of operators, once, writing the new document as it goes.
//!
//! What no operator touches is copied as bytes. A branch that leads to nothing creates the documents on its way, in
//! the tree's order, behind what is there. A branch that leads into an array picks elements: by number, by the
//! query's match, all of them, or those that an array filter accepts. Several branches may lead to the same element
//! only that way (`$[]` beside `$[name]`), so conflicts among those are found here and not in the tree.

use std::collections::BTreeMap;

use sheaf_document::{ArrayBuilder, BsonType, DocumentBuilder, RawArray, RawDocument, Value, ValueRef};

use super::operator::Operator;
use super::path::{Component, FieldName};
use super::tree::{Branch, Node};
use super::{ArrayFilters, array, number, scalar};
use crate::expression::Environment;
use crate::{Error, ErrorCode, Result};

/// How far beyond its end an array may be filled with nulls by one operator.
const BACKFILL_MAX: usize = 1_500_000;

/// What becomes of a value.
#[derive(Clone, Debug)]
pub enum Change {
    /// It stays, or stays away.
    Keep,
    /// It becomes this.
    Set(Value<'static>),
    /// It goes away; in an array it becomes null.
    Remove,
}

impl Change {
    /// Becomes `value`, which is no change if the very same bytes are there.
    pub fn to(current: Option<ValueRef<'_>>, value: Value<'static>) -> Self {
        let same = match (current, value.as_ref()) {
            (Some(now), Some(new)) if now.kind() == new.kind() => {
                let (mut left, mut right) = (Vec::new(), Vec::new());
                now.write_to(&mut left);
                new.write_to(&mut right);
                left == right
            }
            _ => false,
        };
        if same { Self::Keep } else { Self::Set(value) }
    }
}

/// One application of an update to one document.
pub struct Run<'r, 't> {
    /// The document as it was, for `$rename`.
    pub before: RawDocument<'r>,
    /// The position that the query matched in an array.
    pub matched_index: Option<usize>,
    /// Whether the document is being made by an upsert.
    pub is_insert: bool,
    /// The array filters of the update.
    pub filters: &'t ArrayFilters,
    /// The surroundings.
    pub environment: &'r mut Environment,
    /// The way down to where we are, for messages.
    pub path: Vec<String>,
}

/// The children of one place, from however many branches lead there.
type Children<'t> = BTreeMap<FieldName, Vec<&'t Node>>;

impl<'t> Run<'_, 't> {
    /// The document after the update; nothing if it stays as it is.
    pub fn document(&mut self, root: &'t Branch) -> Result<Option<Value<'static>>> {
        let before = self.before;
        match self.branches(&[root], Some(ValueRef::Document(before)))? {
            Change::Set(value) => Ok(Some(value)),
            Change::Keep | Change::Remove => Ok(None),
        }
    }

    fn nodes(&mut self, nodes: &[&'t Node], current: Option<ValueRef<'_>>) -> Result<Change> {
        let mut branches = Vec::new();
        for node in nodes {
            match node {
                Node::Leaf(operator) if nodes.len() == 1 => return self.operator(operator, current),
                Node::Leaf(_) => return Err(self.conflict()),
                Node::Branch(branch) => branches.push(branch),
            }
        }
        self.branches(&branches, current)
    }

    fn branches(&mut self, branches: &[&'t Branch], current: Option<ValueRef<'_>>) -> Result<Change> {
        match current {
            Some(ValueRef::Document(document)) => {
                self.require_elements(branches, Some(BsonType::Document))?;
                let children = self.children(branches)?;
                self.walk_document(children, document)
            }
            Some(ValueRef::Array(array)) => self.walk_array(branches, array),
            Some(other) => {
                self.require_elements(branches, Some(other.kind()))?;
                self.children(branches)?;
                if branches.iter().any(|branch| branch.creates(self.is_insert)) {
                    let kind = other.kind().name();
                    return Err(
                        self.not_viable(&format!("it has a value of type {kind}, which has no fields"))
                    );
                }
                Ok(Change::Keep)
            }
            None => {
                self.require_elements(branches, None)?;
                let children = self.children(branches)?;
                self.walk_document(children, RawDocument::EMPTY)
            }
        }
    }

    /// The children by field, `$` being the element that the query matched.
    fn children(&self, branches: &[&'t Branch]) -> Result<Children<'t>> {
        let mut children = Children::new();
        for branch in branches {
            for (component, node) in branch.children() {
                let name = match component {
                    Component::Field(name) => name.clone(),
                    Component::Matched => FieldName::index(self.matched()?),
                    Component::Every | Component::Filtered(_) => continue,
                };
                children.entry(name).or_default().push(node);
            }
        }
        Ok(children)
    }

    fn matched(&self) -> Result<usize> {
        self.matched_index.ok_or_else(|| {
            let reason = format!(
                "the query of this update matched no array element for the '$' in '{}.$'",
                self.path.join(".")
            );
            Error::new(ErrorCode::BAD_VALUE, reason)
        })
    }

    /// `$[]` and `$[name]` want an array.
    fn require_elements(&self, branches: &[&'t Branch], kind: Option<BsonType>) -> Result<()> {
        let over = |component: &Component| matches!(component, Component::Every | Component::Filtered(_));
        if !branches.iter().any(|branch| branch.children().any(|(component, _)| over(component))) {
            return Ok(());
        }
        let path = self.path.join(".");
        Err(Error::new(
            ErrorCode::BAD_VALUE,
            match kind {
                None => {
                    format!("the path '{path}' must exist in the document to update elements of its array")
                }
                Some(kind) => format!("the path '{path}' has a value of type {}, not an array", kind.name()),
            },
        ))
    }

    fn walk_document(&mut self, mut children: Children<'t>, document: RawDocument<'_>) -> Result<Change> {
        let mut builder = DocumentBuilder::with_capacity(document.len_bytes() + 64);
        let mut changed = false;
        for element in document {
            let Some(nodes) = children.remove(&FieldName::new(element.key())) else {
                builder.append_element(element);
                continue;
            };
            match self.descend(element.key(), &nodes, Some(element.value()))? {
                Change::Keep => {
                    builder.append_element(element);
                }
                Change::Set(value) => {
                    changed = true;
                    builder.append_value(element.key(), &value);
                }
                Change::Remove => changed = true,
            }
        }
        for (name, nodes) in children {
            if let Change::Set(value) = self.descend(name.as_str(), &nodes, None)? {
                changed = true;
                builder.append_value(name.as_str(), &value);
            }
        }
        Ok(if changed { Change::Set(Value::from(builder.build())) } else { Change::Keep })
    }

    fn descend(&mut self, name: &str, nodes: &[&'t Node], current: Option<ValueRef<'_>>) -> Result<Change> {
        self.path.push(name.to_owned());
        let change = self.nodes(nodes, current);
        self.path.pop();
        change
    }

    fn walk_array(&mut self, branches: &[&'t Branch], array: RawArray<'_>) -> Result<Change> {
        let mut named: BTreeMap<usize, Vec<&'t Node>> = BTreeMap::new();
        for (name, nodes) in self.children(branches)? {
            if let Some(index) = name.as_index() {
                named.entry(index).or_default().extend(nodes);
            } else if nodes.iter().any(|node| self.creates(node)) {
                let reason = format!("'{}' is no position in the array there", name.as_str());
                return Err(self.not_viable(&reason));
            }
        }
        let mut builder = ArrayBuilder::new();
        let mut changed = false;
        let mut index = 0;
        for item in array.iter() {
            let mut nodes = named.remove(&index).unwrap_or_default();
            nodes.extend(self.chosen(branches, item)?);
            let change = if nodes.is_empty() {
                Change::Keep
            } else {
                self.descend(&index.to_string(), &nodes, Some(item))?
            };
            changed |= !matches!(change, Change::Keep);
            match change {
                Change::Keep => builder.push_ref(item),
                Change::Set(value) => builder.push_value(&value),
                Change::Remove => builder.push_ref(ValueRef::Null),
            };
            index += 1;
        }
        changed |= self.beyond(named, index, &mut builder)?;
        let value = Value::Array(sheaf_document::ArrayValue::Owned(builder.build()));
        Ok(if changed { Change::Set(value) } else { Change::Keep })
    }

    /// Elements behind the end of the array; what lies between becomes null.
    fn beyond(
        &mut self,
        named: BTreeMap<usize, Vec<&'t Node>>,
        mut len: usize,
        builder: &mut ArrayBuilder,
    ) -> Result<bool> {
        let mut changed = false;
        for (index, nodes) in named {
            let Change::Set(value) = self.descend(&index.to_string(), &nodes, None)? else { continue };
            if index.saturating_sub(len) > BACKFILL_MAX {
                let reason =
                    format!("position {index} is more than {BACKFILL_MAX} behind the end of the array");
                return Err(Error::new(ErrorCode::BAD_VALUE, reason));
            }
            for _ in len..index {
                builder.push_ref(ValueRef::Null);
            }
            builder.push_value(&value);
            len = index + 1;
            changed = true;
        }
        Ok(changed)
    }

    /// What `$[]` and the array filters choose for this element.
    fn chosen(&mut self, branches: &[&'t Branch], item: ValueRef<'_>) -> Result<Vec<&'t Node>> {
        let mut chosen = Vec::new();
        for branch in branches {
            for (component, node) in branch.children() {
                let takes = match component {
                    Component::Every => true,
                    Component::Filtered(name) => self.filters.accept(name, item, self.environment)?,
                    Component::Field(_) | Component::Matched => false,
                };
                if takes {
                    chosen.push(node);
                }
            }
        }
        Ok(chosen)
    }

    fn creates(&self, node: &Node) -> bool {
        match node {
            Node::Leaf(operator) => operator.creates(self.is_insert),
            Node::Branch(branch) => branch.creates(self.is_insert),
        }
    }

    fn operator(&mut self, operator: &'t Operator, current: Option<ValueRef<'_>>) -> Result<Change> {
        use std::cmp::Ordering::{Greater, Less};
        match operator {
            Operator::AddToSet(values) => values.apply(current, self.environment),
            Operator::Bit(operations) => number::bit(current, operations),
            Operator::CurrentDate { timestamp } => Ok(scalar::current_date(*timestamp, self.environment)),
            Operator::Increment(operand) => number::Arithmetic::Add.apply(current, operand),
            Operator::Max(value) => Ok(scalar::extreme(current, value, Greater, self.environment)),
            Operator::Min(value) => Ok(scalar::extreme(current, value, Less, self.environment)),
            Operator::Multiply(operand) => number::Arithmetic::Multiply.apply(current, operand),
            Operator::Pop { first } => array::pop(current, *first),
            Operator::Pull(pull) => pull.apply(current, self.environment),
            Operator::PullAll(values) => array::pull_all(current, values, self.environment),
            Operator::Push(push) => push.apply(current, self.environment),
            Operator::RenameFrom { source } => super::rename::take(self.before, source, current),
            Operator::Set(value) => Ok(scalar::set(current, value)),
            Operator::SetOnInsert(value) if self.is_insert => Ok(scalar::set(current, value)),
            Operator::SetOnInsert(_) => Ok(Change::Keep),
            Operator::RenameTo | Operator::Unset if current.is_none() => Ok(Change::Keep),
            Operator::RenameTo | Operator::Unset => Ok(Change::Remove),
        }
        .map_err(|error| self.located(error))
    }

    /// An operator's complaint, with the path it was working on.
    fn located(&self, error: Error) -> Error {
        Error::new(error.code, format!("{} (at '{}')", error.message, self.path.join(".")))
    }

    fn not_viable(&self, reason: &str) -> Error {
        let path = self.path.join(".");
        Error::new(ErrorCode::PATH_NOT_VIABLE, format!("cannot create a field below '{path}': {reason}"))
    }

    fn conflict(&self) -> Error {
        let path = self.path.join(".");
        let reason = format!("updating the path '{path}' conflicts with another operator of this update");
        Error::new(ErrorCode::CONFLICTING_UPDATE_OPERATORS, reason)
    }
}
