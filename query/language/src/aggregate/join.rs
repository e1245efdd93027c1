//! `$lookup`, `$graphLookup`, `$unionWith`: what they join, and how their matches are asked for and attached.

use sheaf_document::{ArrayValue, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::parse::document_argument;
use super::put_field::{Path, parse_path, put_field};
use super::{Pipeline, PipelineContext, Place};
use crate::expression::{Environment, Expression, FieldPath, Scope, VariableId, check_user_variable};
use crate::filter::Filter;
use crate::filter::path::{FieldPath as LocalPath, LeafArray, walk};
use crate::numeric::{as_f64, as_whole};
use crate::{Error, ErrorCode, Result};

/// Variables of an inner pipeline, each computed from a document outside.
pub type Variables = Vec<(VariableId, Expression)>;

/// Each document with an array of its matches in another collection.
#[derive(Clone)]
pub struct Lookup {
    /// The other collection; nothing if the pipeline makes its own documents.
    pub from: Option<String>,
    /// Local and foreign path that must be equal.
    pub equality: Option<(LocalPath, String)>,
    /// Variables for the pipeline, computed from the local document.
    pub variables: Variables,
    /// What is done to the matches.
    pub pipeline: Option<Pipeline>,
    as_path: Path,
}

/// Each document with what can be reached from it by following values.
#[derive(Clone)]
pub struct GraphLookup {
    /// The collection that is searched.
    pub from: String,
    /// Where the search starts.
    pub start_with: Expression,
    /// The path that is followed from a document that was found.
    pub connect_from: FieldPath,
    /// The path that leads to a document.
    pub connect_to: String,
    /// How many steps beyond the first.
    pub depth_max: Option<u64>,
    /// Documents must fulfil this too.
    pub restriction: Option<Filter>,
    depth_field: Option<Path>,
    as_path: Path,
}

/// The documents of another collection behind the input.
#[derive(Clone)]
pub struct UnionWith {
    /// The other collection; nothing if the pipeline makes its own documents.
    pub from: Option<String>,
    /// What is done to its documents.
    pub pipeline: Pipeline,
}

impl Lookup {
    /// The filter for the documents that match a local one by the equality: every local value (the elements, of an
    /// array) is a candidate, and what is missing counts as null.
    pub fn equality_filter(&self, document: RawDocument<'_>) -> Option<RawDocumentBuf> {
        let (local, foreign) = self.equality.as_ref()?;
        Some(any_equal(foreign, local_values(document, local)))
    }

    /// The local values that the equality asks for; none if there is no equality.
    pub fn local_values<'a>(&self, document: RawDocument<'a>) -> Option<Vec<Value<'a>>> {
        self.equality.as_ref().map(|(local, _)| local_values(document, local))
    }

    /// Gives the pipeline's variables their values for a local document.
    pub fn bind(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<()> {
        for (id, expression) in &self.variables {
            let value = expression.evaluate(document, environment)?.to_bytes_form().into_owned();
            environment.set_variable(*id, value);
        }
        Ok(())
    }

    /// The local document with its matches.
    pub fn attach(&self, document: RawDocument<'_>, matches: RawDocumentBuf) -> RawDocumentBuf {
        put_field(document, &self.as_path, Some(&Value::Array(ArrayValue::Owned(matches))))
    }

    /// Where the matches go, dotted.
    pub fn as_path(&self) -> String {
        self.as_path.join(".")
    }
}

impl GraphLookup {
    /// The filter for the documents that these values lead to.
    pub fn step_filter(&self, frontier: Vec<Value<'_>>) -> RawDocumentBuf {
        any_equal(&self.connect_to, frontier)
    }

    /// The values to follow from a document that was found; what is missing leads nowhere.
    pub fn next_values<'a>(&self, document: RawDocument<'a>) -> Vec<Value<'a>> {
        match self.connect_from.walk(document) {
            Value::Missing => Vec::new(),
            Value::Array(array) => array.into_items(),
            value => vec![value],
        }
    }

    /// A found document as it is shown: with its depth, if that was asked for.
    pub fn found(&self, document: RawDocument<'_>, depth: i64) -> RawDocumentBuf {
        match &self.depth_field {
            Some(path) => put_field(document, path, Some(&Value::Int64(depth))),
            None => document.to_buf(),
        }
    }

    /// The document with what was reached from it.
    pub fn attach(&self, document: RawDocument<'_>, found: RawDocumentBuf) -> RawDocumentBuf {
        put_field(document, &self.as_path, Some(&Value::Array(ArrayValue::Owned(found))))
    }
}

