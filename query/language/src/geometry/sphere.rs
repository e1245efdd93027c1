//! The sphere: positions as unit vectors, edges as the shorter great-circle arcs between them.
//!
//! No maintained crate answers containment with great-circle edges, and a projection is wrong near its horizon, so
//! these are the textbook predicates over vectors:
//! - *orientation* of three positions: the sign of their determinant;
//! - two arcs *cross* if the ends of each lie on different sides of the other, in the same hemisphere;
//! - a position lies *in a ring* if the azimuths of the ring's vertices, seen from it, wind once around. A ring lies
//!   in less than a hemisphere, so a position that is a right angle or more from the ring's middle is outside (and
//!   the winding seen from the antipode of an inner position is thereby excluded).
//!
//! A polygon contains a line if it has the line's vertices and none of its edges is crossed.

use super::{Geometry, Part, Position, Ring};

/// Sines and distances below this are zero: about a tenth of a millimetre on the earth.
const EPSILON: f64 = 1e-11;

pub(super) type Vector = [f64; 3];

fn vector(position: Position) -> Vector {
    // The two names of the antimeridian must be the same to the last bit.
    let x = if position.x == -180.0 { 180.0 } else { position.x };
    let (longitude, latitude) = (x.to_radians(), position.y.to_radians());
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

fn dot(a: Vector, b: Vector) -> f64 {
    let ([ax, ay, az], [bx, by, bz]) = (a, b);
    ax * bx + ay * by + az * bz
}

fn cross(a: Vector, b: Vector) -> Vector {
    let ([ax, ay, az], [bx, by, bz]) = (a, b);
    [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx]
}

fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

fn sum(vectors: impl Iterator<Item = Vector>) -> Vector {
    vectors.fold([0.0; 3], |[x, y, z], [dx, dy, dz]| [x + dx, y + dy, z + dz])
}

/// The angle between two positions in radians; exact for small angles too.
pub fn angle(a: Position, b: Position) -> f64 {
    let (a, b) = (vector(a), vector(b));
    norm(cross(a, b)).atan2(dot(a, b))
}

/// -1, 0 or 1: on which side of the great circle through `a` and `b` is `c`.
fn side(a: Vector, b: Vector, c: Vector) -> i8 {
    let volume = dot(cross(a, b), c);
    if volume > EPSILON {
        1
    } else if volume < -EPSILON {
        -1
    } else {
        0
    }
}

/// Whether the position lies on the arc from `a` to `b`.
fn on_arc(a: Vector, b: Vector, at: Vector) -> bool {
    let normal = cross(a, b);
    let length = norm(normal);
    if length < EPSILON {
        return norm(cross(a, at)) < EPSILON && dot(a, at) > 0.0;
    }
    dot(normal, at).abs() / length < EPSILON
        && dot(cross(normal, a), at) >= -EPSILON
        && dot(cross(b, normal), at) >= -EPSILON
}

/// Whether two arcs cross at an inner position of both.
pub(super) fn arcs_cross(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    let (abc, abd, cda, cdb) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b));
    abc * abd < 0 && cda * cdb < 0 && abc == -cda
}

/// Whether two arcs have a position in common.
fn arcs_meet(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    arcs_cross(a, b, c, d) || on_arc(a, b, c) || on_arc(a, b, d) || on_arc(c, d, a) || on_arc(c, d, b)
}

pub(super) fn arcs(line: &[Position]) -> impl Iterator<Item = (Vector, Vector)> + '_ {
    line.iter().zip(line.iter().skip(1)).map(|(a, b)| (vector(*a), vector(*b)))
}

fn on_line(line: &[Position], at: Vector) -> bool {
    arcs(line).any(|(a, b)| on_arc(a, b, at))
}

/// Whether the position is inside the ring; its border is not the question here.
fn inside_ring(ring: &Ring, at: Vector) -> bool {
    let middle = sum(ring.iter().skip(1).map(|position| vector(*position)));
    if dot(middle, at) <= 0.0 {
        return false;
    }
    // A tangent frame at the position: east is any direction across it.
    let [x, y, _] = at;
    let across = if x.abs() < 0.5 {
        [1.0, 0.0, 0.0]
    } else if y.abs() < 0.5 {
        [0.0, 1.0, 0.0]
    } else {
        [0.0, 0.0, 1.0]
    };
    let east = cross(across, at);
    let north = cross(at, east);
    let azimuth = |to: Vector| dot(to, east).atan2(dot(to, north) / norm(at));
    let turned: f64 = arcs(ring)
        .map(|(a, b)| {
            let turn = azimuth(b) - azimuth(a);
            if turn > std::f64::consts::PI {
                turn - std::f64::consts::TAU
            } else if turn < -std::f64::consts::PI {
                turn + std::f64::consts::TAU
            } else {
                turn
            }
        })
        .sum();
    turned.abs() > std::f64::consts::PI
}

