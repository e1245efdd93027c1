//! Expressions: what `$project`, `$group`, `$expr`, pipeline updates and their kind compute per document.
//!
//! An [`Expression`] is compiled once per query by [`Expression::parse`]: names are resolved to slots, operators
//! looked up, arities checked, and whatever depends on constants only is computed there and then. An error among
//! constants is an error of parsing, with the same code, even if no document is ever looked at.
//!
//! [`Expression::evaluate`] walks the tree over one raw document. Fields are found in the bytes and borrowed; only what
//! is computed is owned. What the outside world decides (the time, the randomness, the collation, outer variables) is
//! in the [`Environment`].
//!
//! Two kinds of operators: most take their arguments evaluated and are plain functions in the table of their family
//! ([`operator::Shape::List`] and [`operator::Shape::Named`]); those that evaluate lazily, bind variables or take
//! something besides expressions have a node of their own.
//!
//! Local variables live on a stack of slots. Parsing gives each binding the position at which evaluation will push it:
//! both follow the nesting of the text, so positions agree.

mod accumulate;
pub(crate) mod arithmetic;
mod array;
mod bitwise;
mod comparison;
mod conditional;
mod convert;
pub(crate) mod date;
mod environment;
mod explain;
mod field_path;
mod inspect;
mod iteration;
mod literal;
mod logical;
mod measure;
mod metadata;
pub(crate) mod number;
mod object;
mod operator;
mod parse;
mod power;
mod regex_search;
mod rounding;
mod scope;
mod set;
mod sort_array;
mod string;
mod text;
mod text_search;
mod trigonometry;
mod trim;
mod truth;
mod variable;
mod zip;

pub use environment::{Environment, Metadata, VALUE_BYTES_MAX};
pub use explain::Dependencies;
pub use field_path::FieldPath;
pub(crate) use field_path::check_field_name;
pub use measure::heap_bytes;
pub use metadata::MetadataSet;
pub(crate) use operator::exists as is_operator;
pub use scope::{Scope, VariableId, check_user_variable};
pub use truth::is_truthy;

use sheaf_document::{ArrayValue, DocumentBuilder, RawDocument, Value, ValueRef};

use crate::{Error, Result};
use measure::Budget;
use operator::{Call, Operator};

/// The operators, a table per family.
const FAMILIES: &[&[Operator]] = &[
    accumulate::OPERATORS,
    arithmetic::OPERATORS,
    array::OPERATORS,
    bitwise::OPERATORS,
    comparison::OPERATORS,
    conditional::OPERATORS,
    inspect::OPERATORS,
    convert::OPERATORS,
    iteration::OPERATORS,
    literal::OPERATORS,
    logical::OPERATORS,
    metadata::OPERATORS,
    object::OPERATORS,
    power::OPERATORS,
    rounding::OPERATORS,
    regex_search::OPERATORS,
    set::OPERATORS,
    sort_array::OPERATORS,
    string::OPERATORS,
    text_search::OPERATORS,
    trigonometry::OPERATORS,
    trim::OPERATORS,
    variable::OPERATORS,
    zip::OPERATORS,
];

/// Names and what they stand for, in the order they are written.
pub(crate) type NamedExpressions = Box<[(Box<str>, Expression)]>;

/// A compiled expression.
#[derive(Clone)]
pub struct Expression(pub(crate) Node);

/// What an expression is made of.
#[derive(Clone)]
pub(crate) enum Node {
    /// A named argument that was not written.
    Absent,
    /// `[a, b]`.
    Array(Box<[Expression]>),
    /// An operator of evaluated arguments.
    Call(Call),
    /// `$$CLUSTER_TIME`.
    ClusterTime,
    /// `$cond`, `$ifNull`, `$switch`.
    Conditional(Box<conditional::Conditional>),
    /// A literal, or what was folded into one. Arrays are in bytes form.
    Constant(Value<'static>),
    /// `$convert` and its short forms.
    Convert(Box<convert::Convert>),
    /// `$a.b`.
    Field(FieldPath),
    /// `$getField`, `$setField`, `$unsetField`.
    FieldAccess(Box<object::FieldAccess>),
    /// `$filter`, `$map`, `$reduce`.
    Iteration(Box<iteration::Iteration>),
    /// `$let`.
    Let(Box<variable::Let>),
    /// `$and`, `$or`.
    Logical(logical::Logical),
    /// `$meta`.
    Meta(metadata::MetaField),
    /// `$$NOW`.
    Now,
    /// `{a: b}`.
    Object(NamedExpressions),
    /// `$rand`.
    Random,
    /// `$regexFind`, `$regexFindAll`, `$regexMatch`.
    RegexSearch(Box<regex_search::RegexSearch>),
    /// `$$ROOT`.
    Root,
    /// A variable bound in the expression.
    Slot(usize, Option<FieldPath>),
    /// `$sortArray`.
    SortArray(Box<sort_array::SortArray>),
    /// `$$USER_ROLES`.
    UserRoles(Option<FieldPath>),
    /// A variable bound outside.
    Variable(VariableId, Option<FieldPath>),
    /// `$zip`.
    Zip(Box<zip::Zip>),
}

/// One evaluation: the document, the variables bound so far, the surroundings.
pub(crate) struct Frame<'a, 'e> {
    pub root: RawDocument<'a>,
    pub slots: Vec<Value<'a>>,
    pub environment: &'e mut Environment,
}

impl Expression {
    /// A constant.
    pub fn constant(value: Value<'static>) -> Self {
        Self(Node::Constant(value.to_bytes_form()))
    }

