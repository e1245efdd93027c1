//! Places and shapes, on the sphere and on the plane.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawDocumentBuf, ValueRef};

use super::simple::check_ring;
use super::{Geometry, Near, Position, Region, Ring, Shape, sphere, stored_geometry};

fn at(x: f64, y: f64) -> Position {
    Position { x, y }
}

fn point(x: f64, y: f64) -> Geometry {
    Geometry::Point { position: at(x, y), legacy: false }
}

fn square(low: f64, high: f64) -> Ring {
    vec![at(low, low), at(high, low), at(high, high), at(low, high), at(low, low)]
}

fn polygons(polygons: Vec<Vec<Ring>>) -> Region {
    Region::Polygons(Shape::new(Geometry::MultiPolygon(polygons)))
}

fn meet(one: &Geometry, other: &Geometry) -> bool {
    let meet = Shape::new(one.clone()).intersects(other);
    assert_eq!(meet, Shape::new(other.clone()).intersects(one), "{one:?} and {other:?}");
    meet
}

fn pair(x: f64, y: f64) -> RawDocumentBuf {
    let mut array = ArrayBuilder::new();
    array.push(x).push(y);
    array.build()
}

#[test]
fn a_polygon_has_its_inside_and_its_border_but_not_its_holes() {
    let region = polygons(vec![vec![square(-10.0, 10.0), square(-5.0, 5.0)]]);
    assert!(region.contains(&point(7.0, 7.0)));
    assert!(region.contains(&point(10.0, 3.0)), "the border belongs to it");
    assert!(!region.contains(&point(0.0, 0.0)), "a hole does not");
    assert!(!region.contains(&point(10.001, 0.0)));
    assert!(!region.contains(&point(179.0, -7.0)), "nor does the other side of the earth");
}

#[test]
fn edges_are_great_circles() {
    let region = polygons(vec![vec![vec![
        at(-60.0, 60.0),
        at(60.0, 60.0),
        at(60.0, 30.0),
        at(-60.0, 30.0),
        at(-60.0, 60.0),
    ]]]);
    assert!(region.contains(&point(0.0, 70.0)), "the northern edge bulges towards the pole");
    assert!(!region.contains(&point(0.0, 45.0)), "and so does the southern");
}

#[test]
fn a_polygon_may_cross_the_date_line_and_surround_a_pole() {
    let across = polygons(vec![vec![vec![
        at(178.0, -2.0),
        at(-178.0, -2.0),
        at(-178.0, 2.0),
        at(178.0, 2.0),
        at(178.0, -2.0),
    ]]]);
    assert!(across.contains(&point(179.0, 0.0)) && across.contains(&point(-179.0, 0.0)));
    assert!(!across.contains(&point(0.0, 0.0)));
    let pole = polygons(vec![vec![vec![at(0.0, 60.0), at(120.0, 60.0), at(-120.0, 60.0), at(0.0, 60.0)]]]);
    assert!(pole.contains(&point(37.0, 89.0)) && !pole.contains(&point(37.0, -89.0)));
}

#[test]
fn lines_and_polygons_are_contained_whole_or_not() {
    let region = polygons(vec![vec![square(-10.0, 10.0), square(-1.0, 1.0)]]);
    assert!(region.contains(&Geometry::LineString(vec![at(5.0, 5.0), at(6.0, -6.0)])));
    assert!(
        !region.contains(&Geometry::LineString(vec![at(5.0, 0.0), at(-5.0, 0.0)])),
        "it crosses the hole"
    );
    assert!(!region.contains(&Geometry::LineString(vec![at(5.0, 0.0), at(50.0, 0.0)])));
    assert!(!region.contains(&Geometry::Polygon(vec![square(-3.0, 3.0)])), "it covers the hole");
    assert!(
        region.contains(&Geometry::Polygon(vec![square(-3.0, 3.0), square(-2.0, 2.0)])),
        "its own hole spares it"
    );
    assert!(!region.contains(&Geometry::MultiPoint(vec![at(5.0, 5.0), at(50.0, 50.0)])));
}

#[test]
fn geometries_intersect() {
    let polygon = Geometry::Polygon(vec![square(-1.0, 1.0)]);
    for other in [
        point(0.0, 0.0),
        point(1.0, 1.0),
        Geometry::LineString(vec![at(-5.0, 0.0), at(5.0, 0.0)]),
        Geometry::Polygon(vec![square(-9.0, 9.0)]),
        Geometry::Collection(vec![point(50.0, 50.0), Geometry::Polygon(vec![square(0.5, 3.0)])]),
    ] {
        assert!(meet(&polygon, &other), "{other:?}");
    }
    for other in [point(2.0, 2.0), point(180.0, 0.0), Geometry::LineString(vec![at(5.0, 5.0), at(6.0, 6.0)])]
    {
        assert!(!meet(&polygon, &other), "{other:?}");
    }
    assert!(meet(&point(180.0, 0.0), &point(-180.0, 0.0)), "the date line is one line");
}

