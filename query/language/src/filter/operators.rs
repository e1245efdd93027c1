//! Reading the operators of one field: `{$gt: 1, $lt: 5}`.

use sheaf_document::{BsonType, RawArray, RawDocument, Value, ValueRef};

use super::bits::{BitOperator, BitTest};
use super::comparison::{Comparison, ComparisonOperator};
use super::element::{TypeSet, is_affirmative, parse_size};
use super::membership::Membership;
use super::modulo::Modulo;
use super::parse::{Level, clauses, equality, invalid, is_operators};
use super::path::FieldPath;
use super::place::Place;
use super::predicate::{Condition, Predicate};
use super::regular::{self, RegexTest};
use crate::Result;
use crate::expression::Scope;

/// Reads every operator and appends what it demands.
pub(super) fn parse(
    path: &FieldPath,
    operators: RawDocument<'_>,
    scope: &mut Scope,
    list: &mut Vec<Predicate>,
) -> Result<()> {
    for element in operators {
        list.extend(operator(path, element.key(), element.value(), operators, scope)?);
    }
    Ok(())
}

fn operator(
    path: &FieldPath,
    name: &str,
    operand: ValueRef<'_>,
    operators: RawDocument<'_>,
    scope: &mut Scope,
) -> Result<Option<Predicate>> {
    let text = path.as_str();
    let condition = match name {
        "$eq" => equality(path, operand)?,
        "$ne" => {
            refuse_regex(path, name, operand)?;
            return Ok(Some(Predicate::field(path, equality(path, operand)?).negate()));
        }
        "$gt" => comparison(path, ComparisonOperator::Greater, operand)?,
        "$gte" => comparison(path, ComparisonOperator::GreaterOrEqual, operand)?,
        "$lt" => comparison(path, ComparisonOperator::Less, operand)?,
        "$lte" => comparison(path, ComparisonOperator::LessOrEqual, operand)?,
        "$in" => Condition::In(membership(path, name, operand, scope)?),
        "$nin" => {
            let condition = Condition::In(membership(path, name, operand, scope)?);
            return Ok(Some(Predicate::field(path, condition).negate()));
        }
        "$not" => return not(path, operand, scope).map(Some),
        "$exists" => {
            let exists = Predicate::field(path, Condition::Exists);
            return Ok(Some(if is_affirmative(operand) { exists } else { exists.negate() }));
        }
        "$type" => Condition::Type(TypeSet::parse(text, operand)?),
        "$size" => Condition::Size(parse_size(text, operand)?),
        "$all" => return all(path, operand, scope).map(Some),
        "$elemMatch" => element_match(path, operand, scope)?,
        "$mod" => Condition::Modulo(Modulo::parse(text, operand)?),
        "$regex" => Condition::Regex(regular::parse(operators)?),
        "$options" => {
            regular::parse(operators)?;
            return Ok(None);
        }
        "$bitsAllSet" => Condition::Bits(BitTest::parse(text, BitOperator::AllSet, operand)?),
        "$bitsAnySet" => Condition::Bits(BitTest::parse(text, BitOperator::AnySet, operand)?),
        "$bitsAllClear" => Condition::Bits(BitTest::parse(text, BitOperator::AllClear, operand)?),
        "$bitsAnyClear" => Condition::Bits(BitTest::parse(text, BitOperator::AnyClear, operand)?),
        "$comment" => return Ok(None),
        "$minDistance" | "$maxDistance" if is_near(operators) => return Ok(None),
        other => match Place::parse(other, operand, operators)? {
            Some(place) => Condition::Place(place),
            None => return Err(invalid(format!("unknown operator '{other}' at '{path}'"))),
        },
    };
    Ok(Some(Predicate::field(path, condition)))
}

/// Whether the distances beside it have something to limit.
fn is_near(operators: RawDocument<'_>) -> bool {
    ["$near", "$nearSphere", "$geoNear"].iter().any(|name| operators.get_element(name).is_some())
}

fn refuse_regex(path: &FieldPath, name: &str, operand: ValueRef<'_>) -> Result<()> {
    if operand.kind() == BsonType::Regex {
        return Err(invalid(format!(
            "{name} at '{path}' cannot have a regular expression; use $not or $regex"
        )));
    }
    Ok(())
}

