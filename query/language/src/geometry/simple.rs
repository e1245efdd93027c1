//! Whether the rings of a polygon cross themselves, which leaves no inside to speak of.
//!
//! An arc lies in the ball around its middle that reaches to its ends, so it has a lowest and a highest z. Arcs are
//! sorted by the lowest and each is compared with those that begin before it ends: few for the outlines of real
//! places. A ring that is made to have all arcs beside each other is refused instead of compared for hours.

use super::sphere::{Vector, arcs, arcs_cross, heights};
use super::{Geometry, Ring, bad};
use crate::Result;

/// Pairs of arcs of one ring that are compared.
const ARC_PAIRS_MAX: usize = 10_000_000;

/// An arc and the slice of the sphere it stays in.
struct Span {
    lowest: f64,
    highest: f64,
    arc: (Vector, Vector),
}

impl Geometry {
    /// Refuses polygons with a ring that crosses itself.
    pub fn check_rings(&self) -> Result<()> {
        match self {
            Self::Polygon(rings) => rings.iter().try_for_each(|ring| check_ring(ring, ARC_PAIRS_MAX)),
            Self::MultiPolygon(polygons) => {
                polygons.iter().flatten().try_for_each(|ring| check_ring(ring, ARC_PAIRS_MAX))
            }
            Self::Collection(members) => members.iter().try_for_each(Self::check_rings),
            Self::Point { .. } | Self::LineString(_) | Self::MultiPoint(_) | Self::MultiLineString(_) => {
                Ok(())
            }
        }
    }
}

pub(super) fn check_ring(ring: &Ring, pairs_max: usize) -> Result<()> {
    let mut spans: Vec<Span> = arcs(ring).map(span).collect();
    spans.sort_by(|one, other| one.lowest.total_cmp(&other.lowest));
    let mut compared = 0;
    for (place, one) in spans.iter().enumerate() {
        let beside = spans.iter().skip(place + 1).take_while(|other| other.lowest <= one.highest);
        for other in beside {
            compared += 1;
            if compared > pairs_max {
                return Err(bad("a ring has too many edges beside each other to see whether they cross"));
            }
            if arcs_cross(one.arc.0, one.arc.1, other.arc.0, other.arc.1) {
                return Err(bad("a ring has edges that cross"));
            }
        }
    }
    Ok(())
}

fn span(arc: (Vector, Vector)) -> Span {
    let (lowest, highest) = heights(arc);
    Span { lowest, highest, arc }
}
