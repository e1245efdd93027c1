//! Updates, one operator after the other over decoded values.

use std::cmp::Ordering;

use bson::{Bson, Decimal128, Document};

use super::order::{compare, equal, integer, number};
use super::reference_filter::{element_fulfils, matches};

/// Numbers of errors.
const BAD_VALUE: i32 = 2;
const TYPE_MISMATCH: i32 = 14;
const PATH_NOT_VIABLE: i32 = 28;
const CONFLICT: i32 = 40;

/// Decimals of so many digits that this arithmetic is not theirs; no such pair is judged.
pub const UNSURE: i32 = i32::MIN;

/// One operator at one path.
struct Step<'u> {
    path: Vec<String>,
    name: &'u str,
    operand: &'u Bson,
}

/// What becomes of a value.
enum Change {
    Keep,
    Set(Bson),
    Remove,
}

/// What the paths of an update refer to.
struct Places<'u> {
    filters: &'u [Document],
    matched_index: Option<usize>,
}

/// The document after an update.
pub fn apply(
    update: &Document,
    filters: &[Document],
    document: &Document,
    matched_index: Option<usize>,
) -> Result<Document, i32> {
    let mut steps = Vec::new();
    for (name, fields) in update {
        for (path, operand) in fields.as_document().expect("fields") {
            steps.push(Step { path: resolved(path, matched_index), name, operand });
        }
    }
    check_conflicts(&steps)?;
    // New fields come in the order of their names; positions count as numbers.
    steps.sort_by(|left, right| path_order(&left.path, &right.path));
    let places = Places { filters, matched_index };
    check_renames(&steps, document)?;
    let mut result = Bson::Document(document.clone());
    let mut renames = Vec::new();
    for step in &steps {
        if step.name == "$rename" {
            let target = parts(step.operand.as_str().expect("a name"));
            if let Some(value) = plain(document, &step.path) {
                renames.push((target, value));
            }
        }
    }
    let mut writes: Vec<(Vec<String>, Write<'_>)> =
        steps.iter().map(|step| (step.path.clone(), Write::Operator(step))).collect();
    writes.extend(renames.into_iter().map(|(target, value)| (target, Write::Renamed(value))));
    writes.sort_by(|left, right| path_order(&left.0, &right.0));
    for (path, write) in &writes {
        match at(Some(&result), path, write, &places)? {
            Change::Set(changed) => result = changed,
            Change::Keep | Change::Remove => {}
        }
    }
    match result {
        Bson::Document(result) => Ok(result),
        other => panic!("a document became {other}"),
    }
}

/// What is done at a path.
enum Write<'u> {
    Operator(&'u Step<'u>),
    Renamed(Bson),
}

