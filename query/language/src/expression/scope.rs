//! Names while an expression is parsed: which variable is which, and what holds for the whole query.

use std::sync::Arc;

use sheaf_document::{Collate, Value};

use super::Node;
use super::environment::Environment;
use super::metadata::MetadataSet;
use crate::{Error, ErrorCode, Result};

/// A variable that whoever runs the query gives its value (see [`Environment::set_variable`]), such as those of
/// `$lookup`'s `let`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub usize);

/// What a name stands for.
#[derive(Clone, Debug)]
enum Binding {
    /// Bound inside the expression; position on the evaluation's stack of slots.
    Slot(usize),
    /// Bound outside the expression.
    Variable(VariableId),
    /// Known while parsing.
    Constant(Value<'static>),
}

/// The names in force where an expression stands. One scope serves all expressions of a query, so that variable
/// ids stay unique; what an expression binds inside itself it unbinds again.
#[derive(Clone, Debug)]
pub struct Scope {
    bindings: Vec<(Box<str>, Binding)>,
    slots: usize,
    variables: usize,
    /// Whether `$$NOW` and its kind are refused.
    without_runtime_constants: bool,
    /// How many expressions around this one are being parsed.
    pub(super) depth: usize,
    /// The first error among constants. It counts once the whole expression has been read: what is written wrongly
    /// comes before what cannot be computed.
    pub(super) deferred: Option<Error>,
    /// The metadata that was asked for by `$meta` since somebody last took this out.
    pub metadata: MetadataSet,
    /// What constants are folded in.
    pub(super) folding: Environment,
}

impl Default for Scope {
    fn default() -> Self {
        Self::new()
    }
}

impl Scope {
    /// A scope with the system's variables only and binary string order.
    pub fn new() -> Self {
        Self {
            bindings: Vec::new(),
            slots: 0,
            variables: 0,
            without_runtime_constants: false,
            depth: 0,
            deferred: None,
            metadata: MetadataSet::default(),
            folding: Environment::new(0, 0),
        }
    }

    /// Refuses `$$NOW`, `$$CLUSTER_TIME` and `$$USER_ROLES`, where a command does not provide them.
    pub fn forbid_runtime_constants(&mut self) {
        self.without_runtime_constants = true;
    }

    /// How strings compare in this query; `None` is binary order.
    pub fn set_collator(&mut self, collator: Option<Arc<dyn Collate>>) {
        self.folding.collator = collator;
    }

    /// How strings compare in this query.
    pub fn collator(&self) -> Option<&Arc<dyn Collate>> {
        self.folding.collator.as_ref()
    }

    /// Defines a name whose value is known now (a command's `let`; `$$KEEP` and its kind inside `$redact`).
    /// The name is not checked: see [`check_user_variable`].
    pub fn define_constant(&mut self, name: &str, value: Value<'static>) {
        self.bindings.push((Box::from(name), Binding::Constant(value.to_bytes_form())));
    }

    /// Defines a name whose value the runner of the query sets per document of an outer pipeline.
    pub fn define_variable(&mut self, name: &str) -> VariableId {
        let id = VariableId(self.variables);
        self.variables += 1;
        self.bindings.push((Box::from(name), Binding::Variable(id)));
        id
    }

    /// How many names are defined; for [`Scope::forget`].
    pub fn mark(&self) -> usize {
        self.bindings.len()
    }

    /// Takes back every definition since `mark`. Variable ids are not reused.
    pub fn forget(&mut self, mark: usize) {
        while self.bindings.len() > mark {
            if let Some((_, Binding::Slot(_))) = self.bindings.pop() {
                self.slots -= 1;
            }
        }
    }

    /// Binds a name to the next slot of the evaluation's stack.
    pub(super) fn bind(&mut self, name: &str) {
        self.bindings.push((Box::from(name), Binding::Slot(self.slots)));
        self.slots += 1;
    }

    /// What a name stands for; `None` for the current document.
    pub(super) fn resolve(&self, name: &str) -> Result<Option<Node>> {
        if let Some((_, binding)) = self.bindings.iter().rev().find(|(known, _)| **known == *name) {
            return Ok(Some(match binding {
                Binding::Slot(slot) => Node::Slot(*slot, None),
                Binding::Variable(id) => Node::Variable(*id, None),
                Binding::Constant(value) => Node::Constant(value.clone()),
            }));
        }
        Ok(Some(match name {
            "ROOT" | "CURRENT" => return Ok(None),
            "REMOVE" => Node::Constant(Value::Missing),
            "NOW" | "CLUSTER_TIME" | "USER_ROLES" if self.without_runtime_constants => {
                return Err(Error::location(51144, format!("the variable '{name}' is not available here")));
            }
            "NOW" => Node::Now,
            "CLUSTER_TIME" => Node::ClusterTime,
            "USER_ROLES" => Node::UserRoles(None),
            _ => {
                check_readable_variable(name)?;
                return Err(Error::location(17276, format!("use of the undefined variable '{name}'")));
            }
        }))
    }

    /// Whether `$field` means a field of something other than the document.
    pub(super) fn current_is_bound(&self) -> bool {
        self.bindings.iter().any(|(name, _)| **name == *"CURRENT")
    }
}

fn check_rest(name: &str) -> Result<()> {
    let bad = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()));
    match bad {
        None => Ok(()),
        Some(bad) => {
            let message = format!("the variable name '{name}' contains {bad:?}, which it must not");
            Err(Error::new(ErrorCode::FAILED_TO_PARSE, message))
        }
    }
}

/// Checks a name that an expression reads with `$$`: system names may start with a capital letter.
fn check_readable_variable(name: &str) -> Result<()> {
    let Some(first) = name.chars().next() else {
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "a variable name must not be empty"));
    };
    if first.is_ascii() && !first.is_ascii_alphabetic() {
        let message = format!("the variable name '{name}' must start with a letter");
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, message));
    }
    check_rest(name)
}

/// Checks a name that a query defines (`$let`, `$map`'s `as`, `$lookup`'s `let`): it starts with a lower-case letter
/// or a character outside ASCII and goes on with letters, digits, underscores. `CURRENT` may be redefined.
pub fn check_user_variable(name: &str) -> Result<()> {
    let Some(first) = name.chars().next() else {
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "a variable name must not be empty"));
    };
    if name == "CURRENT" {
        return Ok(());
    }
    if first.is_ascii() && !first.is_ascii_lowercase() {
        let message = format!("the variable name '{name}' must start with a lower-case letter");
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, message));
    }
    check_rest(name)
}
