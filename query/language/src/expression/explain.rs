//! Looking into an expression: its operands, the fields it depends on, and the form `explain` prints.

use std::collections::BTreeSet;

use sheaf_document::{ArrayBuilder, DocumentBuilder, Value};

use super::conditional::Conditional;
use super::operator::Shape;
use super::{Expression, Node};

/// The fields of the document that an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Dotted paths.
    pub paths: BTreeSet<String>,
    /// The whole document is needed.
    pub whole_document: bool,
    /// What the plan knows about the document is needed (`$meta`).
    pub metadata: bool,
    /// The value may differ between two evaluations over the same document.
    pub volatile: bool,
}

impl Expression {
    /// The fields of the document that the value depends on.
    pub fn dependencies(&self) -> Dependencies {
        let mut found = Dependencies::default();
        self.collect_dependencies(&mut found);
        found
    }

    fn collect_dependencies(&self, found: &mut Dependencies) {
        match &self.0 {
            Node::Field(path) => {
                found.paths.insert(path.to_string());
            }
            Node::Root => found.whole_document = true,
            Node::Meta(_) => found.metadata = true,
            Node::Random => found.volatile = true,
            node => node.for_each_child(&mut |_, child| child.collect_dependencies(found)),
        }
    }

    /// The expression as a value again: constants as `$const`, variables by the position they are bound at.
    pub fn to_value(&self) -> Value<'static> {
        match &self.0 {
            Node::Absent => Value::Missing,
            Node::Constant(value) => {
                let mut builder = DocumentBuilder::new();
                match value {
                    Value::Missing => return Value::from("$$REMOVE".to_owned()),
                    value => builder.append_value("$const", value),
                };
                Value::from(builder.build())
            }
            Node::Array(items) => Value::array(items.iter().map(Self::to_value).collect()),
            Node::Object(fields) => {
                let mut builder = DocumentBuilder::new();
                for (name, field) in fields {
                    builder.append_value(name, &field.to_value());
                }
                Value::from(builder.build())
            }
            node => match node.leaf_text() {
                Some(text) => Value::from(text),
                None => self.operator_value(),
            },
        }
    }

    fn operator_value(&self) -> Value<'static> {
        let mut named = DocumentBuilder::new();
        let mut listed = ArrayBuilder::new();
        self.0.for_each_child(&mut |name, child| {
            let value = child.to_value();
            if name.is_empty() {
                listed.push_value(&value);
            } else {
                named.append_value(name, &value);
            }
        });
        let mut outer = DocumentBuilder::new();
        if listed.count() > 0 || named.is_empty() {
            outer.append_value(
                self.0.operator_name(),
                &Value::Array(sheaf_document::ArrayValue::Owned(listed.build())),
            );
        } else {
            outer.append(self.0.operator_name(), named.build());
        }
        Value::from(outer.build())
    }
}

impl Node {
    /// The written form of what has no operands.
    fn leaf_text(&self) -> Option<String> {
        let with_path = |name: String, path: &Option<super::FieldPath>| match path {
            None => name,
            Some(path) => format!("{name}.{path}"),
        };
        Some(match self {
            Self::ClusterTime => "$$CLUSTER_TIME".to_owned(),
            Self::Field(path) => format!("${path}"),
            Self::Now => "$$NOW".to_owned(),
            Self::Root => "$$ROOT".to_owned(),
            Self::Slot(slot, path) => with_path(format!("$$slot{slot}"), path),
            Self::UserRoles(path) => with_path("$$USER_ROLES".to_owned(), path),
            Self::Variable(id, path) => with_path(format!("$$variable{}", id.0), path),
            _ => return None,
        })
    }

    /// The operator's name; nothing for what is none.
    fn operator_name(&self) -> &'static str {
        match self {
            Self::Call(call) => call.operator.name,
            Self::Conditional(conditional) => match **conditional {
                Conditional::Cond { .. } => "$cond",
                Conditional::IfNull { .. } => "$ifNull",
                Conditional::Switch { .. } => "$switch",
            },
            Self::Convert(convert) => convert.name(),
            Self::FieldAccess(access) => access.name(),
            Self::Iteration(iteration) => iteration.name(),
            Self::Let(_) => "$let",
            Self::Logical(logical) => logical.name(),
            Self::Meta(_) => "$meta",
            Self::Random => "$rand",
            Self::RegexSearch(search) => search.name(),
            Self::SortArray(_) => "$sortArray",
            Self::Zip(_) => "$zip",
            _ => "",
        }
    }

    /// Visits the operands in the order they are written, each with its name where it has one.
    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| visit("", item)),
            Self::Call(call) => match &call.operator.shape {
                Shape::Named { fields, .. } => {
                    let named = fields.fields.iter().zip(&call.arguments);
                    named.for_each(|((name, _), argument)| visit(name, argument));
                }
                _ => call.arguments.iter().for_each(|argument| visit("", argument)),
            },
            Self::Conditional(conditional) => visit_conditional(conditional, visit),
            Self::Convert(convert) => convert.for_each_child(visit),
            Self::FieldAccess(access) => access.for_each_child(visit),
            Self::Iteration(iteration) => iteration.for_each_child(visit),
            Self::Let(binding) => {
                binding.variables.iter().for_each(|(name, variable)| visit(name, variable));
                visit("in", &binding.body);
            }
            Self::Logical(logical) => logical.operands.iter().for_each(|operand| visit("", operand)),
            Self::Object(fields) => fields.iter().for_each(|(name, field)| visit(name, field)),
            Self::RegexSearch(search) => search.for_each_child(visit),
            Self::SortArray(sort) => visit("input", &sort.input),
            Self::Zip(zip) => zip.for_each_child(visit),
            Self::Absent
            | Self::ClusterTime
            | Self::Constant(_)
            | Self::Field(_)
            | Self::Meta(_)
            | Self::Now
            | Self::Random
            | Self::Root
            | Self::Slot(..)
            | Self::UserRoles(_)
            | Self::Variable(..) => {}
        }
    }
}

fn visit_conditional<'n>(conditional: &'n Conditional, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
    match conditional {
        Conditional::Cond { condition, then, otherwise } => {
            visit("if", condition);
            visit("then", then);
            visit("else", otherwise);
        }
        Conditional::IfNull { operands } => operands.iter().for_each(|operand| visit("", operand)),
        Conditional::Switch { branches, default } => {
            for (case, then) in branches {
                visit("", case);
                visit("", then);
            }
            if let Some(default) = default {
                visit("", default);
            }
        }
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_value())
    }
}
