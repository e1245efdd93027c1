//! Filters, as the documentation explains them operator by operator.

use std::cmp::Ordering;

use bson::{Bson, Document};

use super::order::{compare, integer, number, place};
use super::path::{Found, values};

/// Whether a document fulfils a filter.
pub fn matches(filter: &Document, document: &Document) -> bool {
    filter.iter().all(|(key, value)| clause(key, value, document))
}

fn clause(key: &str, value: &Bson, document: &Document) -> bool {
    let branches =
        || value.as_array().expect("branches").iter().map(|branch| branch.as_document().expect("one"));
    match key {
        "$and" => branches().all(|branch| matches(branch, document)),
        "$or" => branches().any(|branch| matches(branch, document)),
        "$nor" => !branches().any(|branch| matches(branch, document)),
        "$expr" => truth(&expression(value, document)),
        path => {
            let path: Vec<&str> = path.split('.').collect();
            field(&path, value, document)
        }
    }
}

/// Whether a document is operators: `{$gt: 1}`.
pub fn is_operators(value: &Bson) -> bool {
    value.as_document().and_then(|document| document.keys().next()).is_some_and(|key| key.starts_with('$'))
}

fn field(path: &[&str], value: &Bson, document: &Document) -> bool {
    match value {
        Bson::Document(operators) if is_operators(value) => operators.iter().all(|(name, operand)| {
            operator(name, operand, &|into_arrays| values(document, path, into_arrays))
        }),
        value => operator("$eq", value, &|into_arrays| values(document, path, into_arrays)),
    }
}

/// Whether an operator holds for what its path leads to. `find(true)` also looks into an array at the end.
fn operator<'d>(name: &str, operand: &Bson, find: &dyn Fn(bool) -> Vec<Found<'d>>) -> bool {
    let some = |test: &dyn Fn(&Bson) -> bool| {
        find(true).iter().any(|found| matches!(found, Found::Value(value) if test(value)))
    };
    match name {
        "$eq" | "$gt" | "$gte" | "$lt" | "$lte" => {
            find(true).iter().any(|found| comparison(name, operand, *found))
        }
        "$ne" => !operator("$eq", operand, find),
        "$in" => operand.as_array().expect("a list").iter().any(|item| operator("$eq", item, find)),
        "$nin" => !operator("$in", operand, find),
        "$not" => {
            let operators = operand.as_document().expect("operators");
            !operators.iter().all(|(name, operand)| operator(name, operand, find))
        }
        "$exists" => truth(operand) == some(&|_| true),
        "$type" => some(&|value| has_type(value, operand)),
        "$size" => {
            let wanted = integer(operand).expect("a count");
            whole_arrays(find).iter().any(|items| items.len() as i64 == wanted)
        }
        "$all" => {
            let items = operand.as_array().expect("a list");
            !items.is_empty()
                && items.iter().all(|item| match item.as_document().and_then(|item| item.get("$elemMatch")) {
                    Some(condition) => operator("$elemMatch", condition, find),
                    None => operator("$eq", item, find),
                })
        }
        "$elemMatch" => {
            whole_arrays(find).iter().any(|items| items.iter().any(|item| element(item, operand)))
        }
        "$mod" => {
            let pair: Vec<i64> = operand
                .as_array()
                .expect("a pair")
                .iter()
                .map(|item| integer(item).expect("whole"))
                .collect();
            some(&|value| truncated(value).is_some_and(|number| number % pair[0] == pair[1]))
        }
        "$regex" => some(&|value| value.as_str().is_some_and(|text| literal(text, operand))),
        "$bitsAllSet" | "$bitsAnySet" | "$bitsAllClear" | "$bitsAnyClear" => {
            some(&|value| bits(name, value, operand))
        }
        other => panic!("the generator makes no {other}"),
    }
}

