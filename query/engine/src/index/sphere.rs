//! Places on the sphere and the cells that cover them.
//!
//! The sphere is seen from its middle through the six faces of a cube; a cell is what is seen through a square of a
//! face. Its edges are arcs of great circles, so it lies within the cap around its middle that has its corners. Shapes
//! are outlined by caps too: a position is a cap without size, an edge is covered by a few, and of a polygon a cell is
//! wanted if an edge is near or if its middle is inside. Caps far apart cannot share a position; there is no
//! antimeridian and no pole to look after.

use sheaf_language::geometry::{
    Distance, EARTH_RADIUS_METRES, Geometry, Near, Position, Region, Ring, Shape,
};

use super::cell::{Cell, LEVEL_MAX, Overlap, cover};

/// Cells that a stored shape is covered by at most; a position has one.
const STORED_CELLS_MAX: usize = 16;

/// Cells that a search is covered by at most.
const SEARCH_CELLS_MAX: usize = 24;

/// Angles closer than this count as touching, in radians: six millimetres on the earth, far more than the predicates'
/// own tolerance and all rounding here.
const SLACK: f64 = 1e-9;

/// Longest piece of an edge that one cap covers, in radians.
const EDGE_PIECE: f64 = 0.02;

/// Caps of an outline at most; more are put together.
const CAPS_MAX: usize = 256;

type Vector = [f64; 3];

/// All positions at most `radius` radians from a center.
#[derive(Clone, Copy, Debug)]
struct Cap {
    center: Vector,
    radius: f64,
}

/// What a covering has to cover.
#[derive(Debug, Default)]
pub(super) struct Outline {
    caps: Vec<Cap>,
    /// Polygons: their inside counts.
    areas: Vec<Shape>,
}

fn vector(position: Position) -> Vector {
    let (longitude, latitude) = (position.x.to_radians(), position.y.to_radians());
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

fn position([x, y, z]: Vector) -> Position {
    Position { x: y.atan2(x).to_degrees(), y: z.atan2(x.hypot(y)).to_degrees() }
}

fn chord([ax, ay, az]: Vector, [bx, by, bz]: Vector) -> f64 {
    ((ax - bx).powi(2) + (ay - by).powi(2) + (az - bz).powi(2)).sqrt()
}

/// The angle between two unit vectors; exact for small ones too.
fn angle(a: Vector, b: Vector) -> f64 {
    2.0 * (chord(a, b) / 2.0).min(1.0).asin()
}

fn unit([x, y, z]: Vector) -> Option<Vector> {
    let length = (x * x + y * y + z * z).sqrt();
    (length > 1e-6).then(|| [x / length, y / length, z / length])
}

fn sum(vectors: impl Iterator<Item = Vector>) -> Vector {
    vectors.fold([0.0; 3], |[x, y, z], [dx, dy, dz]| [x + dx, y + dy, z + dz])
}

/// Whether two caps may share a position.
fn touch(one: Cap, other: Cap) -> bool {
    let reach = one.radius + other.radius + SLACK;
    reach >= std::f64::consts::PI || chord(one.center, other.center) <= 2.0 * (reach / 2.0).sin()
}

/// The direction in which a point of a face is seen, each from -1 to 1.
fn through(face: u8, u: f64, v: f64) -> Vector {
    let direction = match face {
        0 => [1.0, u, v],
        1 => [-1.0, u, v],
        2 => [u, 1.0, v],
        3 => [u, -1.0, v],
        4 => [u, v, 1.0],
        _ => [u, v, -1.0],
    };
    unit(direction).unwrap_or([1.0, 0.0, 0.0])
}

/// Where a direction goes through the cube: the face and the point of it.
fn seen([x, y, z]: Vector) -> (u8, f64, f64) {
    let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
    if ax >= ay && ax >= az {
        (u8::from(x < 0.0), y / ax, z / ax)
    } else if ay >= az {
        (2 + u8::from(y < 0.0), x / ay, z / ay)
    } else {
        (4 + u8::from(z < 0.0), x / az, y / az)
    }
}

/// The number of the square that a coordinate from -1 to 1 falls into, at the finest level.
fn square(coordinate: f64) -> u32 {
    let sides = f64::from(1u32 << LEVEL_MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates, and the range is cut to the face"
    )]
    let square = ((coordinate + 1.0) / 2.0 * sides).clamp(0.0, sides - 1.0) as u32;
    square
}