/// Every value that the local path leads to, arrays by their elements. What is missing, and an array without
/// elements, counts as null.
fn local_values<'a>(document: RawDocument<'a>, path: &LocalPath) -> Vec<Value<'a>> {
    let mut values = Vec::new();
    let collected = walk(document, path.components(), LeafArray::Whole, &mut |value, _| {
        match value {
            Some(ValueRef::Array(array)) => values.extend(array.iter().map(Value::from)),
            Some(value) => values.push(Value::from(value)),
            None => {}
        }
        Ok(false)
    });
    // The visitor neither stops nor fails.
    debug_assert!(matches!(collected, Ok(false)));
    if values.is_empty() { vec![Value::Null] } else { values }
}

/// `{$or: [{path: {$eq: v}}, ...]}`, which means a regular expression as the value it is; false of no values.
fn any_equal(path: &str, values: Vec<Value<'_>>) -> RawDocumentBuf {
    let mut filter = DocumentBuilder::new();
    let plain = values.iter().all(|value| !matches!(value, Value::Regex { .. }));
    if plain {
        filter.document(path, |operators| {
            operators.array("$in", |list| {
                for value in &values {
                    list.push_value(value);
                }
            });
        });
    } else {
        filter.array("$or", |list| {
            for value in &values {
                list.document(|clause| {
                    clause.document(path, |operators| {
                        operators.append_value("$eq", value);
                    });
                });
            }
        });
    }
    filter.build()
}

fn collection_name(stage: &str, value: ValueRef<'_>, wrong_type: ErrorCode) -> Result<String> {
    match value {
        ValueRef::String(name) if name.is_empty() || name.starts_with('.') || name.contains('\0') => {
            Err(Error::new(ErrorCode::INVALID_NAMESPACE, format!("'{name}' is not the name of a collection")))
        }
        ValueRef::String(name) => Ok(name.to_owned()),
        ValueRef::Document(document) => {
            for element in document {
                let (key, value) = (element.key(), element.value());
                if !matches!(key, "db" | "coll") {
                    let reason = format!("the 'from' of {stage} has no field '{key}'");
                    return Err(Error::location(40_415, reason));
                }
                if value.as_str().is_none() && !value.is_nullish() {
                    let kind = value.kind().name();
                    let reason = format!("the '{key}' of {stage}'s 'from' is a string, not of type {kind}");
                    return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
                }
            }
            let reason = format!("the 'from' of {stage} is a name: the collection is of this database");
            Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason))
        }
        other => {
            let reason =
                format!("the 'from' of {stage} is a string, not a value of type {}", other.kind().name());
            Err(Error::new(wrong_type, reason))
        }
    }
}

fn text<'a>(stage: &str, name: &str, value: ValueRef<'a>) -> Result<&'a str> {
    value.as_str().ok_or_else(|| {
        let reason =
            format!("the '{name}' of {stage} is a string, not a value of type {}", value.kind().name());
        Error::new(ErrorCode::FAILED_TO_PARSE, reason)
    })
}

fn stages<'a>(stage: &str, value: ValueRef<'a>) -> Result<Vec<ValueRef<'a>>> {
    match value {
        ValueRef::Array(array) => Ok(array.iter().collect()),
        other => {
            let reason =
                format!("the 'pipeline' of {stage} is an array, not a value of type {}", other.kind().name());
            Err(Error::new(ErrorCode::TYPE_MISMATCH, reason))
        }
    }
}

/// Reads a pipeline inside another, with variables of its own.
fn inner_pipeline(value: ValueRef<'_>, stage: &str, context: &mut PipelineContext<'_>) -> Result<Pipeline> {
    let place = match (stage, context.place.is_in_facet()) {
        ("$unionWith", false) => Place::Union,
        ("$unionWith", true) => Place::UnionInFacet,
        (_, false) => Place::Join,
        (_, true) => Place::JoinInFacet,
    };
    let mut inner = PipelineContext { scope: context.scope, depth: context.depth + 1, place };
    Pipeline::parse(stages(stage, value)?, &mut inner)
}

