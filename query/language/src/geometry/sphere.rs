//! The sphere: predicates over positions as unit vectors, edges the shorter great-circle arcs between them.
//!
//! Orientation, crossings and distances are those of the S2 library, which decides them exactly: two edges never both
//! cross and do not cross, whatever the rounding. What this adds are MongoDB's rules about borders, which belong to a
//! shape: positions closer to an edge than [`EPSILON`] are on it, and an edge that only touches another does not cross
//! it. Two polygons that share no more than their borders do not intersect, though. A ring has the smaller of the two
//! parts that it cuts the sphere into, unless its direction is to say which.
//!
//! S2's own loops and polygons are not used: they are made for borders that belong to one side alone, and they expect
//! rings that were validated, which stored documents without an index are not.

use s2rst::s1::ChordAngle;
use s2rst::s2::edge_crosser::EdgeCrosser;
use s2rst::s2::edge_crossings::{Crossing, angle_contains_vertex, crossing_sign};
use s2rst::s2::edge_distances::{is_distance_less, is_edge_pair_distance_less};
use s2rst::s2::wedge_relations::wedge_intersects;
use s2rst::s2::{LatLng, Point, loop_measures};

use super::{Geometry, Position, Ring};

/// Angles below this are zero: about a tenth of a millimetre on the earth.
const EPSILON: f64 = 1e-11;

/// An edge, from its start to its end.
pub(super) type Arc = (Point, Point);

fn point(position: Position) -> Point {
    // The two names of the antimeridian must be the same to the last bit.
    let x = if position.x == -180.0 { 180.0 } else { position.x };
    LatLng::from_degrees(position.y, x).to_point()
}

fn touching() -> ChordAngle {
    ChordAngle::from_length2(EPSILON * EPSILON)
}

/// The angle between two positions in radians; exact for small angles too.
pub fn angle(a: Position, b: Position) -> f64 {
    point(a).distance(point(b)).radians()
}

fn on_arc((a, b): Arc, at: Point) -> bool {
    is_distance_less(at, a, b, touching())
}

/// Whether two arcs cross at an inner position of both.
pub(super) fn arcs_cross(one: Arc, other: Arc) -> bool {
    crossing_sign(one.0, one.1, other.0, other.1) == Crossing::Cross
        && !on_arc(one, other.0)
        && !on_arc(one, other.1)
        && !on_arc(other, one.0)
        && !on_arc(other, one.1)
}

/// Whether two arcs have a position in common.
fn arcs_meet((a, b): Arc, (c, d): Arc) -> bool {
    is_edge_pair_distance_less(a, b, c, d, touching())
}

fn points(line: &[Position]) -> Vec<Point> {
    line.iter().map(|at| point(*at)).collect()
}

fn edges(line: &[Point]) -> impl Iterator<Item = Arc> + '_ {
    line.iter().copied().zip(line.iter().copied().skip(1))
}

/// The edges of a ring.
pub(super) fn ring_arcs(ring: &Ring) -> Vec<Arc> {
    edges(&points(ring)).collect()
}

fn on_line(line: &[Point], at: Point) -> bool {
    edges(line).any(|arc| on_arc(arc, at))
}

fn lines_meet(one: &[Point], other: &[Point]) -> bool {
    edges(one).any(|a| edges(other).any(|b| arcs_meet(a, b)))
}

/// The middle of an arc; its start, if the ends are opposite each other. Never a vector without a direction, which S2's
/// exact arithmetic does not bear.
fn midpoint((a, b): Arc) -> Point {
    let sum = a.vector() + b.vector();
    if sum.norm2() < EPSILON * EPSILON { a } else { Point::new(sum).normalize() }
}

/// The lowest and the highest z that an arc can have: it lies in the ball around its middle that reaches to its ends.
pub(super) fn heights(arc: Arc) -> (f64, f64) {
    let middle = midpoint(arc);
    let reach = |to: Point| (to.vector() - middle.vector()).norm2().sqrt();
    let reach = reach(arc.0).max(reach(arc.1));
    (middle.z() - reach, middle.z() + reach)
}

/// A ring with what is needed to tell its inside.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Loop {
    /// The last equals the first.
    vertices: Vec<Point>,
    /// Whether [`Point::origin`], from where crossings are counted, is inside; none if the ring has no inside.
    has_origin: Option<bool>,
}

impl Loop {
    /// A ring with the smaller part of the sphere inside.
    fn new(ring: &Ring) -> Self {
        let mut new = Self::directed(ring);
        let open = new.vertices.split_last().map_or(&[][..], |(_, open)| open);
        if !loop_measures::is_normalized(open) {
            new.vertices.reverse();
            new.has_origin = new.has_origin.map(|has_origin| !has_origin);
        }
        new
    }