/// The finest cell that has the position.
fn leaf(at: Position) -> Cell {
    let (face, u, v) = seen(vector(at));
    Cell { face, level: LEVEL_MAX, column: square(u), row: square(v) }
}

/// A cap that a cell lies in.
fn cap_of(cell: Cell) -> Cap {
    let side = 2.0 / f64::from(1u32 << cell.level.min(LEVEL_MAX));
    let at = |column: f64, row: f64| {
        let coordinate = |square: u32, part: f64| (f64::from(square) + part) * side - 1.0;
        through(cell.face, coordinate(cell.column, column), coordinate(cell.row, row))
    };
    let center = at(0.5, 0.5);
    let corners = [at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0), at(1.0, 1.0)];
    let radius = corners.iter().map(|corner| angle(center, *corner)).fold(0.0, f64::max);
    Cap { center, radius }
}

impl Outline {
    /// The outline of a place.
    fn of_geometry(geometry: &Geometry) -> Self {
        let mut outline = Self::default();
        outline.add(geometry);
        outline.simplified()
    }

    /// The outline of a `$geoWithin`, if its shape is on the sphere.
    fn of_region(region: &Region) -> Option<Self> {
        let mut outline = Self::default();
        match region {
            Region::Polygons(shape) => outline.add(shape.geometry()),
            Region::Cap { center, radius } => {
                outline.caps.push(Cap { center: vector(*center), radius: *radius });
            }
            Region::Box { .. } | Region::Circle { .. } | Region::Planar(_) => return None,
        }
        Some(outline.simplified())
    }

    fn add(&mut self, geometry: &Geometry) {
        match geometry {
            Geometry::Point { position, .. } => self.add_point(*position),
            Geometry::LineString(line) => self.add_line(line),
            Geometry::Polygon(rings) => self.add_polygon(rings),
            Geometry::Left(_) => self.add_everything(),
            Geometry::MultiPoint(points) => points.iter().for_each(|point| self.add_point(*point)),
            Geometry::MultiLineString(lines) => lines.iter().for_each(|line| self.add_line(line)),
            Geometry::MultiPolygon(polygons) => polygons.iter().for_each(|rings| self.add_polygon(rings)),
            Geometry::Collection(members) => members.iter().for_each(|member| self.add(member)),
        }
    }

    fn add_point(&mut self, at: Position) {
        self.caps.push(Cap { center: vector(at), radius: 0.0 });
    }

    fn add_line(&mut self, line: &[Position]) {
        for (from, to) in line.iter().zip(line.iter().skip(1)) {
            self.add_edge(vector(*from), vector(*to));
        }
    }

    /// Halves an arc until its pieces are short. Ends that are opposite each other have no one arc: everything.
    fn add_edge(&mut self, from: Vector, to: Vector) {
        let length = angle(from, to);
        let Some(middle) = unit(sum([from, to].into_iter())) else {
            self.caps.push(Cap { center: from, radius: std::f64::consts::PI });
            return;
        };
        if length > EDGE_PIECE {
            self.add_edge(from, middle);
            self.add_edge(middle, to);
        } else {
            self.caps.push(Cap { center: middle, radius: length / 2.0 });
        }
    }