fn comparison(path: &FieldPath, operator: ComparisonOperator, operand: ValueRef<'_>) -> Result<Condition> {
    refuse_regex(path, operator.name(), operand)?;
    if operand.kind() == BsonType::Undefined {
        return Err(invalid(format!("'{path}' cannot be compared to undefined")));
    }
    Ok(Condition::Comparison(Comparison { operator, operand: Value::from(operand).into_owned() }))
}

fn membership(path: &FieldPath, name: &str, operand: ValueRef<'_>, scope: &Scope) -> Result<Membership> {
    let ValueRef::Array(list) = operand else {
        return Err(invalid(format!("{name} at '{path}' needs an array, not {}", operand.kind().name())));
    };
    let (mut values, mut regexes) = (Vec::new(), Vec::new());
    for item in list.iter() {
        match item {
            ValueRef::Regex(regex) => regexes.push(RegexTest::compile(regex.pattern, regex.options)?),
            ValueRef::Document(document) if is_operators(document) => {
                return Err(invalid(format!("{name} at '{path}' cannot contain operators")));
            }
            ValueRef::Undefined => {
                return Err(invalid(format!("'{path}' cannot be compared to undefined")));
            }
            value => values.push(Value::from(value).into_owned()),
        }
    }
    Ok(Membership::new(values, regexes, scope.collator().map(AsRef::as_ref)))
}

fn not(path: &FieldPath, operand: ValueRef<'_>, scope: &mut Scope) -> Result<Predicate> {
    match operand {
        ValueRef::Regex(regex) => {
            let test = RegexTest::compile(regex.pattern, regex.options)?;
            Ok(Predicate::field(path, Condition::Regex(test)).negate())
        }
        ValueRef::Document(operators) if !operators.is_empty() => {
            let mut list = Vec::new();
            parse(path, operators, scope, &mut list)?;
            Ok(Predicate::all(list).negate())
        }
        other => {
            let kind = other.kind().name();
            Err(invalid(format!("$not at '{path}' needs operators or a regular expression, not {kind}")))
        }
    }
}

fn all(path: &FieldPath, operand: ValueRef<'_>, scope: &mut Scope) -> Result<Predicate> {
    let ValueRef::Array(list) = operand else {
        return Err(invalid(format!("$all at '{path}' needs an array, not {}", operand.kind().name())));
    };
    if list.is_empty() {
        return Ok(Predicate::Constant(false));
    }
    let of_elements = list.get(0).is_some_and(|first| is_element_match(first).is_some());
    let conditions = if of_elements { all_elements(path, list, scope)? } else { all_values(path, list)? };
    Ok(Predicate::all(conditions.into_iter().map(|condition| Predicate::field(path, condition)).collect()))
}

fn is_element_match(value: ValueRef<'_>) -> Option<ValueRef<'_>> {
    let first = value.as_document()?.first()?;
    (first.key() == "$elemMatch").then(|| first.value())
}

fn all_elements(path: &FieldPath, list: RawArray<'_>, scope: &mut Scope) -> Result<Vec<Condition>> {
    list.iter()
        .map(|item| match is_element_match(item) {
            Some(operand) => element_match(path, operand, scope),
            None => Err(invalid(format!("$all at '{path}' cannot mix $elemMatch with other values"))),
        })
        .collect()
}

fn all_values(path: &FieldPath, list: RawArray<'_>) -> Result<Vec<Condition>> {
    list.iter()
        .map(|item| match item {
            ValueRef::Regex(regex) => RegexTest::compile(regex.pattern, regex.options).map(Condition::Regex),
            ValueRef::Document(document) if is_operators(document) => {
                Err(invalid(format!("$all at '{path}' cannot contain operators")))
            }
            value => equality(path, value),
        })
        .collect()
}

fn element_match(path: &FieldPath, operand: ValueRef<'_>, scope: &mut Scope) -> Result<Condition> {
    let ValueRef::Document(document) = operand else {
        let kind = operand.kind().name();
        return Err(invalid(format!("$elemMatch at '{path}' needs a document, not {kind}")));
    };
    let of_values = is_operators(document)
        && document.first().is_some_and(|first| !matches!(first.key(), "$and" | "$or" | "$nor" | "$where"));
    if of_values {
        let mut list = Vec::new();
        parse(&FieldPath::here(), document, scope, &mut list)?;
        return Ok(Condition::ElementValue(list));
    }
    Ok(Condition::ElementDocument(Box::new(clauses(document, Level::Element, scope)?)))
}