    /// A ring with the inside to its left.
    fn directed(ring: &Ring) -> Self {
        let mut vertices = points(ring);
        vertices.dedup();
        let mut new = Self { vertices, has_origin: None };
        if let [before, at, after, _, ..] = new.vertices.as_slice() {
            // The corner says on which side the inside is, the crossings on the way there whether the origin is on it too.
            let is_corner_inside = angle_contains_vertex(*before, *at, *after);
            new.has_origin = Some(is_corner_inside != new.is_crossed_oddly(*at));
        }
        new
    }

    /// Whether the way from the origin to a position crosses the ring an odd number of times.
    fn is_crossed_oddly(&self, at: Point) -> bool {
        let mut crosser = EdgeCrosser::new(Point::origin(), at);
        edges(&self.vertices).fold(false, |odd, (a, b)| odd ^ crosser.edge_or_vertex_crossing(a, b))
    }

    /// Whether the position is inside; the border is not the question here.
    fn has_inside(&self, at: Point) -> bool {
        self.has_origin.is_some_and(|has_origin| has_origin != self.is_crossed_oddly(at))
    }

    /// Its corners, each with the vertices before and after it.
    fn corners(&self) -> impl Iterator<Item = (Point, Point, Point)> + '_ {
        let open = self.vertices.split_last().map_or(&[][..], |(_, open)| open);
        let (before, after) = (open.iter().cycle().skip(open.len().max(1) - 1), open.iter().cycle().skip(1));
        before.zip(open).zip(after).map(|((before, at), after)| (*before, *at, *after))
    }

    /// Whether both have a corner at the same place and parts of their insides in it.
    fn has_common_corner(&self, other: &Self) -> bool {
        self.corners().any(|(a, at, b)| {
            other.corners().any(|(c, place, d)| place == at && wedge_intersects(a, at, b, c, d))
        })
    }
}

/// A piece of a shape that is not made of others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Solid {
    Point(Point),
    Line(Vec<Point>),
    Polygon(Vec<Loop>),
}

/// The pieces of a geometry.
pub(super) fn solids(geometry: &Geometry) -> Vec<Solid> {
    let mut solids = Vec::new();
    geometry.each_part(&mut |part| {
        solids.push(match part {
            super::Part::Point(at) => Solid::Point(point(at)),
            super::Part::Line(line) => Solid::Line(points(line)),
            super::Part::Polygon(rings) => Solid::Polygon(rings.iter().map(Loop::new).collect()),
            super::Part::Left(ring) => Solid::Polygon(vec![Loop::directed(ring)]),
        });
    });
    solids
}

/// Whether the polygon, border included, has the position.
fn polygon_has(loops: &[Loop], at: Point) -> bool {
    if loops.iter().any(|ring| on_line(&ring.vertices, at)) {
        return true;
    }
    let Some((outer, holes)) = loops.split_first() else { return false };
    outer.has_inside(at) && !holes.iter().any(|hole| hole.has_inside(at))
}

/// Whether the polygon has the whole line.
fn polygon_has_line(loops: &[Loop], line: &[Point]) -> bool {
    let crossed = |arc| loops.iter().flat_map(|ring| edges(&ring.vertices)).any(|edge| arcs_cross(arc, edge));
    line.iter().all(|at| polygon_has(loops, *at))
        && edges(line).all(|arc| !crossed(arc) && polygon_has(loops, midpoint(arc)))
}

/// The outer ring lies in the polygon and no hole of the polygon lies in it, save where its own holes are.
fn polygon_has_polygon(loops: &[Loop], inner: &[Loop]) -> bool {
    let Some((outer, own_holes)) = inner.split_first() else { return false };
    let spared = |hole: &Loop| {
        own_holes
            .iter()
            .any(|own| hole.vertices.iter().all(|at| own.has_inside(*at) || on_line(&own.vertices, *at)))
    };
    polygon_has_line(loops, &outer.vertices)
        && loops
            .iter()
            .skip(1)
            .all(|hole| spared(hole) || !hole.vertices.iter().any(|at| outer.has_inside(*at)))
}

/// Whether every piece lies in one of the polygons.
pub(super) fn polygons_contain(polygons: &[Solid], pieces: &[Solid]) -> bool {
    let in_one = |piece: &Solid| {
        polygons.iter().any(|polygon| match (polygon, piece) {
            (Solid::Polygon(loops), Solid::Point(at)) => polygon_has(loops, *at),
            (Solid::Polygon(loops), Solid::Line(line)) => polygon_has_line(loops, line),
            (Solid::Polygon(loops), Solid::Polygon(inner)) => polygon_has_polygon(loops, inner),
            (Solid::Point(_) | Solid::Line(_), _) => false,
        })
    };
    !pieces.is_empty() && pieces.iter().all(in_one)
}