#[test]
fn planar_shapes_hold_points_only() {
    let region = Region::Planar(vec![
        at(0.0, 0.0),
        at(0.0, 10.0),
        at(5.0, 7.0),
        at(10.0, 10.0),
        at(10.0, 0.0),
        at(0.0, 0.0),
    ]);
    assert!(region.contains(&point(2.0, 2.0)) && !region.contains(&point(5.0, 9.0)));
    assert!(!region.contains(&Geometry::LineString(vec![at(1.0, 1.0), at(2.0, 2.0)])));
    assert!(Region::Circle { center: at(0.0, 0.0), radius: 1.0 }.contains(&point(1.0, 0.0)));
    assert!(!Region::Box { low: at(0.0, 0.0), high: at(1.0, 1.0) }.contains(&point(1.1, 0.5)));
}

#[test]
fn distances_are_those_of_the_sphere() {
    let quarter = sphere::angle(at(0.0, 0.0), at(0.0, 90.0));
    assert!((quarter - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
    let mut operand = DocumentBuilder::new();
    operand.document("$geometry", |geometry| {
        geometry.append("type", "Point").array("coordinates", |array| {
            array.push(0.0).push(0.0);
        });
    });
    operand.append("$maxDistance", 200_000);
    let operand = operand.build();
    let near =
        Near::parse(ValueRef::Document(operand.as_raw()), sheaf_document::RawDocument::EMPTY, true).unwrap();
    let metres = near.distance_to(&point(1.0, 0.0)).unwrap();
    assert!((metres - 111_318.845).abs() < 1.0, "{metres}");
    assert!(near.accepts(metres) && !near.accepts(200_001.0));
}

#[test]
fn stored_values_that_are_no_place_are_nothing() {
    let pair = pair(3.0, 4.0);
    let legacy = stored_geometry(ValueRef::Array(pair.as_raw_array()));
    assert_eq!(legacy, Some(Geometry::Point { position: at(3.0, 4.0), legacy: true }));
    for value in [ValueRef::Null, ValueRef::String("x"), ValueRef::Int32(42)] {
        assert_eq!(stored_geometry(value), None);
    }
    let mut nonsense = DocumentBuilder::new();
    nonsense.append("type", "Point").append("coordinates", "here");
    assert_eq!(stored_geometry(ValueRef::Document(nonsense.build().as_raw())), None);
}

#[test]
fn queries_are_read_strictly() {
    let code = |operand: &RawDocumentBuf| {
        Region::parse(ValueRef::Document(operand.as_raw())).map_err(|error| error.code.0)
    };
    let mut empty_box = DocumentBuilder::new();
    empty_box.array("$box", |_| {});
    let mut negative = DocumentBuilder::new();
    negative.array("$center", |array| {
        array.push(sheaf_document::Value::Array(sheaf_document::ArrayValue::Owned(pair(0.0, 0.0)))).push(-1);
    });
    let mut open_ring = DocumentBuilder::new();
    open_ring.document("$geometry", |geometry| {
        geometry.append("type", "Polygon").array("coordinates", |rings| {
            rings.array(|ring| {
                for x in 0..4 {
                    ring.push(sheaf_document::Value::Array(sheaf_document::ArrayValue::Owned(pair(
                        f64::from(x),
                        1.0,
                    ))));
                }
            });
        });
    });
    for operand in [empty_box, negative, open_ring, DocumentBuilder::new()] {
        assert_eq!(code(&operand.build()), Err(2));
    }
}

#[test]
fn rings_that_cross_themselves_are_refused() {
    let ring = |positions: &[(f64, f64)]| {
        Geometry::Polygon(vec![positions.iter().map(|(x, y)| Position { x: *x, y: *y }).collect()])
    };
    assert!(ring(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0), (0.0, 0.0)]).check_rings().is_ok());
    assert!(ring(&[(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0), (0.0, 0.0)]).check_rings().is_err());
    // Around the pole and over the antimeridian.
    assert!(ring(&[(0.0, 80.0), (120.0, 80.0), (-120.0, 80.0), (0.0, 80.0)]).check_rings().is_ok());
    assert!(
        ring(&[(179.0, 0.0), (-179.0, 1.0), (-179.0, 0.0), (179.0, 1.0), (179.0, 0.0)])
            .check_rings()
            .is_err()
    );
}