fn whole_arrays<'a>(find: &dyn Fn(bool) -> Vec<Found<'a>>) -> Vec<&'a Vec<Bson>> {
    let arrays = find(false).into_iter().filter_map(|found| match found {
        Found::Value(Bson::Array(items)) => Some(items),
        _ => None,
    });
    arrays.collect()
}

/// Only values of the operand's bracket compare; null also stands for what is missing; NaN equals itself only.
fn comparison(name: &str, operand: &Bson, found: Found<'_>) -> bool {
    let accepts = |order: Ordering| match name {
        "$eq" => order.is_eq(),
        "$gt" => order.is_gt(),
        "$gte" => order.is_ge(),
        "$lt" => order.is_lt(),
        _ => order.is_le(),
    };
    let Found::Value(value) = found else { return *operand == Bson::Null && accepts(Ordering::Equal) };
    if place(value) != place(operand) {
        return false;
    }
    let is_nan = |value: &Bson| number(value).is_some_and(f64::is_nan);
    if is_nan(value) != is_nan(operand) {
        return false;
    }
    accepts(compare(value, operand))
}

fn has_type(value: &Bson, wanted: &Bson) -> bool {
    if let Bson::Array(list) = wanted {
        return list.iter().any(|wanted| has_type(value, wanted));
    }
    let (name, code) = match value {
        Bson::Double(_) => ("double", 1),
        Bson::String(_) => ("string", 2),
        Bson::Document(_) => ("object", 3),
        Bson::Array(_) => ("array", 4),
        Bson::Binary(_) => ("binData", 5),
        Bson::ObjectId(_) => ("objectId", 7),
        Bson::Boolean(_) => ("bool", 8),
        Bson::DateTime(_) => ("date", 9),
        Bson::Null => ("null", 10),
        Bson::Int32(_) => ("int", 16),
        Bson::Timestamp(_) => ("timestamp", 17),
        Bson::Int64(_) => ("long", 18),
        Bson::Decimal128(_) => ("decimal", 19),
        Bson::MinKey => ("minKey", -1),
        Bson::MaxKey => ("maxKey", 127),
        other => panic!("the generator makes no {other}"),
    };
    match wanted {
        Bson::String(wanted) => *wanted == name || (wanted == "number" && number(value).is_some()),
        wanted => integer(wanted) == Some(code),
    }
}

/// `$elemMatch`: operators speak of the element itself, anything else of a document (an array counts as one, its
/// positions are the names).
fn element(item: &Bson, condition: &Bson) -> bool {
    let filter = condition.as_document().expect("a condition");
    let speaks_of_values = is_operators(condition)
        && filter.keys().next().is_some_and(|key| !["$and", "$or", "$nor"].contains(&&**key));
    if speaks_of_values {
        return filter.iter().all(|(name, operand)| operator(name, operand, &|_| vec![Found::Value(item)]));
    }
    match item {
        Bson::Document(document) => matches(filter, document),
        Bson::Array(items) => {
            let document =
                items.iter().enumerate().map(|(position, item)| (position.to_string(), item.clone()));
            matches(filter, &document.collect())
        }
        _ => false,
    }
}

/// Whether an element fulfils the condition of `$pull` or of an array filter.
pub fn element_fulfils(item: &Bson, condition: &Document) -> bool {
    let of_arrays = matches!(item, Bson::Array(_));
    let condition = Bson::Document(condition.clone());
    let speaks_of_documents = !is_operators(&condition);
    // Unlike in $elemMatch, an array is no document here.
    !(of_arrays && speaks_of_documents) && element(item, &condition)
}

fn truncated(value: &Bson) -> Option<i64> {
    let number = number(value).filter(|number| number.is_finite())?;
    Some(integer(value).unwrap_or(number.trunc() as i64))
}

