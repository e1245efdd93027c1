//! Whether the rings of a polygon cross themselves, which leaves no inside to speak of, and whether the holes are holes.
//!
//! An arc lies in the ball around its middle that reaches to its ends, so it has a lowest and a highest z. Arcs are
//! sorted by the lowest and each is compared with those that begin before it ends: few for the outlines of real
//! places. A ring that is made to have all arcs beside each other is refused instead of compared for hours.

use super::sphere::{Arc, arcs_cross, heights, hole_fault, ring_arcs};
use super::{Geometry, Ring, bad};
use crate::Result;

/// Pairs of arcs of one ring that are compared.
const ARC_PAIRS_MAX: usize = 10_000_000;

/// An arc and the slice of the sphere it stays in.
struct Span {
    lowest: f64,
    highest: f64,
    arc: Arc,
}

impl Geometry {
    /// Refuses polygons with a ring that crosses itself, or with holes that are none.
    pub fn check_rings(&self) -> Result<()> {
        match self {
            Self::Polygon(rings) => check_polygon(rings),
            Self::Left(ring) => check_ring(ring, ARC_PAIRS_MAX),
            Self::MultiPolygon(polygons) => polygons.iter().try_for_each(|rings| check_polygon(rings)),
            Self::Collection(members) => members.iter().try_for_each(Self::check_rings),
            Self::Point { .. } | Self::LineString(_) | Self::MultiPoint(_) | Self::MultiLineString(_) => {
                Ok(())
            }
        }
    }
}

fn check_polygon(rings: &[Ring]) -> Result<()> {
    rings.iter().try_for_each(|ring| check_ring(ring, ARC_PAIRS_MAX))?;
    // Every hole is compared with the first ring and with the holes behind it.
    let mut behind: usize = rings.iter().map(Vec::len).sum();
    let mut pairs: usize = 0;
    for ring in rings {
        behind -= ring.len();
        pairs = pairs.saturating_add(ring.len().saturating_mul(behind));
    }
    if pairs > ARC_PAIRS_MAX {
        return Err(bad("a polygon has too many edges to see whether its holes lie in it"));
    }
    hole_fault(rings).map_or(Ok(()), |fault| Err(bad(fault)))
}

pub(super) fn check_ring(ring: &Ring, pairs_max: usize) -> Result<()> {
    let mut spans: Vec<Span> = ring_arcs(ring).into_iter().map(span).collect();
    spans.sort_by(|one, other| one.lowest.total_cmp(&other.lowest));
    let mut compared = 0;
    for (place, one) in spans.iter().enumerate() {
        let beside = spans.iter().skip(place + 1).take_while(|other| other.lowest <= one.highest);
        for other in beside {
            compared += 1;
            if compared > pairs_max {
                return Err(bad("a ring has too many edges beside each other to see whether they cross"));
            }
            if arcs_cross(one.arc, other.arc) {
                return Err(bad("a ring has edges that cross"));
            }
        }
    }
    Ok(())
}

fn span(arc: Arc) -> Span {
    let (lowest, highest) = heights(arc);
    Span { lowest, highest, arc }
}