#[test]
fn comparing_the_edges_of_a_ring_has_an_end() {
    // A comb whose teeth all reach from south to north: every edge is beside every other.
    let teeth = (0..100_u32)
        .map(|tooth| Position { x: f64::from(tooth) / 10.0, y: if tooth % 2 == 0 { -10.0 } else { 10.0 } });
    let mut ring: Ring = teeth.collect();
    ring.extend([
        Position { x: 10.0, y: -20.0 },
        Position { x: 0.0, y: -20.0 },
        Position { x: 0.0, y: -10.0 },
    ]);
    assert!(check_ring(&ring, 10_000).is_ok());
    assert!(check_ring(&ring, 1_000).is_err());
}

#[test]
fn a_ring_has_the_smaller_part_of_the_sphere_either_way_around_and_however_long_it_is() {
    // A band around the equator that is open at 0 degrees: no hemisphere has all of it.
    let east: Vec<Position> = (1..36).map(|step| at(f64::from(step) * 10.0 - 180.0, 5.0)).collect();
    let mut band = east.clone();
    band.extend(east.iter().rev().map(|north| at(north.x, -5.0)));
    band.extend(band.first().copied());
    let mut backwards = band.clone();
    backwards.reverse();
    for ring in [band, backwards] {
        let region = polygons(vec![vec![ring]]);
        for x in [-165.0, -90.0, 3.0, 90.0, 165.0] {
            assert!(region.contains(&point(x, 0.0)), "{x}");
            assert!(!region.contains(&point(x, 20.0)) && !region.contains(&point(x, -80.0)), "{x}");
        }
        assert!(!region.contains(&point(179.0, 0.0)), "where the band is open");
    }
}

#[test]
fn neighbours_share_their_border_and_nothing_else() {
    let west = polygons(vec![vec![vec![at(0.0, 0.0), at(7.0, 3.0), at(3.0, 9.0), at(0.0, 0.0)]]]);
    let east = polygons(vec![vec![vec![at(7.0, 3.0), at(11.0, 8.0), at(3.0, 9.0), at(7.0, 3.0)]]]);
    let mut shared = 0;
    for step in 0..2_000_u32 {
        let place = point(f64::from(step % 50) * 0.21 + 0.37, f64::from(step / 50) * 0.21 + 0.11);
        shared += u32::from(west.contains(&place) && east.contains(&place));
    }
    assert_eq!(shared, 0);
    let line = Geometry::LineString(vec![at(7.0, 3.0), at(3.0, 9.0)]);
    assert!(west.contains(&line) && east.contains(&line), "the border is of both");
}

#[test]
fn rings_without_an_inside_and_edges_without_a_way_are_borne() {
    // Vertices that differ as numbers but not as places, that are opposite each other, or lie on each other.
    let odd = [
        vec![at(0.0, 90.0), at(90.0, 90.0), at(10.0, 90.0), at(0.0, 90.0)],
        vec![at(0.0, 0.0), at(180.0, 0.0), at(90.0, 0.0), at(0.0, 0.0)],
        vec![at(-180.0, 0.0), at(180.0, 0.0), at(0.0, 90.0), at(-180.0, 0.0)],
        vec![at(0.0, 0.0), at(10.0, 0.0), at(5.0, 0.0), at(0.0, 0.0)],
        vec![at(0.0, 0.0), at(10.0, 10.0), at(10.0, 0.0), at(0.0, 10.0), at(0.0, 0.0)],
        vec![at(0.0, -90.0), at(0.0, 90.0), at(90.0, 0.0), at(0.0, -90.0)],
        vec![at(0.0, 0.0), at(1e-200, 0.0), at(0.0, 1e-200), at(0.0, 0.0)],
        vec![at(0.0, 0.0), at(1e-15, 0.0), at(0.0, 1e-15), at(0.0, 0.0)],
    ];
    for ring in &odd {
        let polygon = Geometry::Polygon(vec![ring.clone()]);
        let (region, shape) = (polygons(vec![vec![ring.clone()]]), Shape::new(polygon.clone()));
        for corner in ring {
            assert!(region.contains(&point(corner.x, corner.y)), "{corner:?} of {ring:?}");
        }
        for other in &odd {
            let other = Geometry::Polygon(vec![other.clone()]);
            assert_eq!(shape.intersects(&other), Shape::new(other).intersects(&polygon), "{ring:?}");
        }
    }
}

