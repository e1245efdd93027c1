//! The table of operators: how each is written and what it does to its evaluated arguments.

use std::collections::HashMap;
use std::sync::LazyLock;

use sheaf_document::{Value, ValueRef};
use smallvec::SmallVec;

use super::environment::Environment;
use super::scope::Scope;
use super::{Expression, Frame, Node};
use crate::{Error, ErrorCode, Result};

/// What an operator with evaluated arguments computes.
pub(crate) type Evaluate = for<'a> fn(&mut Arguments<'a>, &mut Environment) -> Result<Value<'a>>;

/// One operator.
pub(crate) struct Operator {
    /// With its dollar sign.
    pub name: &'static str,
    /// How it is written and evaluated.
    pub shape: Shape,
}

/// How an operator is written.
pub(crate) enum Shape {
    /// `{$op: [a, b]}`, or `{$op: a}` for a single argument that is no array literal.
    List {
        /// Fewest arguments.
        min: usize,
        /// Most arguments.
        max: usize,
        /// The function.
        evaluate: Evaluate,
    },
    /// `{$op: {name: a, other: b}}`.
    Named {
        /// The names and the errors.
        fields: &'static NamedFields,
        /// The function.
        evaluate: Evaluate,
    },
    /// Parsed by a function of its own: evaluates lazily, or takes something besides expressions.
    Special(fn(ValueRef<'_>, &mut Scope) -> Result<Node>),
    /// As `Special`, and never folded even if all it is given is constant.
    Volatile(fn(ValueRef<'_>, &mut Scope) -> Result<Node>),
}

/// The named arguments of an operator, and the codes of what can be wrong with them.
pub(crate) struct NamedFields {
    /// The argument is no document.
    pub not_document: i32,
    /// A name that is none of `fields`.
    pub unknown: i32,
    /// In the order the function sees them.
    pub fields: &'static [NamedField],
}

/// A named argument: its name, and the code if it is required but absent.
pub(crate) type NamedField = (&'static str, Option<i32>);

impl Operator {
    /// An operator with exactly `count` arguments.
    pub(crate) const fn fixed(name: &'static str, count: usize, evaluate: Evaluate) -> Self {
        Self { name, shape: Shape::List { min: count, max: count, evaluate } }
    }

    /// An operator with `min` to `max` arguments.
    pub(crate) const fn ranged(name: &'static str, min: usize, max: usize, evaluate: Evaluate) -> Self {
        Self { name, shape: Shape::List { min, max, evaluate } }
    }

    /// An operator with any number of arguments.
    pub(crate) const fn variadic(name: &'static str, evaluate: Evaluate) -> Self {
        Self::ranged(name, 0, usize::MAX, evaluate)
    }

    /// An operator with named arguments.
    pub(crate) const fn named(name: &'static str, fields: &'static NamedFields, evaluate: Evaluate) -> Self {
        Self { name, shape: Shape::Named { fields, evaluate } }
    }

    /// An operator with a parser of its own.
    pub(crate) const fn special(
        name: &'static str,
        parse: fn(ValueRef<'_>, &mut Scope) -> Result<Node>,
    ) -> Self {
        Self { name, shape: Shape::Special(parse) }
    }

    /// An operator with a parser of its own whose value may differ from one evaluation to the next.
    pub(crate) const fn volatile(
        name: &'static str,
        parse: fn(ValueRef<'_>, &mut Scope) -> Result<Node>,
    ) -> Self {
        Self { name, shape: Shape::Volatile(parse) }
    }

    /// Parses what follows the operator's name.
    pub(crate) fn parse(&'static self, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
        let arguments = match &self.shape {
            Shape::List { min, max, .. } => {
                let arguments = parse_list(value, scope)?;
                check_arity(self.name, arguments.len(), *min, *max)?;
                arguments
            }
            Shape::Named { fields, .. } => parse_named(self.name, fields, value, scope)?,
            Shape::Special(parse) | Shape::Volatile(parse) => return parse(value, scope),
        };
        Ok(Node::Call(Call { operator: self, arguments: arguments.into_boxed_slice() }))
    }
}

/// The operator of this name.
pub(crate) fn find(name: &str) -> Option<&'static Operator> {
    static TABLE: LazyLock<HashMap<&'static str, &'static Operator>> = LazyLock::new(|| {
        super::FAMILIES
            .iter()
            .chain(super::date::OPERATORS)
            .flat_map(|family| family.iter())
            .map(|entry| (entry.name, entry))
            .collect()
    });
    TABLE.get(name).copied()
}

/// Whether there is an operator of this name.
pub(crate) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// The operands of a list-shaped operator.
pub(crate) fn parse_list(value: ValueRef<'_>, scope: &mut Scope) -> Result<Vec<Expression>> {
    match value {
        ValueRef::Array(array) => array.iter().map(|item| Expression::parse(item, scope)).collect(),
        other => Ok(vec![Expression::parse(other, scope)?]),
    }
}

/// Refuses a wrong number of arguments.
pub(crate) fn check_arity(name: &str, count: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&count) {
        return Ok(());
    }
    if min == max {
        return Err(Error::location(
            16020,
            format!("{name} takes exactly {min} arguments, {count} were given"),
        ));
    }
    let message = format!("{name} takes at least {min} and at most {max} arguments, {count} were given");
    Err(Error::location(28667, message))
}

fn parse_named(
    name: &str,
    fields: &'static NamedFields,
    value: ValueRef<'_>,
    scope: &mut Scope,
) -> Result<Vec<Expression>> {
    let ValueRef::Document(document) = value else {
        let message = format!("{name} takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(fields.not_document, message));
    };
    let mut arguments: Vec<Expression> = fields.fields.iter().map(|_| Expression(Node::Absent)).collect();
    for element in document {
        let position = fields.fields.iter().position(|(field, _)| *field == element.key());
        let Some(slot) = position.and_then(|position| arguments.get_mut(position)) else {
            return Err(Error::location(
                fields.unknown,
                format!("{name} has no argument '{}'", element.key()),
            ));
        };
        *slot = Expression::parse(element.value(), scope)?;
    }
    for ((field, required), argument) in fields.fields.iter().zip(&arguments) {
        if let (Some(code), Node::Absent) = (required, &argument.0) {
            return Err(Error::location(*code, format!("{name} needs the argument '{field}'")));
        }
    }
    Ok(arguments)
}

/// An operator with its arguments.
#[derive(Clone)]
pub(crate) struct Call {
    pub operator: &'static Operator,
    pub arguments: Box<[Expression]>,
}

impl Call {
    pub(crate) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        let mut arguments = Arguments { expressions: &self.arguments, values: SmallVec::new() };
        for argument in &self.arguments {
            arguments.values.push(argument.run(frame)?);
        }
        match &self.operator.shape {
            Shape::List { evaluate, .. } | Shape::Named { evaluate, .. } => {
                evaluate(&mut arguments, frame.environment)
            }
            Shape::Special(_) | Shape::Volatile(_) => {
                let message = format!("{} has no function of evaluated arguments", self.operator.name);
                Err(Error::new(ErrorCode::INTERNAL, message))
            }
        }
    }
}

/// The evaluated arguments of one call.
pub(crate) struct Arguments<'a> {
    expressions: &'a [Expression],
    values: SmallVec<[Value<'a>; 3]>,
}

impl<'a> Arguments<'a> {
    /// How many there are; absent named arguments count.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Looks at an argument; missing where there is none.
    pub(crate) fn get(&self, index: usize) -> &Value<'a> {
        self.values.get(index).unwrap_or(&Value::Missing)
    }

    /// Takes an argument out.
    pub(crate) fn take(&mut self, index: usize) -> Value<'a> {
        self.values.get_mut(index).map_or(Value::Missing, |value| std::mem::replace(value, Value::Missing))
    }

    /// Whether a named argument was written at all.
    pub(crate) fn given(&self, index: usize) -> bool {
        self.expressions.get(index).is_some_and(|expression| !matches!(expression.0, Node::Absent))
    }

    /// Whether every argument is constant.
    pub(crate) fn all_constant(&self) -> bool {
        self.expressions.iter().all(|argument| matches!(argument.0, Node::Constant(_) | Node::Absent))
    }

    /// All of them.
    pub(crate) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// All of them, taken out.
    pub(crate) fn take_all(&mut self) -> SmallVec<[Value<'a>; 3]> {
        std::mem::take(&mut self.values)
    }

    /// Whether any argument is missing, null or undefined.
    pub(crate) fn any_nullish(&self) -> bool {
        self.values.iter().any(Value::is_nullish)
    }
}