    fn add_polygon(&mut self, rings: &[Ring]) {
        let outer = rings.first().map(Vec::as_slice).unwrap_or_default();
        let corners = || outer.iter().skip(1).map(|at| vector(*at));
        let middle = unit(sum(corners()));
        // What is inside a ring that is nearly a hemisphere is decided by more than its edges.
        match middle.filter(|middle| corners().all(|corner| angle(*middle, corner) < 1.3)) {
            Some(_) => {
                rings.iter().for_each(|ring| self.add_line(ring));
                self.areas.push(Shape::new(Geometry::Polygon(rings.to_vec())));
            }
            None => self.add_everything(),
        }
    }

    /// What may be nearly all of the sphere is not outlined.
    fn add_everything(&mut self) {
        self.caps.push(Cap { center: [1.0, 0.0, 0.0], radius: std::f64::consts::PI });
    }

    /// Puts caps that follow each other together where there are too many.
    fn simplified(mut self) -> Self {
        if self.caps.len() > CAPS_MAX {
            let group = self.caps.len().div_ceil(CAPS_MAX);
            self.caps = self.caps.chunks(group).map(around).collect();
        }
        self
    }

    fn overlap(&self, cell: Cell) -> Overlap {
        let own = cap_of(cell);
        let mut found = Overlap::Apart;
        for cap in &self.caps {
            if angle(cap.center, own.center) + own.radius <= cap.radius {
                return Overlap::Within;
            }
            if touch(*cap, own) {
                found = Overlap::Part;
            }
        }
        if found == Overlap::Apart && !self.areas.is_empty() {
            // No edge is near: the cell is inside whole or outside whole, as its middle is.
            let middle = Geometry::Point { position: position(own.center), legacy: false };
            if self.areas.iter().any(|area| area.intersects(&middle)) {
                found = Overlap::Within;
            }
        }
        found
    }

    fn cells(&self, cells_max: usize) -> Vec<Cell> {
        cover(6, LEVEL_MAX, cells_max, &|cell| self.overlap(cell))
    }
}

/// A cap that has several.
fn around(caps: &[Cap]) -> Cap {
    match unit(sum(caps.iter().map(|cap| cap.center))) {
        Some(center) => {
            let reach = |cap: &Cap| angle(center, cap.center) + cap.radius;
            Cap { center, radius: caps.iter().map(reach).fold(0.0, f64::max) }
        }
        None => Cap { center: [1.0, 0.0, 0.0], radius: std::f64::consts::PI },
    }
}

/// The cells of a stored place.
pub(super) fn stored_cells(geometry: &Geometry) -> Vec<Cell> {
    match geometry {
        Geometry::Point { position, .. } => vec![leaf(*position)],
        other => Outline::of_geometry(other).cells(STORED_CELLS_MAX),
    }
}

/// The cells of a `$geoWithin`, if its shape is on the sphere.
pub(super) fn region_cells(region: &Region) -> Option<Vec<Cell>> {
    Outline::of_region(region).map(|outline| outline.cells(SEARCH_CELLS_MAX))
}

/// The cells of a `$geoIntersects`.
pub(super) fn shape_cells(geometry: &Geometry) -> Vec<Cell> {
    Outline::of_geometry(geometry).cells(SEARCH_CELLS_MAX)
}

/// The angle that a distance of a search is, in radians; none if distances are planar.
fn radians(near: &Near, distance: f64) -> Option<f64> {
    match near.distance {
        Distance::Metres => Some(distance / EARTH_RADIUS_METRES),
        Distance::Radians => Some(distance),
        Distance::Planar => None,
    }
}