#[test]
fn polygons_that_share_no_more_than_a_border_do_not_intersect() {
    let square = |x: f64, y: f64, side: f64| {
        let ring = vec![at(x, y), at(x + side, y), at(x + side, y + side), at(x, y + side), at(x, y)];
        Geometry::Polygon(vec![ring])
    };
    let one = square(0.0, 0.0, 10.0);
    for apart in
        [square(10.0, 0.0, 10.0), square(10.0, 10.0, 3.0), square(-4.0, -4.0, 4.0), square(10.0, 0.0, 3.0)]
    {
        assert!(!meet(&one, &apart), "{apart:?}");
    }
    for other in [one.clone(), square(0.0, 0.0, 3.0), square(2.0, 2.0, 3.0), square(9.0, -1.0, 3.0)] {
        assert!(meet(&one, &other), "{other:?}");
    }
    let turned = Geometry::Polygon(vec![vec![
        at(0.0, 0.0),
        at(0.0, 10.0),
        at(10.0, 10.0),
        at(10.0, 0.0),
        at(0.0, 0.0),
    ]]);
    assert!(meet(&one, &turned), "the same the other way around");
}

#[test]
fn what_is_left_of_a_ring_may_be_nearly_everything() {
    let ring = square(-10.0, 10.0);
    let mut clockwise = ring.clone();
    clockwise.reverse();
    let (small, large) = (Geometry::Left(ring), Geometry::Left(clockwise));
    for (area, near, far) in [(small, true, false), (large, false, true)] {
        let region = Region::Polygons(Shape::new(area));
        assert_eq!(region.contains(&point(0.0, 0.0)), near);
        assert_eq!(region.contains(&point(180.0, 0.0)), far);
        assert_eq!(region.contains(&point(20.0, 80.0)), far);
        assert!(region.contains(&point(10.0, 10.0)), "the border is of both");
    }
}

#[test]
fn holes_lie_in_their_polygon_and_apart() {
    let check = |holes: &[Ring]| {
        let rings = std::iter::once(square(0.0, 20.0)).chain(holes.iter().cloned()).collect();
        Geometry::Polygon(rings).check_rings().map_err(|error| error.code.0)
    };
    assert_eq!(check(&[square(1.0, 5.0), square(6.0, 9.0)]), Ok(()));
    let corner: Ring = vec![at(0.0, 0.0), at(3.0, 2.0), at(2.0, 3.0), at(0.0, 0.0)];
    assert_eq!(check(&[corner]), Ok(()), "one position in common is no edge");
    for holes in [
        vec![square(-1.0, 21.0)],
        vec![square(19.0, 22.0)],
        vec![square(30.0, 40.0)],
        vec![square(0.0, 2.0)],
        vec![square(1.0, 5.0), square(2.0, 3.0)],
        vec![square(1.0, 5.0), square(4.0, 8.0)],
        vec![square(1.0, 5.0), square(1.0, 5.0)],
    ] {
        assert_eq!(check(&holes), Err(2), "{holes:?}");
    }
}

#[test]
fn whatever_rings_are_made_of_they_can_be_compared() {
    let numbers = [0.0, -0.0, 5e-324, 1e-200, 1e-15, -1e-9, 1e-3, 30.0, 45.0, 89.999_999_999, 90.0, -90.0];
    let wide = [180.0, -180.0, 179.999_999_999_999_97, 120.0, -120.0, 135.0];
    let mut state = 11_u64;
    let mut draw = |from: &[f64]| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from[usize::try_from(state >> 33).unwrap() % from.len()]
    };
    let all: Vec<f64> = numbers.iter().chain(&wide).copied().collect();
    let mut ring = |corners: usize| {
        let mut ring: Ring = (0..corners).map(|_| at(draw(&all), draw(&numbers))).collect();
        ring.extend(ring.first().copied());
        ring
    };
    for round in 0..2_000 {
        let (one, other) = (ring(3 + round % 3), ring(3 + round % 4));
        let holed = Geometry::Polygon(vec![one.clone(), other.clone()]);
        let _either_is_fine = holed.check_rings();
        let (a, b) = (Geometry::Polygon(vec![one.clone()]), Geometry::Polygon(vec![other.clone()]));
        meet(&a, &b);
        meet(&holed, &Geometry::LineString(other.clone()));
        let region = polygons(vec![vec![one.clone()]]);
        let _either_is_fine = region.contains(&b) || region.contains(&Geometry::LineString(other));
        assert!(one.iter().all(|corner| region.contains(&point(corner.x, corner.y))), "{one:?}");
    }
}
