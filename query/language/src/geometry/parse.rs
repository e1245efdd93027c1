//! Reading places: strictly from a query, leniently from a stored document.

use std::collections::HashSet;

use sheaf_document::{RawArray, RawDocument, Value, ValueRef};

use super::{Geometry, Position, Region, Ring, Shape, bad};
use crate::numeric::as_f64;
use crate::{Error, Result};

/// Deepest nesting of geometry collections that is read.
const COLLECTION_DEPTH_MAX: usize = 8;

/// The reference system in which a polygon is what is left of its ring.
const STRICT_WINDING: &str = "urn:x-mongodb:crs:strictwinding:EPSG:4326";

/// Code of a distance that is no number.
const DISTANCE_TYPE: i32 = 16_893;

/// The geometry a stored value says, or nothing if it is no place.
pub fn stored_geometry(value: ValueRef<'_>) -> Option<Geometry> {
    match value {
        ValueRef::Array(_) => stored_pair(value),
        ValueRef::Document(document) => match document.get("type") {
            Some(ValueRef::String(_)) => geo_json(document, 0).ok(),
            _ => stored_pair(value),
        },
        _ => None,
    }
}

fn stored_pair(value: ValueRef<'_>) -> Option<Geometry> {
    let position = pair(value).ok()?;
    (position.x.is_finite() && position.y.is_finite()).then_some(Geometry::Point { position, legacy: true })
}

fn described(value: ValueRef<'_>) -> String {
    format!("a value of type {}", value.kind().name())
}

/// The first two numbers of an array or of an embedded document, whatever their names.
fn pair(value: ValueRef<'_>) -> Result<Position> {
    let numbers: Vec<ValueRef<'_>> = match value {
        ValueRef::Array(array) => array.iter().take(2).collect(),
        ValueRef::Document(document) => document.iter().take(2).map(|element| element.value()).collect(),
        other => return Err(bad(format!("a position is an array of two numbers, not {}", described(other)))),
    };
    let coordinate = |index: usize| {
        let value = numbers.get(index).ok_or_else(|| bad("a position needs two numbers"))?;
        as_f64(*value).ok_or_else(|| bad(format!("a coordinate is a number, not {}", described(*value))))
    };
    Ok(Position { x: coordinate(0)?, y: coordinate(1)? })
}

fn finite(position: Position) -> Result<Position> {
    if position.x.is_finite() && position.y.is_finite() {
        Ok(position)
    } else {
        Err(bad(format!("coordinates are finite, not [{}, {}]", position.x, position.y)))
    }
}

/// A position on the earth.
fn on_earth(position: Position) -> Result<Position> {
    let position = finite(position)?;
    if position.x.abs() <= 180.0 && position.y.abs() <= 90.0 {
        return Ok(position);
    }
    Err(bad(format!(
        "longitude/latitude is out of bounds: {} is not within 180 degrees or {} is not within 90",
        position.x, position.y
    )))
}

fn array<'a>(what: &str, value: Option<ValueRef<'a>>) -> Result<RawArray<'a>> {
    match value {
        Some(ValueRef::Array(array)) => Ok(array),
        Some(other) => Err(bad(format!("{what} is an array, not {}", described(other)))),
        None => Err(bad(format!("{what} is missing"))),
    }
}

fn earth_position(value: ValueRef<'_>) -> Result<Position> {
    array("a GeoJSON position", Some(value))?;
    on_earth(pair(value)?)
}

fn positions(value: ValueRef<'_>) -> Result<Vec<Position>> {
    array("a list of positions", Some(value))?.iter().map(earth_position).collect()
}

fn line(value: ValueRef<'_>) -> Result<Vec<Position>> {
    let line = positions(value)?;
    if line.len() < 2 {
        return Err(bad("a line needs at least two positions"));
    }
    if line.windows(2).all(|two| matches!(two, [a, b] if a == b)) {
        return Err(bad("a line needs at least two different positions"));
    }
    Ok(line)
}