    /// A field of the document.
    pub fn field(path: FieldPath) -> Self {
        Self(Node::Field(path))
    }

    /// The whole document.
    pub fn root() -> Self {
        Self(Node::Root)
    }

    /// The value, if it depends on nothing.
    pub fn as_constant(&self) -> Option<&Value<'static>> {
        match &self.0 {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The path, if the expression is a field of the document.
    pub fn as_field(&self) -> Option<&FieldPath> {
        match &self.0 {
            Node::Field(path) => Some(path),
            _ => None,
        }
    }

    /// The value for one document.
    pub fn evaluate<'a>(&'a self, root: RawDocument<'a>, environment: &mut Environment) -> Result<Value<'a>> {
        match &self.0 {
            Node::Constant(value) => Ok(borrow(value)),
            Node::Field(path) => Ok(path.walk(root)),
            _ => self.run(&mut Frame { root, slots: Vec::new(), environment }),
        }
    }

    /// The value within an evaluation that is under way.
    pub(crate) fn run<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        match &self.0 {
            Node::Absent => Ok(Value::Missing),
            Node::Array(items) => evaluate_array(items, frame),
            Node::Call(call) => call.evaluate(frame),
            Node::ClusterTime => frame.environment.cluster_time.map(Value::Timestamp).ok_or_else(|| {
                Error::location(10_071_200, "$$CLUSTER_TIME is not known: there is no cluster clock")
            }),
            Node::Conditional(conditional) => conditional.evaluate(frame),
            Node::Constant(value) => Ok(borrow(value)),
            Node::Convert(convert) => convert.evaluate(frame),
            Node::Field(path) => Ok(path.walk(frame.root)),
            Node::FieldAccess(access) => access.evaluate(frame),
            Node::Iteration(iteration) => iteration.evaluate(frame),
            Node::Let(binding) => binding.evaluate(frame),
            Node::Logical(logical) => logical.evaluate(frame),
            Node::Meta(field) => Ok(field.read(&frame.environment.metadata)),
            Node::Now => Ok(Value::DateTime(frame.environment.now_millis)),
            Node::Object(fields) => evaluate_object(fields, frame),
            Node::Random => Ok(metadata::random(frame.environment)),
            Node::RegexSearch(search) => search.evaluate(frame),
            Node::Root => Ok(Value::from(frame.root)),
            Node::Slot(slot, path) => {
                Ok(at_path(frame.slots.get(*slot).unwrap_or(&Value::Missing), path.as_ref()))
            }
            Node::SortArray(sort) => sort.evaluate(frame),
            Node::UserRoles(path) => Ok(at_path(&frame.environment.user_roles, path.as_ref())),
            Node::Variable(id, path) => Ok(at_path(frame.environment.variable(*id), path.as_ref())),
            Node::Zip(zip) => zip.evaluate(frame),
        }
    }
}

/// A constant without copying its bytes.
fn borrow<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value.as_ref() {
        Some(value) => Value::from(value),
        None => value.clone(),
    }
}

fn at_path<'a>(value: &Value<'a>, path: Option<&FieldPath>) -> Value<'a> {
    match path {
        None => value.clone(),
        Some(path) => path.walk_value(value),
    }
}

fn evaluate_array<'a>(items: &'a [Expression], frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
    let mut budget = Budget::new(frame.environment);
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let value = match item.run(frame)? {
            Value::Missing => Value::Null,
            value => value,
        };
        budget.add(&value)?;
        values.push(value);
    }
    Ok(Value::Array(ArrayValue::Items(values)))
}

fn evaluate_object<'a>(fields: &'a [(Box<str>, Expression)], frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
    let mut budget = Budget::new(frame.environment);
    let mut builder = DocumentBuilder::new();
    for (name, field) in fields {
        let value = field.run(frame)?;
        budget.add(&value)?;
        builder.append_value(name, &value);
    }
    Ok(Value::from(builder.build()))
}

/// What `value` is as a constant of its own: a literal.
pub(crate) fn literal(value: ValueRef<'_>) -> Node {
    Node::Constant(Value::from(value).into_owned().to_bytes_form())
}
