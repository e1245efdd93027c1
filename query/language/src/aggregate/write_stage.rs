//! `$out` and `$merge`: where documents go, and what happens to those that are there.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};

use super::join::parse_variables;
use super::{Pipeline, PipelineContext, Place, time_series};
use crate::expression::{Expression, Scope, VariableId};
use crate::{Error, ErrorCode, Result};

/// An expression names a variable that nobody defined.
pub const UNDEFINED_VARIABLE: ErrorCode = ErrorCode(17_276);

/// A collection, in this database or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The database; the command's own if absent.
    pub database: Option<String>,
    /// The collection.
    pub collection: String,
}

/// A collection that the documents replace.
#[derive(Clone, Debug)]
pub struct Out {
    /// Where.
    pub target: Target,
    /// Options of a time series collection, as they were written but for what was null.
    pub time_series: Option<RawDocumentBuf>,
}

/// A collection that the documents are merged into.
#[derive(Clone)]
pub struct Merge {
    /// Where.
    pub target: Target,
    /// The fields that identify a document; `_id` if absent.
    pub on: Option<Vec<String>>,
    /// What happens to a document that is there.
    pub when_matched: WhenMatched,
    /// What happens to a document that is not.
    pub when_not_matched: WhenNotMatched,
    /// Variables for the pipeline of `when_matched`, computed from the new document.
    pub variables: Vec<MergeVariable>,
}

/// A variable of the pipeline of `when_matched`.
#[derive(Clone)]
pub struct MergeVariable {
    /// What it is called where it is evaluated.
    pub id: VariableId,
    /// What it is called where it is written.
    pub name: Box<str>,
    /// Its value, of the new document.
    pub value: Expression,
    /// Whether the pipeline names it: it must have a value then.
    pub is_used: bool,
}

/// What happens to a document that is there.
#[derive(Clone)]
pub enum WhenMatched {
    /// An error.
    Fail,
    /// It stays.
    KeepExisting,
    /// It takes the fields of the new one.
    Merge,
    /// A pipeline makes a document of it; the new one is `$$new`.
    Pipeline(Pipeline),
    /// A pipeline that is wrong. It is looked at when the first document comes, so that without one nothing fails.
    Refused(Error),
    /// The new one takes its place.
    Replace,
}

/// What happens to a new document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenNotMatched {
    /// Nothing.
    Discard,
    /// An error.
    Fail,
    /// It is inserted.
    Insert,
}

fn wrong_type(code: i32, what: &str, value: ValueRef<'_>) -> Error {
    Error::location(code, format!("{what}, not a value of type {}", value.kind().name()))
}

fn check_collection(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains('\0') {
        return Err(Error::new(
            ErrorCode::INVALID_NAMESPACE,
            format!("'{name}' is not the name of a collection"),
        ));
    }
    Ok(())
}

/// Reads `"name"` or `{db, coll, timeseries}`.
pub(super) fn parse_out(value: ValueRef<'_>) -> Result<Out> {
    let (target, time_series) = match value {
        ValueRef::String(name) => (Target { database: None, collection: name.to_owned() }, None),
        ValueRef::Document(document) => {
            let (mut database, mut collection, mut series) = (None, None, None);
            for element in document {
                match (element.key(), element.value()) {
                    (_, ValueRef::Null) => {}
                    ("db", ValueRef::String(name)) => database = Some(name.to_owned()),
                    ("coll", ValueRef::String(name)) => collection = Some(name.to_owned()),
                    ("timeseries", ValueRef::Document(options)) => {
                        series = Some(time_series::check(options)?);
                    }
                    (key @ ("db" | "coll" | "timeseries"), other) => {
                        return Err(wrong_type(
                            14,
                            &format!("the '{key}' of $out is of another type"),
                            other,
                        ));
                    }
                    (other, _) => {
                        return Err(Error::location(40_415, format!("$out has no argument '{other}'")));
                    }
                }
            }
            let missing = |name| Error::location(40_414, format!("$out needs '{name}'"));
            let database = database.ok_or_else(|| missing("db"))?;
            let collection = collection.ok_or_else(|| missing("coll"))?;
            (Target { database: Some(database), collection }, series)
        }
        other => return Err(wrong_type(16_990, "$out needs the name of a collection or a document", other)),
    };
    check_collection(&target.collection)?;
    Ok(Out { target, time_series })
}

