//! Geo indexes: the cells of a document's places, and the numbers that a search looks for.

use std::collections::BTreeSet;

use sheaf_document::{RawDocument, ValueRef};
use sheaf_language::filter::Place;
use sheaf_language::filter::path::{FieldPath, LeafArray, walk};
use sheaf_language::geometry::{Distance, Geometry, Near, stored_geometry};

use super::cell::{Cell, intervals};
use super::{Index, KeyKind, KeyPath, sphere};
use crate::plan::{FieldBounds, Interval};
use crate::{Error, Result, error_code};

/// Code of a value that is no place, in an index on the sphere.
const NO_PLACE_ON_SPHERE: i32 = 16_755;

/// Code of a value that is no place, in an index on the plane.
const NO_PLACE_ON_PLANE: i32 = 16_804;

/// Most cells that the places of one document may have in one field. Protects from documents that would write millions
/// of entries.
const CELLS_MAX: usize = 100_000;

impl Index {
    /// Refuses a document with something else than a place in a field of a geo index.
    pub(super) fn check_places(&self, document: RawDocument<'_>) -> Result<()> {
        for path in &self.paths {
            if matches!(path.kind, KeyKind::PlaneCell | KeyKind::SphereCell) {
                places(document, path)?;
            }
        }
        Ok(())
    }

    /// The numbers of the cells that the places at a path have; none if there is no place.
    pub(super) fn cell_numbers(&self, document: RawDocument<'_>, path: &KeyPath) -> Result<BTreeSet<i64>> {
        let mut numbers = BTreeSet::new();
        for geometry in places(document, path)? {
            if path.kind == KeyKind::PlaneCell {
                // Only points can lie in the shapes of the plane.
                if let (Geometry::Point { position, .. }, Some(grid)) = (&geometry, &self.plane) {
                    numbers.insert(grid.leaf(*position)?.number());
                }
            } else {
                numbers.extend(sphere::stored_cells(&geometry).into_iter().map(Cell::number));
            }
            if numbers.len() > CELLS_MAX {
                return Err(Error::new(
                    error_code::CANNOT_BUILD_INDEX_KEYS,
                    format!("the places in \"{}\" have more than {CELLS_MAX} cells", path.path),
                ));
            }
        }
        Ok(numbers)
    }

    /// What a condition on a place looks for in a field of this kind; none if the two do not measure alike.
    pub(crate) fn place_bounds(&self, kind: KeyKind, place: &Place) -> Option<FieldBounds> {
        match (kind, place) {
            (KeyKind::SphereCell, Place::Within(region)) => sphere::region_cells(region).map(on_sphere),
            (KeyKind::SphereCell, Place::Intersects(shape)) => {
                Some(on_sphere(sphere::shape_cells(shape.geometry())))
            }
            (KeyKind::PlaneCell, Place::Within(region)) => self.plane?.region_cells(region).map(on_plane),
            (_, Place::Near(near)) => self.near_bounds(kind, near, near.distance_max),
            _ => None,
        }
    }

    /// As [`Index::place_bounds`], for what is at most `distance` away.
    pub(crate) fn near_bounds(&self, kind: KeyKind, near: &Near, distance: f64) -> Option<FieldBounds> {
        match kind {
            KeyKind::SphereCell => sphere::near_cells(near, distance).map(on_sphere),
            KeyKind::PlaneCell if near.distance == Distance::Planar => {
                self.plane.map(|grid| on_plane(grid.circle_cells(near.center, distance)))
            }
            _ => None,
        }
    }

    /// The longest distance that two places in a field of this kind can have, in the units of the search.
    pub(crate) fn distance_limit(&self, kind: KeyKind, near: &Near) -> f64 {
        match (kind, near.distance) {
            (KeyKind::SphereCell, Distance::Metres) => {
                std::f64::consts::PI * sheaf_language::geometry::EARTH_RADIUS_METRES
            }
            (KeyKind::SphereCell, _) => std::f64::consts::PI,
            // The middle of a search may lie outside of the range.
            _ => self
                .plane
                .map_or(f64::INFINITY, |grid| grid.diagonal() + near.center.x.abs() + near.center.y.abs()),
        }
    }
}

fn on_sphere(cells: Vec<Cell>) -> FieldBounds {
    FieldBounds::of(intervals(&cells, true), None)
}

fn on_plane(cells: Vec<Cell>) -> FieldBounds {
    // Stored cells are all of the finest level that the index has.
    let found: Vec<Interval> = intervals(&cells, false);
    FieldBounds::of(found, None)
}

/// The places at a path; something else there is an error.
fn places(document: RawDocument<'_>, path: &KeyPath) -> Result<Vec<Geometry>> {
    let mut found = Vec::new();
    let mut refused = None;
    let is_sphere = path.kind == KeyKind::SphereCell;
    walk(document, path.path.components(), LeafArray::Whole, &mut |value, _| {
        let Some(value) = value.filter(|value| !value.is_nullish()) else { return Ok(false) };
        let before = found.len();
        found.extend(stored_geometry(value));
        if let ValueRef::Array(array) = value {
            // The predicates look at every element too.
            found.extend(array.iter().filter_map(stored_geometry));
            let is_place = |item: ValueRef<'_>| is_legacy_place(item, is_sphere);
            if stored_geometry(value).is_none() && !array.iter().all(is_place) {
                refused = Some(format!("{value:?}"));
            }
        } else if found.len() == before {
            refused = Some(format!("{value:?}"));
        }
        Ok(refused.is_some())
    })?;
    if let Some(outside) = found.iter().find(|geometry| is_sphere && !is_on_earth(geometry)) {
        refused =
            refused.or_else(|| Some(format!("{outside:?}, whose longitude or latitude is out of bounds")));
    }
    if refused.is_none() && is_sphere {
        refused = found.iter().find_map(|geometry| geometry.check_rings().err()).map(|error| error.message);
    }
    match refused {
        None => Ok(found),
        Some(what) => Err(Error::location(
            if is_sphere { NO_PLACE_ON_SPHERE } else { NO_PLACE_ON_PLANE },
            format!("the field \"{}\" is in a geo index and must be a place, not {what}", path.path),
        )),
    }
}

/// Whether a value can be one of several places in a field: a coordinate pair, which on the plane may be a document.
fn is_legacy_place(item: ValueRef<'_>, is_sphere: bool) -> bool {
    let may_be = match item {
        ValueRef::Array(_) => true,
        ValueRef::Document(_) => !is_sphere,
        _ => false,
    };
    may_be && matches!(stored_geometry(item), Some(Geometry::Point { legacy: true, .. }))
}

/// Whether a coordinate pair is a longitude and a latitude; GeoJSON was checked when it was read.
fn is_on_earth(geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Point { position, legacy: true } => position.x.abs() <= 180.0 && position.y.abs() <= 90.0,
        _ => true,
    }
}

/// The path of a geo field as the planner compares it with a condition's.
pub(crate) fn is_field(path: &KeyPath, wanted: &FieldPath) -> bool {
    matches!(path.kind, KeyKind::PlaneCell | KeyKind::SphereCell) && path.path == *wanted
}