/// The cells of everything that is at most `distance` from the middle of a search.
pub(super) fn near_cells(near: &Near, distance: f64) -> Option<Vec<Cell>> {
    let radius = radians(near, distance)?.clamp(0.0, std::f64::consts::PI);
    let outline = Outline { caps: vec![Cap { center: vector(near.center), radius }], areas: Vec::new() };
    Some(outline.cells(SEARCH_CELLS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(cells: &[Cell], at: Position) -> bool {
        let leaf = leaf(at).number();
        let range = |cell: &Cell| match super::super::cell::intervals(&[*cell], false).as_slice() {
            [only] => (only.lower.value.clone(), only.upper.value.clone()),
            _ => panic!("one range"),
        };
        cells.iter().any(|cell| {
            matches!(range(cell), (sheaf_document::Value::Int64(first), sheaf_document::Value::Int64(last))
                if (first..=last).contains(&leaf))
        })
    }

    fn positions(count: u32) -> impl Iterator<Item = Position> {
        (0..count).map(move |number| {
            // Spread over the sphere by the golden angle.
            let part = (f64::from(number) + 0.5) / f64::from(count);
            let x = (f64::from(number) * 137.507_764 + 180.0).rem_euclid(360.0) - 180.0;
            Position { x, y: (1.0 - 2.0 * part).asin().to_degrees() }
        })
    }

    #[test]
    fn caps_are_covered_whole() {
        for center in [(0.0, 0.0), (180.0, 3.0), (-77.0, 90.0), (13.0, -89.9), (45.0, 35.26)] {
            for radius in [0.0, 1e-7, 0.01, 0.4, 1.7, 3.2] {
                let center = Position { x: center.0, y: center.1 };
                let region = Region::Cap { center, radius };
                let cells = region_cells(&region).expect("on the sphere");
                assert!(!cells.is_empty() && cells.len() <= SEARCH_CELLS_MAX, "{}", cells.len());
                assert!(covers(&cells, center));
                for at in positions(2_000) {
                    let inside = region.contains(&Geometry::Point { position: at, legacy: false });
                    assert!(!inside || covers(&cells, at), "{at:?} in {region:?}");
                }
            }
        }
    }

    #[test]
    fn polygons_are_covered_whole_and_not_much_more() {
        let ring = |corners: &[(f64, f64)]| -> Ring {
            let mut ring: Ring = corners.iter().map(|(x, y)| Position { x: *x, y: *y }).collect();
            ring.extend(ring.first().copied());
            ring
        };
        for corners in [
            vec![(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)],
            vec![(170.0, -20.0), (-160.0, -20.0), (-160.0, 20.0), (170.0, 20.0)],
            vec![(0.0, 70.0), (120.0, 70.0), (-120.0, 70.0)],
            vec![(-80.0, 40.0), (-10.0, 41.0), (60.0, 40.0), (-10.0, 39.0)],
        ] {
            let rings = vec![ring(&corners)];
            let region = Region::Polygons(Shape::new(Geometry::Polygon(rings.clone())));
            let cells = region_cells(&region).expect("on the sphere");
            let mut outside = 0;
            for at in positions(20_000) {
                let inside = region.contains(&Geometry::Point { position: at, legacy: false });
                assert!(!inside || covers(&cells, at), "{at:?} in {region:?}");
                outside += u32::from(!inside && covers(&cells, at));
            }
            assert!(outside < 3_000, "{outside} of 20000 positions are covered in vain by {corners:?}");
            // Each corner is of the polygon, and so are its stored cells.
            for (x, y) in corners {
                assert!(covers(&cells, Position { x, y }));
                assert!(covers(&stored_cells(&Geometry::Polygon(rings.clone())), Position { x, y }));
            }
        }
    }

    #[test]
    fn both_names_of_the_antimeridian_are_covered_together() {
        let near = |x: f64| {
            let center = Position { x, y: 12.0 };
            let near =
                Near { center, distance: Distance::Metres, distance_min: 0.0, distance_max: f64::INFINITY };
            near_cells(&near, 1.0).expect("on the sphere")
        };
        for cells in [near(180.0), near(-180.0)] {
            assert!(covers(&cells, Position { x: 180.0, y: 12.0 }));
            assert!(covers(&cells, Position { x: -180.0, y: 12.0 }));
        }
    }
}