fn starts_with_documents(pipeline: Option<ValueRef<'_>>) -> bool {
    let first = pipeline
        .and_then(ValueRef::as_array)
        .and_then(|stages| stages.get(0))
        .and_then(ValueRef::as_document);
    first.and_then(|stage| stage.first()).is_some_and(|element| element.key() == "$documents")
}

pub(super) fn parse_lookup(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Lookup> {
    let document = document_argument("$lookup", ErrorCode::FAILED_TO_PARSE.0, value)?;
    let pipeline = document.get("pipeline");
    let from = match document.get("from") {
        Some(from) => Some(collection_name("$lookup", from, ErrorCode::FAILED_TO_PARSE)?),
        None if starts_with_documents(pipeline) => None,
        None => return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "$lookup needs a 'from'")),
    };
    check_lookup_fields(document)?;
    if from.is_some() && starts_with_documents(pipeline) {
        let reason = "$lookup with a pipeline of $documents takes no 'from'";
        return Err(Error::new(ErrorCode::INVALID_NAMESPACE, reason));
    }
    let as_path = match document.get("as") {
        None | Some(ValueRef::Null) => return Err(Error::location(40_414, "$lookup needs an 'as'")),
        Some(ValueRef::String(path)) => parse_path(path)?,
        Some(other) => {
            let reason =
                format!("the 'as' of $lookup is a string, not a value of type {}", other.kind().name());
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
        }
    };
    let equality = parse_equality(document, pipeline.is_some())?;
    let mark = context.scope.mark();
    let variables = parse_variables(document.get("let").filter(|value| !value.is_nullish()), context.scope)?;
    let pipeline = pipeline.map(|value| inner_pipeline(value, "$lookup", context)).transpose()?;
    context.scope.forget(mark);
    Ok(Lookup { from, equality, variables, pipeline, as_path })
}

/// The two paths that must be equal. Beside a pipeline they may be left out, or be null or empty, which is the same.
fn parse_equality(document: RawDocument<'_>, has_pipeline: bool) -> Result<Option<(LocalPath, String)>> {
    let is_left_out = |value: ValueRef<'_>| value.is_nullish() || value == ValueRef::String("");
    let path = |name: &str| document.get(name).filter(|value| !has_pipeline || !is_left_out(*value));
    match (path("localField"), path("foreignField")) {
        (Some(local), Some(foreign)) => {
            let local = text("$lookup", "localField", local)?;
            check_local_path(local)?;
            let foreign = text("$lookup", "foreignField", foreign)?;
            FieldPath::parse(foreign)?;
            Ok(Some((LocalPath::parse(local), foreign.to_owned())))
        }
        (None, None) if has_pipeline => Ok(None),
        _ => {
            let reason = "$lookup needs both 'localField' and 'foreignField', or a 'pipeline'";
            Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason))
        }
    }
}

/// A local path may lead into a reference to another document, whose fields start with a dollar.
fn check_local_path(path: &str) -> Result<()> {
    let plain: Vec<&str> = path
        .split('.')
        .map(|name| if matches!(name, "$ref" | "$id" | "$db") { "ref" } else { name })
        .collect();
    FieldPath::parse(&plain.join(".")).map(drop)
}

fn check_lookup_fields(document: RawDocument<'_>) -> Result<()> {
    for element in document {
        if !matches!(element.key(), "from" | "as" | "localField" | "foreignField" | "let" | "pipeline") {
            return Err(Error::location(40_415, format!("$lookup has no argument '{}'", element.key())));
        }
    }
    let has_variables = document.get("let").is_some_and(|value| !value.is_nullish());
    if has_variables && document.get("pipeline").is_none() {
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "the 'let' of $lookup needs a 'pipeline'"));
    }
    Ok(())
}

/// The variables are computed outside: none of them sees another.
pub(super) fn parse_variables(value: Option<ValueRef<'_>>, scope: &mut Scope) -> Result<Variables> {
    let document = match value {
        None => return Ok(Vec::new()),
        Some(ValueRef::Document(document)) => document,
        Some(other) => {
            let reason =
                format!("'let' is a document of variables, not a value of type {}", other.kind().name());
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
        }
    };
    let mut expressions = Vec::new();
    for element in document {
        check_user_variable(element.key())?;
        expressions.push((element.key(), Expression::parse(element.value(), scope)?));
    }
    Ok(expressions.into_iter().map(|(name, expression)| (scope.define_variable(name), expression)).collect())
}