/// Whether every position of every part is at most `radius` radians from `center`. A cap below a hemisphere is
/// convex, so the vertices decide; above it an arc bulges inwards, never out of the cap.
pub(super) fn cap_contains(center: Position, radius: f64, geometry: &Geometry) -> bool {
    let near = |at: &Position| angle(center, *at) <= radius;
    let parts = geometry.parts();
    !parts.is_empty()
        && parts.iter().all(|part| match part {
            super::Part::Point(at) => near(at),
            super::Part::Line(line) => line.iter().all(near),
            super::Part::Polygon(rings) => rings.iter().flatten().all(near),
            super::Part::Left(_) => false,
        })
}

/// Whether pieces of one and of another have a position in common.
pub(super) fn intersect(one: &[Solid], other: &[Solid]) -> bool {
    one.iter().any(|a| other.iter().any(|b| solids_intersect(a, b)))
}

fn solids_intersect(one: &Solid, other: &Solid) -> bool {
    match (one, other) {
        (Solid::Point(a), Solid::Point(b)) => on_arc((*a, *a), *b),
        (Solid::Point(at), Solid::Line(line)) | (Solid::Line(line), Solid::Point(at)) => on_line(line, *at),
        (Solid::Point(at), Solid::Polygon(loops)) | (Solid::Polygon(loops), Solid::Point(at)) => {
            polygon_has(loops, *at)
        }
        (Solid::Line(a), Solid::Line(b)) => lines_meet(a, b),
        (Solid::Line(line), Solid::Polygon(loops)) | (Solid::Polygon(loops), Solid::Line(line)) => {
            line.iter().any(|at| polygon_has(loops, *at))
                || loops.iter().any(|ring| lines_meet(line, &ring.vertices))
        }
        (Solid::Polygon(a), Solid::Polygon(b)) => insides_meet(a, b),
    }
}

/// Whether two polygons have more in common than their borders: edges that cross, a corner of both, or an edge of one
/// that begins, or has its middle, inside the other.
fn insides_meet(one: &[Loop], other: &[Loop]) -> bool {
    let reaches_into = |loops: &[Loop], of: &[Loop]| {
        let is_inside = |at| polygon_has(loops, at) && !loops.iter().any(|ring| on_line(&ring.vertices, at));
        of.first().is_some_and(|outer| {
            edges(&outer.vertices).any(|arc| is_inside(arc.0) || is_inside(midpoint(arc)))
        })
    };
    let crosses = |a: &Loop, b: &Loop| {
        edges(&a.vertices).any(|arc| edges(&b.vertices).any(|edge| arcs_cross(arc, edge)))
    };
    one.iter().any(|a| other.iter().any(|b| crosses(a, b)))
        || one.first().zip(other.first()).is_some_and(|(a, b)| a.has_common_corner(b))
        || reaches_into(one, other)
        || reaches_into(other, one)
}

/// Whether two arcs have more than one position in common.
fn arcs_overlap(one: Arc, other: Arc) -> bool {
    let ends = [(one, other.0), (one, other.1), (other, one.0), (other, one.1)];
    let mut shared = ends.into_iter().filter(|(arc, end)| on_arc(*arc, *end)).map(|(_, end)| end);
    shared.next().is_some_and(|first| shared.any(|end| !on_arc((first, first), end)))
}

fn loops_overlap(one: &Loop, other: &Loop) -> bool {
    edges(&one.vertices).any(|a| edges(&other.vertices).any(|b| arcs_overlap(a, b)))
}

/// What is wrong with the rings behind the first as holes of it.
pub(super) fn hole_fault(rings: &[Ring]) -> Option<&'static str> {
    let loops: Vec<Loop> = rings.iter().map(Loop::new).collect();
    let (outer, holes) = loops.split_first()?;
    for (place, hole) in holes.iter().enumerate() {
        if !polygon_has_line(std::slice::from_ref(outer), &hole.vertices) || loops_overlap(outer, hole) {
            return Some(
                "a ring behind the first is a hole: it lies within the first and shares no edge with it",
            );
        }
        let slice = std::slice::from_ref::<Loop>;
        if holes
            .iter()
            .skip(place + 1)
            .any(|next| loops_overlap(hole, next) || insides_meet(slice(hole), slice(next)))
        {
            return Some("the holes of a polygon have nothing in common but single positions");
        }
    }
    None
}