/// Whether the polygon, border included, has the position.
fn polygon_has(rings: &[Ring], at: Vector) -> bool {
    if rings.iter().any(|ring| on_line(ring, at)) {
        return true;
    }
    let Some((outer, holes)) = rings.split_first() else { return false };
    inside_ring(outer, at) && !holes.iter().any(|hole| inside_ring(hole, at))
}

/// Whether the polygon has the whole line.
fn polygon_has_line(rings: &[Ring], line: &[Position]) -> bool {
    let crossed = |(a, b)| rings.iter().flat_map(|ring| arcs(ring)).any(|(c, d)| arcs_cross(a, b, c, d));
    line.iter().all(|at| polygon_has(rings, vector(*at)))
        && arcs(line).all(|arc| !crossed(arc) && polygon_has(rings, midpoint(arc)))
}

fn midpoint((a, b): (Vector, Vector)) -> Vector {
    let middle = sum([a, b].into_iter());
    let length = norm(middle);
    if length < EPSILON { a } else { middle.map(|part| part / length) }
}

/// The lowest and the highest z that an arc can have: it lies in the ball around its middle that reaches to its ends.
pub(super) fn heights((a, b): (Vector, Vector)) -> (f64, f64) {
    let middle = midpoint((a, b));
    let [x, y, z] = middle;
    let reach = |[to_x, to_y, to_z]: Vector| norm([to_x - x, to_y - y, to_z - z]);
    let reach = reach(a).max(reach(b));
    (z - reach, z + reach)
}

/// Whether every part lies in one of the polygons.
pub fn polygons_contain(polygons: &[Vec<Ring>], geometry: &Geometry) -> bool {
    let parts = geometry.parts();
    !parts.is_empty()
        && parts.iter().all(|part| {
            polygons.iter().any(|rings| match part {
                Part::Point(at) => polygon_has(rings, vector(*at)),
                Part::Line(line) => polygon_has_line(rings, line),
                Part::Polygon(inner) => polygon_has_polygon(rings, inner),
            })
        })
}

/// The outer ring lies in the polygon and no hole of the polygon lies in it, save where its own holes are.
fn polygon_has_polygon(rings: &[Ring], inner: &[Ring]) -> bool {
    let Some(outer) = inner.first() else { return false };
    let spared = |hole: &Ring| {
        inner
            .iter()
            .skip(1)
            .any(|own| hole.iter().all(|at| inside_ring(own, vector(*at)) || on_line(own, vector(*at))))
    };
    polygon_has_line(rings, outer)
        && rings
            .iter()
            .skip(1)
            .all(|hole| spared(hole) || !hole.iter().any(|at| inside_ring(outer, vector(*at))))
}

/// Whether every position of every part is at most `radius` radians from `center`. A cap below a hemisphere is
/// convex, so the vertices decide; above it an arc bulges inwards, never out of the cap.
pub fn cap_contains(center: Position, radius: f64, geometry: &Geometry) -> bool {
    let near = |at: &Position| angle(center, *at) <= radius;
    let parts = geometry.parts();
    !parts.is_empty()
        && parts.iter().all(|part| match part {
            Part::Point(at) => near(at),
            Part::Line(line) => line.iter().all(near),
            Part::Polygon(rings) => rings.iter().flatten().all(near),
        })
}

/// Whether two geometries have a position in common.
pub fn intersect(one: &Geometry, other: &Geometry) -> bool {
    let others = other.parts();
    one.parts().iter().any(|a| others.iter().any(|b| parts_intersect(*a, *b)))
}

fn parts_intersect(one: Part<'_>, other: Part<'_>) -> bool {
    match (one, other) {
        (Part::Point(a), Part::Point(b)) => angle(a, b) < EPSILON,
        (Part::Point(at), Part::Line(line)) | (Part::Line(line), Part::Point(at)) => {
            on_line(line, vector(at))
        }
        (Part::Point(at), Part::Polygon(rings)) | (Part::Polygon(rings), Part::Point(at)) => {
            polygon_has(rings, vector(at))
        }
        (Part::Line(a), Part::Line(b)) => lines_meet(a, b),
        (Part::Line(line), Part::Polygon(rings)) | (Part::Polygon(rings), Part::Line(line)) => {
            line.iter().any(|at| polygon_has(rings, vector(*at)))
                || rings.iter().any(|ring| lines_meet(line, ring))
        }
        (Part::Polygon(a), Part::Polygon(b)) => {
            let vertex_in = |rings: &[Ring], of: &[Ring]| {
                of.first().is_some_and(|outer| outer.iter().any(|at| polygon_has(rings, vector(*at))))
            };
            vertex_in(a, b) || vertex_in(b, a) || a.iter().any(|ra| b.iter().any(|rb| lines_meet(ra, rb)))
        }
    }
}

fn lines_meet(one: &[Position], other: &[Position]) -> bool {
    arcs(one).any(|(a, b)| arcs(other).any(|(c, d)| arcs_meet(a, b, c, d)))
}