fn ring(value: ValueRef<'_>) -> Result<Ring> {
    let mut ring = positions(value)?;
    if ring.len() < 4 || ring.first() != ring.last() {
        return Err(bad("a ring has at least four positions and ends where it starts"));
    }
    ring.dedup();
    // Adding zero makes one of the two zeros.
    let bits = |position: &Position| ((position.x + 0.0).to_bits(), (position.y + 0.0).to_bits());
    let different: HashSet<(u64, u64)> = ring.iter().map(bits).collect();
    if different.len() < 3 || different.len() + 1 < ring.len() {
        return Err(bad("a ring has at least three different positions and visits none of them twice"));
    }
    Ok(ring)
}

fn polygon(value: ValueRef<'_>) -> Result<Vec<Ring>> {
    let rings: Vec<Ring> = array("a polygon", Some(value))?.iter().map(ring).collect::<Result<_>>()?;
    if rings.is_empty() {
        return Err(bad("a polygon needs at least one ring"));
    }
    Ok(rings)
}

fn several<T>(value: ValueRef<'_>, one: fn(ValueRef<'_>) -> Result<T>) -> Result<Vec<T>> {
    let members: Vec<T> = array("coordinates", Some(value))?.iter().map(one).collect::<Result<_>>()?;
    if members.is_empty() {
        return Err(bad("a geometry of several parts needs at least one"));
    }
    Ok(members)
}

/// A GeoJSON object. Members it does not need are passed over.
fn geo_json(document: RawDocument<'_>, depth: usize) -> Result<Geometry> {
    if depth > COLLECTION_DEPTH_MAX {
        return Err(bad("geometry collections are nested too deeply"));
    }
    let kind = match document.get("type") {
        Some(ValueRef::String(kind)) => kind,
        Some(other) => {
            return Err(bad(format!("the 'type' of GeoJSON is a string, not {}", described(other))));
        }
        None => return Err(bad("GeoJSON needs a 'type'")),
    };
    if reference_system(document, kind)? == Some(STRICT_WINDING) {
        return Err(bad(
            "a polygon of the strict winding order can be searched for, by itself; it cannot be stored",
        ));
    }
    if kind == "GeometryCollection" {
        let members = array("the 'geometries' of a collection", document.get("geometries"))?;
        let members: Vec<Geometry> = members
            .iter()
            .map(|member| match member {
                ValueRef::Document(member) => geo_json(member, depth + 1),
                other => Err(bad(format!(
                    "a member of a geometry collection is GeoJSON, not {}",
                    described(other)
                ))),
            })
            .collect::<Result<_>>()?;
        if members.is_empty() {
            return Err(bad("a geometry collection needs at least one member"));
        }
        return Ok(Geometry::Collection(members));
    }
    if let ("Point", Some(coordinates @ ValueRef::Document(_))) = (kind, document.get("coordinates")) {
        return Ok(Geometry::Point { position: on_earth(pair(coordinates)?)?, legacy: false });
    }
    let coordinates = ValueRef::Array(array("the 'coordinates' of GeoJSON", document.get("coordinates"))?);
    match kind {
        "Point" => Ok(Geometry::Point { position: earth_position(coordinates)?, legacy: false }),
        "LineString" => Ok(Geometry::LineString(line(coordinates)?)),
        "Polygon" => Ok(Geometry::Polygon(polygon(coordinates)?)),
        "MultiPoint" => several(coordinates, earth_position).map(Geometry::MultiPoint),
        "MultiLineString" => several(coordinates, line).map(Geometry::MultiLineString),
        "MultiPolygon" => several(coordinates, polygon).map(Geometry::MultiPolygon),
        other => Err(bad(format!("'{other}' is not a type of GeoJSON"))),
    }
}