fn parts(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// The names of a path; `$` is the position that the query matched, if it matched one.
fn resolved(path: &str, matched_index: Option<usize>) -> Vec<String> {
    let mut path = parts(path);
    for part in &mut path {
        if let ("$", Some(position)) = (part.as_str(), matched_index) {
            *part = position.to_string();
        }
    }
    path
}

fn path_order(left: &[String], right: &[String]) -> Ordering {
    let part = |left: &String, right: &String| match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        _ => left.cmp(right),
    };
    let first = left.iter().zip(right).map(|(left, right)| part(left, right)).find(|order| order.is_ne());
    first.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// No two operators at one path, nor one above the other's, nor elements of an array by name and by choice.
fn check_conflicts(steps: &[Step<'_>]) -> Result<(), i32> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    for step in steps {
        paths.push(step.path.clone());
        if step.name == "$rename" {
            let target = parts(step.operand.as_str().expect("a name"));
            if target.starts_with(&step.path) || step.path.starts_with(&target) {
                return Err(BAD_VALUE);
            }
            paths.push(target);
        }
    }
    for (position, path) in paths.iter().enumerate() {
        let collides = |other: &Vec<String>| {
            let differing = path.iter().zip(other).find(|(left, right)| left != right);
            let mixed =
                differing.is_some_and(|(left, right)| left.starts_with("$[") != right.starts_with("$["));
            other.starts_with(path) || path.starts_with(other) || mixed
        };
        if paths.iter().skip(position + 1).any(collides) {
            return Err(CONFLICT);
        }
    }
    Ok(())
}

/// Neither path of `$rename` may lead through an array, nor the old one through a value without fields. Where there is
/// nothing under the old name, nothing is asked of the new one.
fn check_renames(steps: &[Step<'_>], document: &Document) -> Result<(), i32> {
    for step in steps.iter().filter(|step| step.name == "$rename") {
        let target = parts(step.operand.as_str().expect("a name"));
        if walked(document, &step.path)?.is_none() {
            continue;
        }
        if walked(document, &target) == Err(BAD_VALUE) {
            return Err(BAD_VALUE);
        }
    }
    Ok(())
}

fn walked(document: &Document, path: &[String]) -> Result<Option<Bson>, i32> {
    let mut value = Some(Bson::Document(document.clone()));
    for part in path {
        value = match value {
            Some(Bson::Document(document)) => document.get(part).cloned(),
            Some(Bson::Array(_)) => return Err(BAD_VALUE),
            Some(_) => return Err(PATH_NOT_VIABLE),
            None => None,
        };
    }
    Ok(value)
}

fn plain(document: &Document, path: &[String]) -> Option<Bson> {
    let mut value = Bson::Document(document.clone());
    for part in path {
        value = value.as_document()?.get(part)?.clone();
    }
    Some(value)
}

fn creates(write: &Write<'_>) -> bool {
    match write {
        Write::Renamed(_) => true,
        Write::Operator(step) => {
            !matches!(step.name, "$unset" | "$pull" | "$pullAll" | "$pop" | "$rename" | "$setOnInsert")
        }
    }
}

fn at(value: Option<&Bson>, path: &[String], write: &Write<'_>, places: &Places<'_>) -> Result<Change, i32> {
    let Some((name, rest)) = path.split_first() else {
        return match write {
            Write::Operator(step) => operator(step, value),
            Write::Renamed(moved) => Ok(Change::Set(moved.clone())),
        };
    };
    let name = if name == "$" { places.matched_index.ok_or(BAD_VALUE)?.to_string() } else { name.clone() };
    let is_over_elements = name.starts_with("$[");
    match value {
        Some(Bson::Array(items)) => elements(items, &name, rest, write, places),
        Some(Bson::Document(document)) if !is_over_elements => {
            in_document(document, &name, rest, write, places)
        }
        _ if is_over_elements => Err(BAD_VALUE),
        None => in_document(&Document::new(), &name, rest, write, places),
        Some(_) if creates(write) => Err(PATH_NOT_VIABLE),
        Some(_) => Ok(Change::Keep),
    }
}

fn in_document(
    document: &Document,
    name: &str,
    rest: &[String],
    write: &Write<'_>,
    places: &Places<'_>,
) -> Result<Change, i32> {
    let mut result = Document::new();
    let mut changed = false;
    match at(document.get(name), rest, write, places)? {
        Change::Keep => {}
        Change::Set(value) => {
            changed = true;
            result = document.clone();
            // An existing field keeps its place.
            result.insert(name, value);
        }
        Change::Remove if document.contains_key(name) => {
            changed = true;
            result = document.clone();
            result.remove(name);
        }
        Change::Remove => {}
    }
    Ok(if changed { Change::Set(Bson::Document(result)) } else { Change::Keep })
}

fn elements(
    items: &[Bson],
    name: &str,
    rest: &[String],
    write: &Write<'_>,
    places: &Places<'_>,
) -> Result<Change, i32> {
    let mut items = items.to_vec();
    let mut changed = false;
    let chosen: Vec<usize> = match name {
        "$[]" => (0..items.len()).collect(),
        name if name.starts_with("$[") => {
            let name = name.trim_start_matches("$[").trim_end_matches(']');
            (0..items.len()).filter(|position| accepts(places.filters, name, &items[*position])).collect()
        }
        name => match name.parse::<usize>() {
            Ok(position) => vec![position],
            Err(_) if creates(write) => return Err(PATH_NOT_VIABLE),
            Err(_) => Vec::new(),
        },
    };
    for position in chosen {
        match at(items.get(position), rest, write, places)? {
            Change::Keep => {}
            Change::Set(value) => {
                changed = true;
                while items.len() <= position {
                    items.push(Bson::Null);
                }
                items[position] = value;
            }
            Change::Remove if position < items.len() => {
                changed = true;
                items[position] = Bson::Null;
            }
            Change::Remove => {}
        }
    }
    Ok(if changed { Change::Set(Bson::Array(items)) } else { Change::Keep })
}

/// Whether an array filter, `{name: condition}` or `{name.path: condition}`, takes an element: it speaks of a document
/// with the element under that name.
fn accepts(filters: &[Document], name: &str, item: &Bson) -> bool {
    filters.iter().any(|filter| {
        let first = filter.keys().next().and_then(|key| key.split('.').next());
        first == Some(name) && matches(filter, &Document::from_iter([(name.to_owned(), item.clone())]))
    })
}

fn array(current: Option<&Bson>, wrong: i32) -> Result<Option<&Vec<Bson>>, i32> {
    match current {
        None => Ok(None),
        Some(Bson::Array(items)) => Ok(Some(items)),
        Some(_) => Err(wrong),
    }
}

fn operator(step: &Step<'_>, current: Option<&Bson>) -> Result<Change, i32> {
    let operand = step.operand;
    match step.name {
        "$set" => Ok(Change::Set(operand.clone())),
        "$setOnInsert" => Ok(Change::Keep),
        "$unset" | "$rename" => Ok(Change::Remove),
        "$inc" | "$mul" => {
            let result = arithmetic(step.name, current, operand)?;
            // A number that equals the one that is there is none: a decimal keeps its zeros, a double its sign.
            let is_same = current.is_some_and(|current| {
                current.element_type() == result.element_type() && equal(current, &result)
            });
            Ok(if is_same { Change::Keep } else { Change::Set(result) })
        }
        "$min" | "$max" => {
            let wanted = if step.name == "$min" { Ordering::Less } else { Ordering::Greater };
            let is_better = current.is_none_or(|current| compare(operand, current) == wanted);
            Ok(if is_better { Change::Set(operand.clone()) } else { Change::Keep })
        }
        "$bit" => bit(current, operand),
        "$push" => push(array(current, BAD_VALUE)?, operand),
        "$addToSet" => {
            let known = array(current, BAD_VALUE)?;
            let mut items = known.cloned().unwrap_or_default();
            let each = operand.as_document().and_then(|operand| operand.get("$each"));
            let new = each.and_then(Bson::as_array).cloned().unwrap_or_else(|| vec![operand.clone()]);
            for value in new {
                if !items.iter().any(|item| equal(item, &value)) {
                    items.push(value);
                }
            }
            Ok(if known == Some(&items) { Change::Keep } else { Change::Set(Bson::Array(items)) })
        }
        "$pull" => {
            let Some(items) = array(current, BAD_VALUE)? else { return Ok(Change::Keep) };
            let takes = |item: &Bson| match operand {
                Bson::Document(condition) => element_fulfils(item, condition),
                value => equal(item, value),
            };
            Ok(Change::Set(items.iter().filter(|item| !takes(item)).cloned().collect()))
        }
        "$pullAll" => {
            let Some(items) = array(current, BAD_VALUE)? else { return Ok(Change::Keep) };
            let list = operand.as_array().expect("a list");
            let kept = items.iter().filter(|item| !list.iter().any(|value| equal(item, value)));
            Ok(Change::Set(kept.cloned().collect()))
        }
        "$pop" => {
            let Some(items) = array(current, TYPE_MISMATCH)? else { return Ok(Change::Keep) };
            let mut items = items.clone();
            if !items.is_empty() {
                items.remove(if integer(operand) == Some(-1) { 0 } else { items.len() - 1 });
            }
            Ok(Change::Set(Bson::Array(items)))
        }
        other => panic!("the generator makes no {other}"),
    }
}

/// The widest of both types; an int grows to a long, a long does not grow.
fn arithmetic(name: &str, current: Option<&Bson>, operand: &Bson) -> Result<Bson, i32> {
    let zero = match operand {
        Bson::Int32(_) => Bson::Int32(0),
        Bson::Int64(_) => Bson::Int64(0),
        Bson::Double(_) => Bson::Double(0.0),
        _ => Bson::Decimal128("0".parse().expect("zero")),
    };
    let Some(current) = current else {
        return Ok(if name == "$inc" { operand.clone() } else { zero });
    };
    let (Some(left), Some(right)) = (number(current), number(operand)) else { return Err(TYPE_MISMATCH) };
    if let (Some(a), Some(b)) = (integer(current), integer(operand)) {
        let exact = if name == "$inc" { a.checked_add(b) } else { a.checked_mul(b) }.ok_or(BAD_VALUE)?;
        let both_int = matches!((current, operand), (Bson::Int32(_), Bson::Int32(_)));
        return Ok(match i32::try_from(exact) {
            Ok(small) if both_int => Bson::Int32(small),
            _ => Bson::Int64(exact),
        });
    }
    let result = if name == "$inc" { left + right } else { left * right };
    if matches!(current, Bson::Decimal128(_)) || matches!(operand, Bson::Decimal128(_)) {
        if !(left.abs() < 1e6 && right.abs() < 1e6) {
            return Err(UNSURE);
        }
        return Ok(Bson::Decimal128(decimal(name, current, operand, result)));
    }
    Ok(Bson::Double(result))
}

/// The generator makes decimals, and doubles beside them, of at most one digit behind the point: a sum has the most
/// digits of its operands, a product their sum. A double that is not 0 comes to a decimal with 15 digits.
fn decimal(name: &str, current: &Bson, operand: &Bson, result: f64) -> Decimal128 {
    let digits = |value: &Bson| match value {
        Bson::Int32(_) | Bson::Int64(_) => 0,
        Bson::Double(number) if *number == 0.0 => 0,
        Bson::Double(number) => (14 - number.abs().log10().floor() as i64) as usize,
        value => {
            value.to_string().split_once('.').map_or(0, |(_, digits)| digits.trim_end_matches('"').len())
        }
    };
    let (left, right) = (digits(current), digits(operand));
    let digits = if name == "$inc" { left.max(right) } else { left + right };
    format!("{result:.digits$}").parse().expect("a decimal")
}

fn bit(current: Option<&Bson>, operand: &Bson) -> Result<Change, i32> {
    let operand = operand.as_document().expect("operations");
    let first = operand.values().next().expect("an operation");
    let mut value = match current {
        None => 0,
        Some(current) => integer(current).ok_or(BAD_VALUE)?,
    };
    for (name, mask) in operand {
        let mask = integer(mask).expect("a mask");
        match name.as_str() {
            "and" => value &= mask,
            "or" => value |= mask,
            _ => value ^= mask,
        }
    }
    let is_long = matches!(first, Bson::Int64(_)) || matches!(current, Some(Bson::Int64(_)));
    Ok(Change::Set(if is_long { Bson::Int64(value) } else { Bson::Int32(value as i32) }))
}

/// `$each` goes in at `$position`, then `$sort`, then `$slice`.
fn push(current: Option<&Vec<Bson>>, operand: &Bson) -> Result<Change, i32> {
    let mut items = current.cloned().unwrap_or_default();
    let modifiers = operand.as_document().filter(|operand| operand.contains_key("$each"));
    let Some(modifiers) = modifiers else {
        items.push(operand.clone());
        return Ok(Change::Set(Bson::Array(items)));
    };
    let each = modifiers.get_array("$each").expect("a list").clone();
    let at = match modifiers.get("$position").and_then(integer) {
        None => items.len(),
        Some(position) if position >= 0 => (position as usize).min(items.len()),
        Some(position) => items.len().saturating_sub(position.unsigned_abs() as usize),
    };
    items.splice(at..at, each);
    match modifiers.get("$sort") {
        None => {}
        Some(Bson::Document(pattern)) => items.sort_by(|left, right| {
            let orders = pattern.iter().map(|(path, direction)| {
                let part = |item: &Bson| {
                    item.as_document().and_then(|item| plain(item, &parts(path))).unwrap_or(Bson::Null)
                };
                directed(compare(&part(left), &part(right)), direction)
            });
            orders.fold(Ordering::Equal, Ordering::then)
        }),
        Some(direction) => items.sort_by(|left, right| directed(compare(left, right), direction)),
    }
    match modifiers.get("$slice").and_then(integer) {
        None => {}
        Some(slice) if slice >= 0 => items.truncate(slice as usize),
        Some(slice) => {
            let keep = slice.unsigned_abs() as usize;
            items.drain(..items.len().saturating_sub(keep));
        }
    }
    Ok(Change::Set(Bson::Array(items)))
}

fn directed(order: Ordering, direction: &Bson) -> Ordering {
    if integer(direction) == Some(-1) { order.reverse() } else { order }
}
