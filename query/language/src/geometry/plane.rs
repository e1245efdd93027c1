//! The plane: distances by Pythagoras, polygons by crossings of a ray.

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

/// Whether a ring, which ends where it starts, has the position.
///
/// A ray to the right that crosses the ring an odd number of times starts inside; where a ring crosses itself, parts
/// may be outside. Of the border, corners and the edges along an axis belong to it for certain; on a slanted edge the
/// ray decides, so that two polygons side by side share no position of it. A ring without an inside is its border.
pub fn in_ring(ring: &Ring, at: Position) -> bool {
    let edges = || ring.windows(2).filter_map(|edge| edge.first().copied().zip(edge.last().copied()));
    if edges().any(|(from, to)| on_plain_border(from, to, at)) {
        return true;
    }
    let crossings = edges().filter(|(from, to)| crosses(*from, *to, at)).count();
    crossings % 2 == 1
}

/// Whether the position is an end of the edge, or on it where it runs along an axis.
fn on_plain_border(from: Position, to: Position, at: Position) -> bool {
    let spans = |a: f64, b: f64, at: f64| (a.min(b)..=a.max(b)).contains(&at);
    at == from
        || at == to
        || (from.x == to.x && at.x == from.x && spans(from.y, to.y, at.y))
        || (from.y == to.y && at.y == from.y && spans(from.x, to.x, at.x))
}

/// Whether the ray to the right crosses the edge; its lower end does not count, so that corners count once.
fn crosses(from: Position, to: Position, at: Position) -> bool {
    if at.y <= from.y.min(to.y) || at.y > from.y.max(to.y) {
        return false;
    }
    let crossing = from.x + (at.y - from.y) * (to.x - from.x) / (to.y - from.y);
    at.x <= crossing
}
