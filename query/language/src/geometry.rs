//! Places: GeoJSON (RFC 7946) and legacy coordinate pairs, on the sphere and on the plane.
//!
//! Two kinds of geometry, chosen by the query and never mixed:
//! - **spherical**: `$geometry`, `$centerSphere`, `$nearSphere`. Edges are great-circle arcs, positions are unit
//!   vectors, a polygon is the smaller of the two parts its ring cuts the sphere into. See [`sphere`].
//! - **planar**: `$box`, `$center`, `$polygon`, `$near` with a coordinate pair. Edges are straight lines between the
//!   numbers; only points can lie in them. See [`plane`].
//!
//! Borders belong to a shape. What a document stores is read leniently (what is no place matches nothing), what a
//! query gives is read strictly.

mod near;
mod parse;
mod plane;
mod simple;
mod sphere;

use sheaf_document::ValueRef;

use crate::{Error, ErrorCode, Result};

pub use near::{Distance, Near};
pub use parse::stored_geometry;

/// Mean radius of the earth in metres, as MongoDB reckons.
pub const EARTH_RADIUS_METRES: f64 = 6_378_100.0;

/// A longitude and a latitude in degrees, or an x and a y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Longitude, or x.
    pub x: f64,
    /// Latitude, or y.
    pub y: f64,
}

/// A ring of positions; the last equals the first.
pub type Ring = Vec<Position>;

/// A place, however it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// One position. `legacy` says that it was a coordinate pair and not GeoJSON.
    Point {
        /// Where.
        position: Position,
        /// Written as a coordinate pair.
        legacy: bool,
    },
    /// A line through positions.
    LineString(Vec<Position>),
    /// An outer ring and the rings of its holes.
    Polygon(Vec<Ring>),
    /// All that is to the left of a ring, be it more than half of the sphere (strict winding).
    Left(Ring),
    /// Several positions.
    MultiPoint(Vec<Position>),
    /// Several lines.
    MultiLineString(Vec<Vec<Position>>),
    /// Several polygons.
    MultiPolygon(Vec<Vec<Ring>>),
    /// Any of these.
    Collection(Vec<Geometry>),
}

/// The shape of a `$geoWithin`.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// A polygon or several, on the sphere.
    Polygons(Shape),
    /// All that is at most `radius` radians away from `center`, on the sphere.
    Cap {
        /// The middle.
        center: Position,
        /// Angle in radians.
        radius: f64,
    },
    /// An upright rectangle on the plane.
    Box {
        /// Lowest x and y.
        low: Position,
        /// Highest x and y.
        high: Position,
    },
    /// All that is at most `radius` away from `center`, on the plane.
    Circle {
        /// The middle.
        center: Position,
        /// In the units of the coordinates.
        radius: f64,
    },
    /// A polygon on the plane.
    Planar(Ring),
}

impl Region {
    /// Reads the operand of `$geoWithin`.
    pub fn parse(operand: ValueRef<'_>) -> Result<Self> {
        parse::region(operand)
    }

    /// Whether the whole geometry lies in the region.
    pub fn contains(&self, geometry: &Geometry) -> bool {
        match self {
            Self::Polygons(shape) => sphere::polygons_contain(&shape.solids, &sphere::solids(geometry)),
            Self::Cap { center, radius } => sphere::cap_contains(*center, *radius, geometry),
            Self::Box { low, high } => {
                plane::point(geometry).is_some_and(|at| plane::in_box(*low, *high, at))
            }
            Self::Circle { center, radius } => {
                plane::point(geometry).is_some_and(|at| plane::distance(*center, at) <= *radius)
            }
            Self::Planar(ring) => plane::point(geometry).is_some_and(|at| plane::in_ring(ring, at)),
        }
    }
}

/// A geometry on the sphere, made ready to be compared with many others.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    geometry: Geometry,
    solids: Vec<sphere::Solid>,
}

impl Shape {
    /// Makes a geometry ready.
    pub fn new(geometry: Geometry) -> Self {
        let solids = sphere::solids(&geometry);
        Self { geometry, solids }
    }

    /// Reads the operand of `$geoIntersects`: `{$geometry: ...}`.
    pub fn parse_intersects(operand: ValueRef<'_>) -> Result<Self> {
        parse::intersects(operand).map(Self::new)
    }

    /// What it was made of.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Whether the two have a position in common.
    pub fn intersects(&self, other: &Geometry) -> bool {
        sphere::intersect(&self.solids, &sphere::solids(other))
    }
}

impl Geometry {
    /// Hands every part that is a point, a line or an area to `visit`.
    fn each_part<'g>(&'g self, visit: &mut dyn FnMut(Part<'g>)) {
        match self {
            Self::Point { position, .. } => visit(Part::Point(*position)),
            Self::LineString(line) => visit(Part::Line(line)),
            Self::Polygon(rings) => visit(Part::Polygon(rings)),
            Self::Left(ring) => visit(Part::Left(ring)),
            Self::MultiPoint(points) => points.iter().for_each(|point| visit(Part::Point(*point))),
            Self::MultiLineString(lines) => lines.iter().for_each(|line| visit(Part::Line(line))),
            Self::MultiPolygon(polygons) => polygons.iter().for_each(|rings| visit(Part::Polygon(rings))),
            Self::Collection(members) => members.iter().for_each(|member| member.each_part(visit)),
        }
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        self.each_part(&mut |part| parts.push(part));
        parts
    }
}

/// A piece of a geometry that is not made of others.
#[derive(Clone, Copy, Debug)]
enum Part<'g> {
    Point(Position),
    Line(&'g [Position]),
    Polygon(&'g [Ring]),
    Left(&'g Ring),
}

fn bad(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::BAD_VALUE, reason)
}

#[cfg(test)]
mod tests;