pub(super) fn parse_graph_lookup(
    value: ValueRef<'_>,
    context: &mut PipelineContext<'_>,
) -> Result<GraphLookup> {
    const STAGE: &str = "$graphLookup";
    let document = document_argument(STAGE, 40_327, value)?;
    let known = [
        "from",
        "as",
        "connectFromField",
        "connectToField",
        "startWith",
        "maxDepth",
        "depthField",
        "restrictSearchWithMatch",
    ];
    if let Some(other) = document.iter().find(|element| !known.contains(&element.key())) {
        return Err(Error::location(40_104, format!("{STAGE} has no argument '{}'", other.key())));
    }
    let path = |name: &str| match document.get(name) {
        Some(ValueRef::String(path)) => Ok(path),
        Some(_) => Err(Error::location(40_103, format!("the '{name}' of {STAGE} is a string"))),
        None => Err(Error::location(40_105, format!("{STAGE} needs '{name}'"))),
    };
    let from = match document.get("from") {
        Some(from) => collection_name(STAGE, from, ErrorCode::FAILED_TO_PARSE)?,
        None => return Err(Error::new(ErrorCode::FAILED_TO_PARSE, format!("{STAGE} needs a 'from'"))),
    };
    let (as_path, connect_from, connect_to) =
        (parse_path(path("as")?)?, FieldPath::parse(path("connectFromField")?)?, path("connectToField")?);
    FieldPath::parse(connect_to)?;
    let depth_field =
        document.get("depthField").map(|_| path("depthField").and_then(parse_path)).transpose()?;
    let depth_max = document.get("maxDepth").map(depth_limit).transpose()?;
    let restriction = match document.get("restrictSearchWithMatch") {
        None => None,
        Some(ValueRef::Document(filter)) => Some(Filter::parse(filter, context.scope)?),
        Some(_) => {
            return Err(Error::location(
                40_185,
                format!("the 'restrictSearchWithMatch' of {STAGE} is a document"),
            ));
        }
    };
    let start = document
        .get("startWith")
        .ok_or_else(|| Error::location(40_105, format!("{STAGE} needs 'startWith'")))?;
    Ok(GraphLookup {
        from,
        start_with: Expression::parse(start, context.scope)?,
        connect_from,
        connect_to: connect_to.to_owned(),
        depth_max,
        restriction,
        depth_field,
        as_path,
    })
}

fn depth_limit(value: ValueRef<'_>) -> Result<u64> {
    let refused = |code: i32, what: &str| {
        let shown = sheaf_document::json::display(value);
        Error::location(code, format!("the 'maxDepth' of $graphLookup is {what}, not {shown}"))
    };
    match as_f64(value) {
        None => return Err(refused(40_100, "a number")),
        Some(number) if number < 0.0 => return Err(refused(40_101, "0 or more")),
        Some(_) => {}
    }
    let whole = as_whole(value).and_then(|whole| u64::try_from(whole).ok());
    whole.ok_or_else(|| refused(40_102, "a whole number of 64 bits"))
}

pub(super) fn parse_union_with(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<UnionWith> {
    const STAGE: &str = "$unionWith";
    if let ValueRef::String(_) = value {
        let from = collection_name(STAGE, value, ErrorCode::FAILED_TO_PARSE)?;
        return Ok(UnionWith { from: Some(from), pipeline: Pipeline::default() });
    }
    let document = document_argument(STAGE, ErrorCode::FAILED_TO_PARSE.0, value)?;
    if let Some(other) = document.iter().find(|element| !matches!(element.key(), "coll" | "pipeline")) {
        return Err(Error::location(40_415, format!("{STAGE} has no argument '{}'", other.key())));
    }
    let from = document
        .get("coll")
        .map(|name| collection_name(STAGE, name, ErrorCode::TYPE_MISMATCH))
        .transpose()?;
    let pipeline = document.get("pipeline");
    if from.is_none() && !starts_with_documents(pipeline) {
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, format!("{STAGE} needs a 'coll'")));
    }
    let pipeline = match pipeline {
        Some(value) => inner_pipeline(value, STAGE, context)?,
        None => Pipeline::default(),
    };
    Ok(UnionWith { from, pipeline })
}