/// The name of the coordinate reference system, if the geometry has one that is known: WGS 84, and for a polygon the one
/// that makes the direction of its ring say what is inside.
fn reference_system<'a>(document: RawDocument<'a>, kind: &str) -> Result<Option<&'a str>> {
    let Some(system) = document.get("crs") else { return Ok(None) };
    let name = system
        .as_document()
        .filter(|system| system.get("type").and_then(ValueRef::as_str) == Some("name"))
        .and_then(|system| system.get("properties"))
        .and_then(ValueRef::as_document)
        .and_then(|properties| properties.get("name"))
        .and_then(ValueRef::as_str)
        .ok_or_else(|| bad("a coordinate reference system is {type: 'name', properties: {name: ...}}"))?;
    match name {
        "EPSG:4326" | "urn:ogc:def:crs:OGC:1.3:CRS84" => Ok(Some(name)),
        STRICT_WINDING if kind == "Polygon" => Ok(Some(name)),
        other => Err(bad(format!("the coordinate reference system '{other}' is not known for a {kind}"))),
    }
}

/// The polygon of the strict winding order, which only queries can ask for: what is left of its one ring.
fn left_of_ring(document: RawDocument<'_>) -> Result<Option<Geometry>> {
    if document.get("type").and_then(ValueRef::as_str) != Some("Polygon")
        || reference_system(document, "Polygon")? != Some(STRICT_WINDING)
    {
        return Ok(None);
    }
    let coordinates = array("the 'coordinates' of GeoJSON", document.get("coordinates"))?;
    let mut rings = polygon(ValueRef::Array(coordinates))?;
    match (rings.pop(), rings.is_empty()) {
        (Some(ring), true) => Ok(Some(Geometry::Left(ring))),
        _ => Err(bad("a polygon of the strict winding order has one ring and no holes")),
    }
}

/// The value of `$geometry`: GeoJSON, or a coordinate pair.
fn query_geometry(value: Option<ValueRef<'_>>) -> Result<Geometry> {
    match value {
        Some(ValueRef::Document(document))
            if document.get("type").is_some() || document.get("coordinates").is_some() =>
        {
            let geometry = match left_of_ring(document)? {
                Some(area) => area,
                None => geo_json(document, 0)?,
            };
            geometry.check_rings()?;
            Ok(geometry)
        }
        Some(value @ (ValueRef::Document(_) | ValueRef::Array(_))) => {
            Ok(Geometry::Point { position: on_earth(pair(value)?)?, legacy: true })
        }
        Some(other) => Err(bad(format!("'$geometry' is GeoJSON, not {}", described(other)))),
        None => Err(bad("'$geometry' is missing")),
    }
}

fn only_argument<'a>(operator: &str, operand: ValueRef<'a>) -> Result<(&'a str, ValueRef<'a>)> {
    let ValueRef::Document(document) = operand else {
        return Err(bad(format!("{operator} needs a document, not {}", described(operand))));
    };
    let mut elements = document.iter();
    match (elements.next(), elements.next()) {
        (Some(shape), None) => Ok((shape.key(), shape.value())),
        (None, _) => Err(bad(format!("{operator} needs a shape"))),
        (Some(_), Some(other)) => {
            Err(bad(format!("{operator} takes one shape; '{}' is one too many", other.key())))
        }
    }
}

pub(super) fn intersects(operand: ValueRef<'_>) -> Result<Geometry> {
    match only_argument("$geoIntersects", operand)? {
        ("$geometry", value) => query_geometry(Some(value)),
        (other, _) => Err(bad(format!("$geoIntersects takes $geometry, not '{other}'"))),
    }
}

pub(super) fn region(operand: ValueRef<'_>) -> Result<Region> {
    let (shape, value) = only_argument("$geoWithin", operand)?;
    match shape {
        "$geometry" => match query_geometry(Some(value))? {
            area @ (Geometry::Polygon(_) | Geometry::MultiPolygon(_) | Geometry::Left(_)) => {
                Ok(Region::Polygons(Shape::new(area)))
            }
            _ => Err(bad("$geoWithin needs a Polygon or a MultiPolygon: nothing else has an inside")),
        },
        "$box" => planar_box(value),
        "$center" => {
            let (center, radius) = circle(shape, value)?;
            Ok(Region::Circle { center, radius })
        }
        "$centerSphere" => {
            let (center, radius) = circle(shape, value)?;
            Ok(Region::Cap { center: on_earth(center)?, radius })
        }
        "$polygon" => planar_polygon(value),
        other => Err(bad(format!("'{other}' is not a shape of $geoWithin"))),
    }
}