/// Reads `"name"` or `{into, on, let, whenMatched, whenNotMatched}`.
pub(super) fn parse_merge(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Merge> {
    let document = match value {
        ValueRef::String(name) => {
            check_collection(name)?;
            return Ok(Merge {
                target: parse_into(value)?,
                on: None,
                when_matched: WhenMatched::Merge,
                when_not_matched: WhenNotMatched::Insert,
                variables: Vec::new(),
            });
        }
        ValueRef::Document(document) => document,
        other => return Err(wrong_type(14, "$merge needs the name of a collection or a document", other)),
    };
    for element in document {
        if !matches!(element.key(), "into" | "on" | "let" | "whenMatched" | "whenNotMatched") {
            return Err(Error::location(40_415, format!("$merge has no argument '{}'", element.key())));
        }
    }
    let target =
        parse_into(document.get("into").ok_or_else(|| Error::location(40_414, "$merge needs an 'into'"))?)?;
    let on = document.get("on").map(parse_on).transpose()?;
    let is_pipeline = matches!(document.get("whenMatched"), Some(ValueRef::Array(_)));
    let given = document.get("let").filter(|value| !value.is_nullish());
    if given.is_some() && !is_pipeline {
        return Err(Error::location(51_199, "the 'let' of $merge needs a pipeline in 'whenMatched'"));
    }
    let mark = context.scope.mark();
    let parsed = parse_changes(document, given, is_pipeline, context);
    context.scope.forget(mark);
    let (variables, when_matched) = parsed?;
    let when_not_matched = parse_when_not_matched(document.get("whenNotMatched"))?;
    check_modes(&when_matched, when_not_matched)?;
    Ok(Merge { target, on, when_matched, when_not_matched, variables })
}

/// The variables, and the change that sees them. `$$new` is the new document: a definition of it can only say that.
fn parse_changes(
    document: RawDocument<'_>,
    given: Option<ValueRef<'_>>,
    is_pipeline: bool,
    context: &mut PipelineContext<'_>,
) -> Result<(Vec<MergeVariable>, WhenMatched)> {
    let own = given.and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    if own.get("new").is_some_and(|value| value != ValueRef::String("$$ROOT")) {
        return Err(Error::location(51_273, "the variable 'new' of $merge is the new document, $$ROOT"));
    }
    let change = document.get("whenMatched");
    let names = own.iter().map(|element| Box::from(element.key()));
    let mut variables: Vec<MergeVariable> = parse_variables(given, context.scope)?
        .into_iter()
        .zip(names)
        .map(|((id, value), name)| MergeVariable { id, name, value, is_used: false })
        .collect();
    if is_pipeline && own.get("new").is_none() {
        let id = context.scope.define_variable("new");
        variables.push(MergeVariable { id, name: "new".into(), value: Expression::root(), is_used: false });
    }
    let when_matched = parse_when_matched(change, context)?;
    for position in 0..variables.len() {
        let is_used = names_variable(change, &variables, position, context);
        if let Some(variable) = variables.get_mut(position) {
            variable.is_used = is_used;
        }
    }
    Ok((variables, when_matched))
}

/// Whether a pipeline names a variable: without its definition it cannot be read.
fn names_variable(
    change: Option<ValueRef<'_>>,
    variables: &[MergeVariable],
    position: usize,
    context: &PipelineContext<'_>,
) -> bool {
    let mut scope = Scope::new();
    for (_, variable) in variables.iter().enumerate().filter(|(other, _)| *other != position) {
        scope.define_variable(&variable.name);
    }
    let Some(stages) = change.and_then(ValueRef::as_array) else { return false };
    let mut inner = PipelineContext { scope: &mut scope, depth: context.depth + 1, place: Place::Update };
    Pipeline::parse(stages.iter(), &mut inner).is_err_and(|error| error.code == UNDEFINED_VARIABLE)
}

fn parse_into(value: ValueRef<'_>) -> Result<Target> {
    match value {
        ValueRef::String("") => Err(Error::location(5_786_800, "the 'into' of $merge is empty")),
        ValueRef::String(name) => {
            check_collection(name)?;
            Ok(Target { database: None, collection: name.to_owned() })
        }
        ValueRef::Document(document) => {
            let name = |key: &str| match document.get(key) {
                None | Some(ValueRef::Null | ValueRef::Undefined) => Ok(None),
                Some(ValueRef::String(name)) => Ok(Some(name.to_owned())),
                Some(other) => Err(wrong_type(14, &format!("the '{key}' of 'into' is a string"), other)),
            };
            if let Some(other) = document.iter().find(|element| !matches!(element.key(), "db" | "coll")) {
                return Err(Error::location(40_415, format!("'into' has no field '{}'", other.key())));
            }
            let collection = name("coll")?
                .ok_or_else(|| Error::location(5_786_801, "the 'into' of $merge needs a 'coll'"))?;
            check_collection(&collection)?;
            Ok(Target { database: name("db")?.filter(|database| !database.is_empty()), collection })
        }
        other => Err(wrong_type(51_178, "the 'into' of $merge is a name or a document", other)),
    }
}

fn parse_on(value: ValueRef<'_>) -> Result<Vec<String>> {
    let names = match value {
        ValueRef::String(name) => vec![name.to_owned()],
        ValueRef::Array(names) => names
            .iter()
            .map(|name| {
                let wrong = || wrong_type(51_134, "the 'on' of $merge has names of fields", name);
                name.as_str().map(str::to_owned).ok_or_else(wrong)
            })
            .collect::<Result<_>>()?,
        other => return Err(wrong_type(51_186, "the 'on' of $merge is a name or an array of names", other)),
    };
    if names.is_empty() {
        return Err(Error::location(51_187, "the 'on' of $merge needs at least one field"));
    }
    for (position, name) in names.iter().enumerate() {
        crate::expression::FieldPath::parse(name)?;
        if names.iter().take(position).any(|other| other == name) {
            return Err(Error::location(31_465, format!("the 'on' of $merge names '{name}' twice")));
        }
    }
    Ok(names)
}

fn parse_when_matched(value: Option<ValueRef<'_>>, context: &mut PipelineContext<'_>) -> Result<WhenMatched> {
    match value {
        None => Ok(WhenMatched::Merge),
        Some(ValueRef::String(mode)) => Ok(match mode {
            "fail" => WhenMatched::Fail,
            "keepExisting" => WhenMatched::KeepExisting,
            "merge" => WhenMatched::Merge,
            "replace" => WhenMatched::Replace,
            other => {
                let reason = format!("'{other}' is no mode of 'whenMatched'");
                return Err(Error::new(ErrorCode::BAD_VALUE, reason));
            }
        }),
        Some(ValueRef::Array(stages)) => {
            if let Some(other) = stages.iter().find(|stage| stage.as_document().is_none()) {
                return Err(wrong_type(14, "a stage of 'whenMatched' is a document", other));
            }
            let mut inner =
                PipelineContext { scope: context.scope, depth: context.depth + 1, place: Place::Update };
            Ok(match Pipeline::parse(stages.iter(), &mut inner) {
                Ok(pipeline) => WhenMatched::Pipeline(pipeline),
                Err(error) => WhenMatched::Refused(error),
            })
        }
        Some(other) => Err(wrong_type(51_191, "the 'whenMatched' of $merge is a mode or a pipeline", other)),
    }
}

fn parse_when_not_matched(value: Option<ValueRef<'_>>) -> Result<WhenNotMatched> {
    match value {
        None | Some(ValueRef::Null | ValueRef::Undefined) => Ok(WhenNotMatched::Insert),
        Some(ValueRef::String(mode)) => Ok(match mode {
            "discard" => WhenNotMatched::Discard,
            "fail" => WhenNotMatched::Fail,
            "insert" => WhenNotMatched::Insert,
            other => {
                let reason = format!("'{other}' is no mode of 'whenNotMatched'");
                return Err(Error::new(ErrorCode::BAD_VALUE, reason));
            }
        }),
        Some(other) => Err(wrong_type(14, "the 'whenNotMatched' of $merge is a mode", other)),
    }
}

/// Modes that would do nothing, or only fail, are refused.
fn check_modes(matched: &WhenMatched, not_matched: WhenNotMatched) -> Result<()> {
    let refused = matches!(
        (matched, not_matched),
        (WhenMatched::Fail, WhenNotMatched::Discard | WhenNotMatched::Fail)
            | (WhenMatched::KeepExisting, WhenNotMatched::Discard | WhenNotMatched::Fail)
    );
    if refused {
        return Err(Error::location(
            51_181,
            "this combination of 'whenMatched' and 'whenNotMatched' is not supported",
        ));
    }
    Ok(())
}
