//! The operators of an update, arranged by path, so that a document is walked once.
//!
//! Two operators must not touch the same path, nor one the path above the other's: that is a conflict, found while
//! the tree is built. Children are kept in the order in which they are applied, which decides where new fields go.

use std::collections::BTreeMap;

use super::operator::Operator;
use super::path::Component;
use crate::{Error, ErrorCode, Result};

/// A place in the tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// Something is done to the value here.
    Leaf(Operator),
    /// Something is done further down.
    Branch(Branch),
}

/// What is done below a place.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    children: BTreeMap<Component, Node>,
}

impl Branch {
    /// The children in the order in which they are applied.
    pub fn children(&self) -> impl Iterator<Item = (&Component, &Node)> {
        self.children.iter()
    }

    /// Puts an operator at a path.
    pub fn insert(&mut self, path: &[Component], operator: Operator) -> Result<()> {
        self.insert_below(path, path, operator)
    }

    fn insert_below(&mut self, rest: &[Component], path: &[Component], operator: Operator) -> Result<()> {
        let Some((first, rest)) = rest.split_first() else { return Err(conflict(path)) };
        let over_elements =
            |component: &Component| matches!(component, Component::Every | Component::Filtered(_));
        if self.children.keys().any(|other| over_elements(other) != over_elements(first)) {
            return Err(conflict(path));
        }
        if rest.is_empty() {
            return match self.children.insert(first.clone(), Node::Leaf(operator)) {
                None => Ok(()),
                Some(_) => Err(conflict(path)),
            };
        }
        let child = self.children.entry(first.clone()).or_insert_with(|| Node::Branch(Branch::default()));
        match child {
            Node::Leaf(_) => Err(conflict(path)),
            Node::Branch(branch) => branch.insert_below(rest, path, operator),
        }
    }

    /// Takes the operator at a path out again.
    pub fn remove(&mut self, path: &[Component]) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.children.remove(first);
        } else if let Some(Node::Branch(branch)) = self.children.get_mut(first) {
            branch.remove(rest);
            if branch.children.is_empty() {
                self.children.remove(first);
            }
        }
    }

    /// Whether some operator below would create what is not there.
    pub fn creates(&self, is_insert: bool) -> bool {
        self.children.values().any(|node| match node {
            Node::Leaf(operator) => operator.creates(is_insert),
            Node::Branch(branch) => branch.creates(is_insert),
        })
    }
}

fn conflict(path: &[Component]) -> Error {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    let reason =
        format!("updating the path '{}' conflicts with another operator of this update", path.join("."));
    Error::new(ErrorCode::CONFLICTING_UPDATE_OPERATORS, reason)
}