/// Patterns are letters between anchors.
fn literal(text: &str, pattern: &Bson) -> bool {
    let pattern = pattern.as_str().expect("a pattern");
    let (start, end) = (pattern.starts_with('^'), pattern.ends_with('$'));
    let letters = pattern.trim_start_matches('^').trim_end_matches('$');
    match (start, end) {
        (true, true) => text == letters,
        (true, false) => text.starts_with(letters),
        (false, true) => text.ends_with(letters),
        (false, false) => text.contains(letters),
    }
}

fn bits(name: &str, value: &Bson, operand: &Bson) -> bool {
    let positions: Vec<i64> = match operand {
        Bson::Array(list) => list.iter().map(|item| integer(item).expect("a position")).collect(),
        mask => {
            let mask = integer(mask).expect("a mask");
            (0..63).filter(|bit| mask >> bit & 1 == 1).collect()
        }
    };
    let is_set: Box<dyn Fn(&i64) -> bool> = match value {
        Bson::Binary(binary) => Box::new(|position| {
            let byte = binary.bytes.get((*position / 8) as usize).copied().unwrap_or(0);
            byte >> (position % 8) & 1 == 1
        }),
        value => match truncated(value).filter(|whole| number(value) == Some(*whole as f64)) {
            Some(whole) => Box::new(move |position| whole >> (*position).min(63) & 1 == 1),
            None => return false,
        },
    };
    match name {
        "$bitsAllSet" => positions.iter().all(is_set),
        "$bitsAnySet" => positions.iter().any(is_set),
        "$bitsAllClear" => !positions.iter().any(is_set),
        _ => !positions.iter().all(is_set),
    }
}

/// Whether `$expr`, and `$exists`, take a value for true.
fn truth(value: &Bson) -> bool {
    match value {
        Bson::Null | Bson::Undefined => false,
        Bson::Boolean(truth) => *truth,
        value => number(value) != Some(0.0),
    }
}

/// The few expressions that the generator makes. What is missing is undefined here, which sorts before null.
fn expression(value: &Bson, document: &Document) -> Bson {
    match value {
        Bson::String(path) if path.starts_with('$') => {
            let path: Vec<&str> = path.trim_start_matches('$').split('.').collect();
            let root = Bson::Document(document.clone());
            expression_path(&root, &path).unwrap_or(Bson::Undefined)
        }
        Bson::Document(call) => {
            let (name, arguments) = call.iter().next().expect("an operator");
            let arguments: Vec<Bson> = arguments
                .as_array()
                .expect("arguments")
                .iter()
                .map(|item| expression(item, document))
                .collect();
            let order = |left: &Bson, right: &Bson| {
                let missing = |value: &Bson| *value == Bson::Undefined;
                (missing(right).cmp(&missing(left))).then_with(|| compare(left, right))
            };
            match name.as_str() {
                "$and" => Bson::Boolean(arguments.iter().all(truth)),
                "$or" => Bson::Boolean(arguments.iter().any(truth)),
                "$not" => Bson::Boolean(!truth(&arguments[0])),
                "$eq" => Bson::Boolean(order(&arguments[0], &arguments[1]).is_eq()),
                "$ne" => Bson::Boolean(order(&arguments[0], &arguments[1]).is_ne()),
                "$gt" => Bson::Boolean(order(&arguments[0], &arguments[1]).is_gt()),
                "$lte" => Bson::Boolean(order(&arguments[0], &arguments[1]).is_le()),
                other => panic!("the generator makes no {other}"),
            }
        }
        constant => constant.clone(),
    }
}

/// A path of expressions: through an array it gives the array of what the documents in it have; numbers are names.
fn expression_path(value: &Bson, path: &[&str]) -> Option<Bson> {
    let Some((name, rest)) = path.split_first() else { return Some(value.clone()) };
    match value {
        Bson::Document(document) => expression_path(document.get(name)?, rest),
        Bson::Array(items) => {
            let documents = items.iter().filter(|item| matches!(item, Bson::Document(_)));
            Some(Bson::Array(documents.filter_map(|item| expression_path(item, path)).collect()))
        }
        _ => None,
    }
}
