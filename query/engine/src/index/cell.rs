//! Cells: the squares of a quadtree, numbered so that all cells within a cell are one range of numbers.
//!
//! A cell is a square of a face at a level: level 0 is the whole face, every level halves the sides. Its number is
//!
//! ```text
//!   face | two bits per level, coarsest first | 1 | zeros down to the finest level
//! ```
//!
//! so the number of a cell lies in the middle of the numbers of the cells in it. A place is indexed by the cells that
//! cover it, a search looks for the cells that cover what is searched: two coverings of shapes that share a position
//! share a cell, or one has a cell that lies in a cell of the other. So a search looks at the range of each of its
//! cells, and at the single numbers of the cells around it.
//!
//! Coverings are supersets, never exact: whether a place matches is decided by the predicates on the document.

use std::collections::VecDeque;

use sheaf_document::Value;

use crate::plan::Interval;

/// The finest level: 2^26 squares along a side are 60 cm of the earth's surface, and less than the numbers of a
/// search by map ever tell apart.
pub(super) const LEVEL_MAX: u8 = 26;

/// A square of the quadtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Which of up to eight faces.
    pub(super) face: u8,
    /// 0 to [`LEVEL_MAX`].
    pub(super) level: u8,
    /// Squares of this level to the left.
    pub(super) column: u32,
    /// Squares of this level below.
    pub(super) row: u32,
}

/// How a cell lies to a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// They share no position, for certain.
    Apart,
    /// They may share some.
    Part,
    /// The cell lies in the shape.
    Within,
}

impl Cell {
    /// A whole face.
    pub(super) const fn root(face: u8) -> Self {
        Self { face, level: 0, column: 0, row: 0 }
    }

    fn children(self) -> [Self; 4] {
        let child = |right: u32, upper: u32| Self {
            face: self.face,
            level: self.level + 1,
            column: self.column << 1 | right,
            row: self.row << 1 | upper,
        };
        [child(0, 0), child(1, 0), child(0, 1), child(1, 1)]
    }

    fn parent(self) -> Option<Self> {
        let level = self.level.checked_sub(1)?;
        Some(Self { face: self.face, level, column: self.column >> 1, row: self.row >> 1 })
    }

    fn unused_bits(self) -> u32 {
        2 * u32::from(LEVEL_MAX.saturating_sub(self.level))
    }

    /// The cell's number.
    pub(super) fn number(self) -> i64 {
        let position = spread(self.column) | spread(self.row) << 1;
        let bits = u64::from(self.face) << (2 * LEVEL_MAX) | position << self.unused_bits();
        (bits << 1 | 1 << self.unused_bits()).cast_signed()
    }

    /// The lowest and the highest number of a cell in this one, itself included.
    fn range(self) -> (i64, i64) {
        let half = (1i64 << self.unused_bits()) - 1;
        (self.number() - half, self.number() + half)
    }
}

/// Moves the bits of a number to the even places.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Covers a shape with at most about `cells_max` cells, no finer than `level_max`: coarse cells first, each replaced by
/// those of its quarters that touch the shape as long as there is room.
pub(super) fn cover(
    faces: u8,
    level_max: u8,
    cells_max: usize,
    overlap: &dyn Fn(Cell) -> Overlap,
) -> Vec<Cell> {
    let mut done = Vec::new();
    let mut open = VecDeque::new();
    for cell in (0..faces).map(Cell::root) {
        match overlap(cell) {
            Overlap::Apart => {}
            Overlap::Part => open.push_back(cell),
            Overlap::Within => done.push(cell),
        }
    }
    while let Some(cell) = open.pop_front() {
        if cell.level >= level_max {
            done.push(cell);
            continue;
        }
        let touching: Vec<_> = cell
            .children()
            .into_iter()
            .map(|child| (child, overlap(child)))
            .filter(|(_, overlap)| *overlap != Overlap::Apart)
            .collect();
        // That none touches can only be a rounding error: the cell stays.
        if touching.is_empty() || done.len() + open.len() + touching.len() > cells_max.max(1) {
            done.push(cell);
            continue;
        }
        for (child, overlap) in touching {
            if overlap == Overlap::Within { done.push(child) } else { open.push_back(child) }
        }
    }
    done
}

/// What a search that is covered by these cells looks for among the numbers of an index. `with_larger`: stored shapes
/// may have cells that are larger than the search's.
pub(super) fn intervals(cells: &[Cell], with_larger: bool) -> Vec<Interval> {
    let mut found = Vec::new();
    let mut larger = std::collections::BTreeSet::new();
    for cell in cells {
        let (first, last) = cell.range();
        found.push(Interval::new(Value::Int64(first), true, Value::Int64(last), true));
        let mut around = cell.parent().filter(|_| with_larger);
        while let Some(cell) = around {
            larger.insert(cell.number());
            around = cell.parent();
        }
    }
    found.extend(larger.into_iter().map(|number| Interval::point(Value::Int64(number))));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_within_a_cell_are_its_range() {
        let cell = Cell { face: 3, level: 9, column: 300, row: 17 };
        let (first, last) = cell.range();
        let mut below = vec![cell];
        for _ in 0..3 {
            below = below.iter().flat_map(|cell| cell.children()).collect();
            assert!(below.iter().all(|cell| (first..=last).contains(&cell.number())));
        }
        let neighbour = Cell { column: 301, ..cell };
        assert!(!(first..=last).contains(&neighbour.number()));
        assert!(!(first..=last).contains(&cell.parent().expect("not a root").number()));
        let numbers: std::collections::BTreeSet<_> = below.iter().map(|cell| cell.number()).collect();
        assert_eq!(numbers.len(), 64);
    }

    #[test]
    fn leaves_are_odd_and_fit_into_a_long() {
        let last = (1 << LEVEL_MAX) - 1;
        let leaf = Cell { face: 7, level: LEVEL_MAX, column: last, row: last };
        assert_eq!(leaf.number() & 1, 1);
        assert!(leaf.number() > 0);
        assert_eq!(leaf.range(), (leaf.number(), leaf.number()));
    }

    #[test]
    fn coverings_keep_to_their_number_and_lose_nothing() {
        // A rectangle in squares of level 10.
        let (columns, rows) = (100u32..=357, 12u32..=13);
        let overlap = |cell: Cell| {
            let shift = 10 - u32::from(cell.level);
            let span = |start: u32| (start << shift)..=((start + 1) << shift) - 1;
            let (own_columns, own_rows) = (span(cell.column), span(cell.row));
            let apart = own_columns.end() < columns.start()
                || own_columns.start() > columns.end()
                || own_rows.end() < rows.start()
                || own_rows.start() > rows.end();
            if apart { Overlap::Apart } else { Overlap::Part }
        };
        for cells_max in [1, 4, 16, 1_000] {
            let cells = cover(1, 10, cells_max, &overlap);
            assert!(cells.len() <= cells_max, "{}", cells.len());
            let has = |column: u32, row: u32| {
                let leaf = Cell { face: 0, level: 10, column, row }.number();
                cells.iter().any(|cell| (cell.range().0..=cell.range().1).contains(&leaf))
            };
            for column in columns.clone() {
                assert!(has(column, 12) && has(column, 13));
            }
        }
    }
}
