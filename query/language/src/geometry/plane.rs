//! The plane: distances by Pythagoras, polygons by the `geo` crate.

use geo::{Coord, Intersects, LineString, Polygon};

use super::{Geometry, Position, Ring};

/// The position of a point; nothing else can lie in a planar shape.
pub fn point(geometry: &Geometry) -> Option<Position> {
    match geometry {
        Geometry::Point { position, .. } => Some(*position),
        _ => None,
    }
}

pub fn in_box(low: Position, high: Position, at: Position) -> bool {
    (low.x..=high.x).contains(&at.x) && (low.y..=high.y).contains(&at.y)
}

pub fn distance(a: Position, b: Position) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Whether the ring's inside or its border has the position. A ring without an inside is its border.
pub fn in_ring(ring: &Ring, at: Position) -> bool {
    if !at.x.is_finite() || !at.y.is_finite() {
        return false;
    }
    let coordinates: Vec<Coord> =
        ring.iter().map(|position| Coord { x: position.x, y: position.y }).collect();
    let line = LineString::new(coordinates);
    let at = geo::Point::new(at.x, at.y);
    line.intersects(&at) || Polygon::new(line, Vec::new()).intersects(&at)
}
