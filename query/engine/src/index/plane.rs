//! Places on the plane and the cells that cover them: a grid over a range of coordinates.

use sheaf_document::RawDocument;
use sheaf_language::geometry::{Position, Region};

use super::cell::{Cell, LEVEL_MAX, Overlap, cover};
use crate::catalog::plane_range;
use crate::{Error, Result};

/// Cells that a search is covered by at most.
const SEARCH_CELLS_MAX: usize = 24;

/// Code of a position that is outside of the range.
const OUT_OF_RANGE: i32 = 13_027;

/// The range of an index on the plane, and how finely it is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PlaneGrid {
    min: f64,
    max: f64,
    /// The level of stored cells. More bits than the finest level has say nothing more: searches look at the
    /// documents themselves in the end.
    level: u8,
}

impl PlaneGrid {
    /// Reads the options `min`, `max` and `bits` of an index.
    pub(super) fn new(options: RawDocument<'_>) -> Result<Self> {
        let range = plane_range(options)?;
        Ok(Self {
            min: range.min,
            max: range.max,
            level: u8::try_from(range.bits).unwrap_or(LEVEL_MAX).min(LEVEL_MAX),
        })
    }

    /// The cell of a position, which must be in the range.
    pub(super) fn leaf(&self, at: Position) -> Result<Cell> {
        let range = self.min..=self.max;
        if !range.contains(&at.x) || !range.contains(&at.y) {
            return Err(Error::location(
                OUT_OF_RANGE,
                format!("the position [{}, {}] is not within {} and {}", at.x, at.y, self.min, self.max),
            ));
        }
        Ok(Cell { face: 0, level: self.level, column: self.square(at.x), row: self.square(at.y) })
    }

    /// The square that a coordinate falls into, the nearest one if it is outside of the range.
    fn square(&self, coordinate: f64) -> u32 {
        let sides = f64::from(1u32 << self.level);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates, and the range is cut to the grid"
        )]
        let square = ((coordinate - self.min) / (self.max - self.min) * sides).clamp(0.0, sides - 1.0) as u32;
        square
    }

    /// The cells of a `$geoWithin`, if its shape is on the plane.
    pub(super) fn region_cells(&self, region: &Region) -> Option<Vec<Cell>> {
        match region {
            Region::Box { low, high } => Some(self.box_cells(*low, *high)),
            Region::Circle { center, radius } => Some(self.circle_cells(*center, *radius)),
            Region::Planar(ring) => {
                let (mut low, mut high) = (*ring.first()?, *ring.first()?);
                for at in ring {
                    low = Position { x: low.x.min(at.x), y: low.y.min(at.y) };
                    high = Position { x: high.x.max(at.x), y: high.y.max(at.y) };
                }
                Some(self.box_cells(low, high))
            }
            Region::Polygons(_) | Region::Cap { .. } => None,
        }
    }

    /// The cells of everything that is at most `radius` from a center.
    pub(super) fn circle_cells(&self, center: Position, radius: f64) -> Vec<Cell> {
        self.box_cells(
            Position { x: center.x - radius, y: center.y - radius },
            Position { x: center.x + radius, y: center.y + radius },
        )
    }

    /// The cells of a rectangle, and of the squares around it: the predicates round too.
    fn box_cells(&self, low: Position, high: Position) -> Vec<Cell> {
        let last = (1u32 << self.level) - 1;
        let squares = |low: f64, high: f64| {
            (self.square(low).saturating_sub(1), self.square(high).saturating_add(1).min(last))
        };
        let (columns, rows) = (squares(low.x, high.x), squares(low.y, high.y));
        cover(1, self.level, SEARCH_CELLS_MAX, &|cell| {
            let shift = u32::from(self.level.saturating_sub(cell.level));
            let span = |square: u32| (square << shift, (square << shift) + (1 << shift) - 1);
            let (own_columns, own_rows) = (span(cell.column), span(cell.row));
            let apart = |own: (u32, u32), wanted: (u32, u32)| own.1 < wanted.0 || own.0 > wanted.1;
            let within = |own: (u32, u32), wanted: (u32, u32)| own.0 >= wanted.0 && own.1 <= wanted.1;
            if apart(own_columns, columns) || apart(own_rows, rows) {
                Overlap::Apart
            } else if within(own_columns, columns) && within(own_rows, rows) {
                Overlap::Within
            } else {
                Overlap::Part
            }
        })
    }

    /// The longest distance within the range.
    pub(super) fn diagonal(&self) -> f64 {
        (self.max - self.min) * std::f64::consts::SQRT_2
    }
}