/// The members of a shape that is an array or, as is also accepted, a document of any names.
fn members<'a>(what: &str, value: ValueRef<'a>) -> Result<Vec<ValueRef<'a>>> {
    match value {
        ValueRef::Array(array) => Ok(array.iter().collect()),
        ValueRef::Document(document) => Ok(document.iter().map(|element| element.value()).collect()),
        other => Err(bad(format!("{what} needs an array, not {}", described(other)))),
    }
}

/// A position of a shape: two numbers and nothing else.
fn exact_pair(value: ValueRef<'_>) -> Result<Position> {
    let count = members("a position", value)?.len();
    if count > 2 {
        return Err(bad(format!("a position has two coordinates, not {count}")));
    }
    pair(value)
}

fn planar_box(value: ValueRef<'_>) -> Result<Region> {
    let corners = members("$box", value)?;
    let [a, b, ..] = corners.as_slice() else { return Err(bad("$box needs two corners")) };
    let (a, b) = (finite(exact_pair(*a)?)?, finite(exact_pair(*b)?)?);
    let low = Position { x: a.x.min(b.x), y: a.y.min(b.y) };
    let high = Position { x: a.x.max(b.x), y: a.y.max(b.y) };
    Ok(Region::Box { low, high })
}

fn planar_polygon(value: ValueRef<'_>) -> Result<Region> {
    let mut ring: Ring = members("$polygon", value)?
        .into_iter()
        .map(|at| exact_pair(at).and_then(finite))
        .collect::<Result<_>>()?;
    if ring.len() < 3 {
        return Err(bad("$polygon needs at least three positions"));
    }
    if let (Some(first), Some(last)) = (ring.first().copied(), ring.last())
        && first != *last
    {
        ring.push(first);
    }
    Ok(Region::Planar(ring))
}

fn circle(shape: &str, value: ValueRef<'_>) -> Result<(Position, f64)> {
    let parts = members(shape, value)?;
    let [center, radius] = parts.as_slice() else {
        return Err(bad(format!("{shape} needs a position and a radius, and nothing else")));
    };
    let radius = as_f64(*radius)
        .ok_or_else(|| bad(format!("the radius of {shape} is a number, not {}", described(*radius))))?;
    if radius.is_nan() || radius < 0.0 {
        return Err(bad(format!("the radius of {shape} is at least 0, not {radius}")));
    }
    Ok((finite(exact_pair(*center)?)?, radius))
}

/// The GeoJSON point (or pair) of a search for what is near.
pub(super) fn near_point(value: Option<ValueRef<'_>>) -> Result<Position> {
    let untyped = value.and_then(ValueRef::as_document).filter(|document| document.get("type").is_none());
    if let Some(coordinates) = untyped.and_then(|document| document.get("coordinates")) {
        return earth_position(coordinates);
    }
    match query_geometry(value)? {
        Geometry::Point { position, .. } => Ok(position),
        _ => Err(bad("only a Point can be searched near")),
    }
}

/// The coordinate pair of a search for what is near.
pub(super) fn near_pair(value: ValueRef<'_>, spherical: bool) -> Result<Position> {
    let position = finite(pair(value)?)?;
    if spherical { on_earth(position) } else { Ok(position) }
}

/// A distance: a number that is not negative.
///
/// Beside the operator, as opposed to inside its operand, the wrong type of `$minDistance` has a code of its own.
pub(super) fn near_distance(name: &str, value: ValueRef<'_>, is_inside: bool) -> Result<f64> {
    let Some(distance) = as_f64(value) else {
        let reason = format!("{name} is a number, not {}", Value::from(value).type_name());
        let code = if name == "$minDistance" && !is_inside { DISTANCE_TYPE } else { 2 };
        return Err(Error::location(code, reason));
    };
    let is_endless = distance.is_infinite() && name == "$maxDistance" && is_inside;
    if distance.is_nan() || distance < 0.0 || is_endless {
        return Err(bad(format!("{name} is a finite number and at least 0, not {distance}")));
    }
    Ok(distance)
}
