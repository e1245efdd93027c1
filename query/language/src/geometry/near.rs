//! `$near`, `$nearSphere` and the distances of `$geoNear`.

use sheaf_document::{RawDocument, ValueRef};

use super::{EARTH_RADIUS_METRES, Geometry, Position, Shape, bad, parse, plane, sphere};
use crate::Result;

/// In which units a distance is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Metres on the sphere: the query gave GeoJSON.
    Metres,
    /// Radians on the sphere: `$nearSphere` with a coordinate pair.
    Radians,
    /// Units of the coordinates on the plane: `$near` with a coordinate pair.
    Planar,
}

/// A place, and how far from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// From where.
    pub center: Position,
    /// How distances are meant.
    pub distance: Distance,
    /// At least so far.
    pub distance_min: f64,
    /// At most so far.
    pub distance_max: f64,
}

impl Near {
    /// Reads `operand` of `$near` or `$nearSphere` (`spherical`), with `$minDistance` and `$maxDistance` inside it or
    /// beside it in `siblings`.
    pub fn parse(operand: ValueRef<'_>, siblings: RawDocument<'_>, spherical: bool) -> Result<Self> {
        let inside = operand.as_document().filter(|document| document.get("$geometry").is_some());
        let (center, distance) = match (inside, operand) {
            (Some(document), _) => (parse::near_point(document.get("$geometry"))?, Distance::Metres),
            (None, ValueRef::Document(document))
                if document.get("type").is_some() || document.get("coordinates").is_some() =>
            {
                (parse::near_point(Some(operand))?, Distance::Metres)
            }
            (None, other) => {
                let distance = if spherical { Distance::Radians } else { Distance::Planar };
                (parse::near_pair(other, spherical)?, distance)
            }
        };
        let mut near = Self { center, distance, distance_min: 0.0, distance_max: f64::INFINITY };
        if distance != Distance::Metres
            && let Some(limit) = operand.as_array().and_then(|pair| pair.get(2))
        {
            near.distance_max = parse::near_distance("the third coordinate", limit, true)?;
        }
        for document in inside.into_iter().chain([siblings]) {
            let is_inside = inside.is_some_and(|inside| inside == document);
            for element in document {
                let distance = || parse::near_distance(element.key(), element.value(), is_inside);
                match element.key() {
                    "$minDistance" => near.distance_min = distance()?,
                    "$maxDistance" => near.distance_max = distance()?,
                    "$geometry" | "$near" | "$nearSphere" | "$geoNear" => {}
                    other if is_inside => {
                        return Err(bad(format!("'{other}' is no argument of a search for what is near")));
                    }
                    _ => {}
                }
            }
        }
        Ok(near)
    }

    /// The distance from the center to the nearest position of the geometry's points, in the query's units.
    pub fn distance_to(&self, geometry: &Geometry) -> Option<f64> {
        let mut nearest: Option<f64> = None;
        for position in positions(geometry) {
            let distance = match self.distance {
                Distance::Metres => sphere::angle(self.center, position) * EARTH_RADIUS_METRES,
                Distance::Radians => sphere::angle(self.center, position),
                Distance::Planar => plane::distance(self.center, position),
            };
            nearest = Some(nearest.map_or(distance, |other| other.min(distance)));
        }
        // A point is where it is; anything else may have the center in it.
        let inside = self.distance != Distance::Planar
            && !matches!(geometry, Geometry::Point { .. })
            && Shape::new(geometry.clone())
                .intersects(&Geometry::Point { position: self.center, legacy: false });
        if inside { Some(0.0) } else { nearest }
    }

    /// Whether this distance is wanted.
    pub fn accepts(&self, distance: f64) -> bool {
        (self.distance_min..=self.distance_max).contains(&distance)
    }
}

fn positions(geometry: &Geometry) -> Vec<Position> {
    let mut positions = Vec::new();
    geometry.each_part(&mut |part| match part {
        super::Part::Point(at) => positions.push(at),
        super::Part::Line(line) => positions.extend(line),
        super::Part::Polygon(rings) => positions.extend(rings.iter().flatten()),
        super::Part::Left(ring) => positions.extend(ring),
    });
    positions
}
