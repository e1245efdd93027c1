//! The functions of `$setWindowFields`: reading them, and the accumulators among them.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::frame::Frame;
use super::numeric::Slope;
use super::positional::Positional;
use super::scaler::Scaler;
use super::{Column, Partition};
use crate::accumulator::{AccumulatorSpec, Input};
use crate::expression::number::Number;
use crate::expression::{Environment, Expression, Scope};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

/// What one output field is computed by.
#[derive(Clone)]
pub(super) enum Function {
    /// An accumulator over the frame.
    Accumulator { spec: Box<AccumulatorSpec>, frame: Frame },
    /// `$covariancePop`, `$covarianceSamp`.
    Covariance { x: Expression, y: Expression, sample: bool, frame: Frame },
    /// `$minMaxScaler`.
    Scaler(Box<Scaler>),
    /// By the place of the document in its partition.
    Positional(Box<Positional>),
    /// `$derivative`, `$integral`.
    Slope(Box<Slope>),
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

/// What is written in the place of one output field.
pub(super) struct Written<'a> {
    pub name: &'a str,
    pub argument: ValueRef<'a>,
    pub window: Option<ValueRef<'a>>,
}

/// Reads `{$function: argument, window: {..}}`.
pub(super) fn parse_output(
    field: &str,
    value: ValueRef<'_>,
    sort_by: Option<&SortSpec>,
    scope: &mut Scope,
) -> Result<Function> {
    let ValueRef::Document(document) = value else {
        let found = value.kind().name();
        return Err(refused(format!("the output '{field}' is a document, not a value of type {found}")));
    };
    if let Some(first) = document.iter().find(|element| Positional::is_rank(element.key()))
        && document.iter().nth(1).is_some()
    {
        let reason = format!("{} stands alone in its output, without a window", first.key());
        return Err(Error::location(5_371_601, reason));
    }
    let written = split(field, document)?;
    if let Some(positional) = Positional::parse(&written, sort_by, scope)? {
        return Ok(Function::Positional(Box::new(positional)));
    }
    let frame = match written.window {
        None => Frame::Whole,
        Some(window) => Frame::parse(window, sort_by)?,
    };
    match written.name {
        "$covariancePop" | "$covarianceSamp" => parse_covariance(&written, frame, scope),
        "$derivative" | "$integral" => {
            Slope::parse(&written, frame, sort_by, scope).map(|slope| Function::Slope(Box::new(slope)))
        }
        "$minMaxScaler" => {
            Scaler::parse(written.argument, frame, scope).map(|scaler| Function::Scaler(Box::new(scaler)))
        }
        name if AccumulatorSpec::exists(name) => {
            let spec = AccumulatorSpec::parse_windowed(name, written.argument, scope)?;
            Ok(Function::Accumulator { spec: Box::new(spec), frame })
        }
        other => Err(refused(format!("'{other}' is no function of $setWindowFields"))),
    }
}

fn split<'a>(field: &str, document: RawDocument<'a>) -> Result<Written<'a>> {
    let (mut function, mut window) = (None, None);
    for element in document {
        match element.key() {
            "window" => window = Some(element.value()),
            name if name.starts_with('$') && function.is_none() => function = Some((name, element.value())),
            name if name.starts_with('$') => {
                return Err(refused(format!("the output '{field}' has more than one function")));
            }
            other => return Err(refused(format!("the output '{field}' has no argument '{other}'"))),
        }
    }
    let (name, argument) =
        function.ok_or_else(|| refused(format!("the output '{field}' has no function")))?;
    Ok(Written { name, argument, window })
}

fn parse_covariance(written: &Written<'_>, frame: Frame, scope: &mut Scope) -> Result<Function> {
    let mut parse = |value: Option<ValueRef<'_>>| match value {
        Some(value) => Expression::parse(value, scope),
        None => Ok(Expression::constant(Value::Null)),
    };
    let (x, y) = match written.argument {
        ValueRef::Array(array) if array.count() == 2 => (parse(array.get(0))?, parse(array.get(1))?),
        // Anything but a pair has no covariance.
        other => {
            parse(Some(other))?;
            (parse(None)?, parse(None)?)
        }
    };
    Ok(Function::Covariance { x, y, sample: written.name == "$covarianceSamp", frame })
}

impl Function {
    /// What it needs of a document.
    pub(super) fn inputs(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<Vec<Input<'static>>> {
        let mut value = |expression: &Expression| {
            Ok::<_, Error>(Input::Value(expression.evaluate(document, environment)?.into_owned()))
        };
        Ok(match self {
            Self::Covariance { x, y, .. } => vec![value(x)?, value(y)?],
            Self::Positional(positional) => positional.input().map(value).transpose()?.into_iter().collect(),
            Self::Scaler(scaler) => vec![value(scaler.input())?],
            Self::Slope(slope) => vec![value(slope.input())?],
            Self::Accumulator { spec, .. } => vec![spec.input(document, environment)?.into_owned()],
        })
    }

    /// The values of one partition, in the order of its documents, of which `inputs` has the columns.
    pub(super) fn evaluate(
        &self,
        inputs: Vec<Column>,
        partition: &Partition<'_>,
        environment: &mut Environment,
    ) -> Result<Vec<Value<'static>>> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().unwrap_or_default();
        match self {
            Self::Accumulator { spec, frame } => accumulate(spec, frame, &next(), partition, environment),
            Self::Covariance { sample, frame, .. } => {
                super::numeric::covariance(&values(next()), &values(next()), *sample, frame, partition)
            }
            Self::Positional(positional) => positional.evaluate(values(next()), partition, environment),
            Self::Scaler(scaler) => scaler.evaluate(&values(next()), partition),
            Self::Slope(slope) => slope.evaluate(&values(next()), partition),
        }
    }
}

/// A column of plain values.
fn values(column: Column) -> Vec<Value<'static>> {
    column
        .into_iter()
        .map(|input| match input {
            Input::Value(value) | Input::Keyed(_, value) => value,
        })
        .collect()
}

fn accumulate(
    spec: &AccumulatorSpec,
    frame: &Frame,
    inputs: &[Input<'static>],
    partition: &Partition<'_>,
    environment: &mut Environment,
) -> Result<Vec<Value<'static>>> {
    let frames = frame.positions(partition)?;
    let start = |environment: &mut Environment| spec.start(&Value::Null, environment);
    let mut running = start(environment)?;
    let mut done = 0;
    let mut last: Option<Value<'static>> = None;
    let mut results = Vec::with_capacity(frames.len());
    for range in frames {
        let grows = frame.begins_with_partition();
        if grows
            && range.end == done
            && let Some(last) = &last
        {
            results.push(last.clone());
            continue;
        }
        if !grows {
            running = start(environment)?;
            done = range.start;
        }
        for input in inputs.get(done..range.end).unwrap_or_default() {
            running.add_input(spec, input.clone(), environment)?;
        }
        done = range.end;
        let mut value = running.clone().finish(spec);
        if !grows && spec.is_population_deviation() && numbers_in(inputs.get(range.clone())) == 1 {
            // A sliding frame knows that one number does not deviate, without computing.
            value = Value::Int32(0);
        }
        if grows {
            last = Some(value.clone());
        }
        results.push(value);
    }
    Ok(results)
}

fn numbers_in(inputs: Option<&[Input<'_>]>) -> usize {
    let is_number = |input: &&Input<'_>| matches!(input, Input::Value(value) if Number::of(value).is_some());
    inputs.unwrap_or_default().iter().filter(is_number).count()
}
