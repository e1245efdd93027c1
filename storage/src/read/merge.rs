//! Merges sorted sources into one sorted walk over all entries, every version included.
//!
//! The sources that stand on an entry are in a binary heap of their numbers, the foremost at its root. Most steps move
//! the same source as the step before (a large bottom level under a few small ones), so the runner-up is remembered: a
//! step that leaves the winner before the runner-up costs one comparison and does not touch the heap. With one source
//! there is no comparison at all.
//!
//! A walk goes one way from the seek that started it; turning round is another seek. Among equal entries the source
//! with the lower number, the newer one, comes first. After an error the walk stays where it failed and every move
//! returns the error again.

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::read::source::Source;
use crate::sstable::block::Position;
use crate::sstable::cursor::Reach;
use crate::value_slice::ValueSlice;

/// A walk over several sources.
pub struct MergeCursor {
    sources: Vec<Source>,
    /// Numbers of the sources that stand on an entry, as a binary heap.
    heap: Vec<usize>,
    /// The foremost of the others, while the heap below the root is unchanged.
    runner_up: Option<usize>,
    backward: bool,
    error: Option<Error>,
}

impl MergeCursor {
    /// Over `sources`, the newest first. Stands nowhere until moved.
    pub fn new(sources: Vec<Source>) -> MergeCursor {
        let heap = Vec::with_capacity(sources.len());
        MergeCursor { sources, heap, runner_up: None, backward: false, error: None }
    }

    #[inline]
    fn winner(&self) -> Option<&Source> {
        self.heap.first().and_then(|&number| self.sources.get(number))
    }

    /// Whether it stands on an entry.
    #[inline]
    pub fn valid(&self) -> bool {
        !self.heap.is_empty() && self.error.is_none()
    }

    /// Where it stands, `None` when nowhere.
    #[inline]
    pub fn position(&self) -> Option<Position<'_>> {
        if self.error.is_some() {
            return None;
        }
        self.winner().map(Source::position)
    }

    /// What the entry is.
    #[inline]
    pub fn kind(&self) -> ValueKind {
        self.winner().map_or(ValueKind::Delete, Source::kind)
    }

    /// The entry's value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.winner().map_or(&[], Source::value)
    }

    /// The entry's value for keeps.
    pub fn value_slice(&self) -> ValueSlice {
        self.winner().map_or_else(|| ValueSlice::copied(&[]), Source::value_slice)
    }

    /// The number of the source the entry comes from.
    pub fn source(&self) -> Option<usize> {
        self.heap.first().copied()
    }

    /// Moves to the first entry at or after `target`; the walk goes forward, about as far as `reach` says.
    pub fn seek(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        self.begin(|source| source.begin_seek(target, reach))?;
        self.start(false, |source| source.finish_seek(target))
    }

    /// Moves to the first entry; the walk goes forward.
    pub fn seek_to_first(&mut self) -> Result<()> {
        self.start(false, Source::seek_to_first)
    }

    /// Moves to the last entry before `target`; the walk goes backward, about as far as `reach` says.
    pub fn seek_before(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        self.begin(|source| source.begin_seek_before(target, reach))?;
        self.start(true, |source| source.finish_seek_before(target))
    }

    /// Moves to the last entry; the walk goes backward.
    pub fn seek_to_last(&mut self) -> Result<()> {
        self.start(true, Source::seek_to_last)
    }

    /// Has every source do the first half of a move.
    fn begin(&mut self, mut half: impl FnMut(&mut Source) -> Result<()>) -> Result<()> {
        self.check()?;
        let begun = self.sources.iter_mut().try_for_each(&mut half);
        self.error = begun.clone().err();
        begun
    }

    fn start(&mut self, backward: bool, mut place: impl FnMut(&mut Source) -> Result<()>) -> Result<()> {
        self.check()?;
        self.backward = backward;
        self.heap.clear();
        self.runner_up = None;
        for (number, source) in self.sources.iter_mut().enumerate() {
            if let Err(error) = place(source) {
                self.error = Some(error.clone());
                return Err(error);
            }
            if source.valid() {
                self.heap.push(number);
            }
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sink(at);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Goes one entry on, in the direction of the walk.
    #[inline]
    pub fn step(&mut self) -> Result<()> {
        if self.error.is_some() {
            return self.check();
        }
        let Some(&winner) = self.heap.first() else { return Ok(()) };
        let Some(source) = self.sources.get_mut(winner) else { return Ok(()) };
        let moved = if self.backward { source.retreat() } else { source.advance() };
        if let Err(error) = moved {
            self.error = Some(error.clone());
            return Err(error);
        }
        if !source.valid() {
            self.heap.swap_remove(0);
            self.runner_up = None;
            self.sink(0);
            return Ok(());
        }
        if self.heap.len() > 1 {
            self.settle(winner);
        }
        Ok(())
    }

    /// Restores the heap after its root moved on.
    #[inline]
    fn settle(&mut self, winner: usize) {
        let runner_up = match self.runner_up {
            Some(number) => number,
            None => self.find_runner_up(),
        };
        if self.before(winner, runner_up) {
            self.runner_up = Some(runner_up);
            return;
        }
        self.runner_up = None;
        self.sink(0);
    }

    fn find_runner_up(&self) -> usize {
        let (left, right) = (self.heap.get(1).copied(), self.heap.get(2).copied());
        match (left, right) {
            (Some(left), Some(right)) if self.before(right, left) => right,
            (Some(left), _) => left,
            (None, _) => usize::MAX,
        }
    }

    /// Whether source `a` comes before source `b` in the walk.
    #[inline]
    fn before(&self, a: usize, b: usize) -> bool {
        let (Some(left), Some(right)) = (self.sources.get(a), self.sources.get(b)) else { return true };
        let order = left.position().cmp(&right.position());
        let order = if self.backward { order.reverse() } else { order };
        order.then(a.cmp(&b)).is_lt()
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut first = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if let (Some(&a), Some(&b)) = (self.heap.get(child), self.heap.get(first))
                    && self.before(a, b)
                {
                    first = child;
                }
            }
            if first == at {
                return;
            }
            self.heap.swap(at, first);
            at = first;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

    use super::*;
    use crate::coding::key_hash;
    use crate::memtable::Memtable;
    use crate::timestamp::Timestamp;

    fn walk(merge: &mut MergeCursor) -> Vec<(Vec<u8>, u64)> {
        let mut out = Vec::new();
        while let Some(position) = merge.position() {
            out.push((position.key.to_vec(), position.timestamp.0));
            merge.step().unwrap();
        }
        out
    }

    #[test]
    fn any_number_of_sources_merges_into_one_order_both_ways() {
        for seed in 0..120_u64 {
            let sources = seed % 8;
            let memtables: Vec<_> = (0..sources).map(|_| Memtable::new()).collect();
            let mut expected = Vec::new();
            for step in 0..seed * 3 {
                let random = key_hash(&(seed * 10_000 + step).to_le_bytes());
                let Some(memtable) = memtables.get((random % sources.max(1)) as usize) else { continue };
                let key = ((random >> 8) % 40).to_be_bytes();
                memtable.insert(&key, Timestamp(step + 1), ValueKind::Put, b"");
                expected.push((key.to_vec(), step + 1));
            }
            expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            let mut merge =
                MergeCursor::new(memtables.iter().map(|m| Source::Memtable(m.cursor())).collect());
            merge.seek_to_first().unwrap();
            assert_eq!(walk(&mut merge), expected);
            merge.seek_to_last().unwrap();
            let mut backward = walk(&mut merge);
            backward.reverse();
            assert_eq!(backward, expected);
            for key in 0..41_u64 {
                let key = key.to_be_bytes();
                let target = Position { key: &key, timestamp: Timestamp(seed) };
                let split =
                    expected.partition_point(|e| Position { key: &e.0, timestamp: Timestamp(e.1) } < target);
                merge.seek(target, Reach::End).unwrap();
                assert_eq!(walk(&mut merge), expected[split..]);
                merge.seek_before(target, Reach::End).unwrap();
                let mut before = walk(&mut merge);
                before.reverse();
                assert_eq!(before, expected[..split]);
            }
        }
    }

    /// Where it stands after so many steps.
    fn after(merge: &mut MergeCursor, steps: usize) -> Option<(Vec<u8>, u64)> {
        (0..steps).for_each(|_| merge.step().unwrap());
        merge.position().map(|position| (position.key.to_vec(), position.timestamp.0))
    }

    #[test]
    fn a_seek_in_the_middle_of_a_walk_begins_a_new_one() {
        // Each source has a stretch of its own and a few keys of the others', so that the runner-up changes.
        let memtables: Vec<_> = (0..5_u64).map(|_| Memtable::new()).collect();
        let mut expected = Vec::new();
        for (number, memtable) in memtables.iter().enumerate() {
            for step in 0..40_u64 {
                let key = if step % 5 == 0 { step * 5 } else { 40 * number as u64 + step };
                let key = key.to_be_bytes();
                let timestamp = 1 + step * 5 + number as u64;
                memtable.insert(&key, Timestamp(timestamp), ValueKind::Put, b"");
                expected.push((key.to_vec(), timestamp));
            }
        }
        expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut merge = MergeCursor::new(memtables.iter().map(|m| Source::Memtable(m.cursor())).collect());
        for round in 0..4_000_u64 {
            let random = key_hash(&round.to_le_bytes());
            let (key, steps) = ((random % 210).to_be_bytes(), (random >> 32) as usize % 12);
            let target = Position { key: &key, timestamp: Timestamp((random >> 16) % 210) };
            let split =
                expected.partition_point(|e| Position { key: &e.0, timestamp: Timestamp(e.1) } < target);
            if random >> 63 == 0 {
                merge.seek(target, Reach::End).unwrap();
                assert_eq!(after(&mut merge, steps).as_ref(), expected.get(split + steps), "{round}");
            } else {
                merge.seek_before(target, Reach::End).unwrap();
                let at = split.checked_sub(1 + steps);
                assert_eq!(after(&mut merge, steps).as_ref(), at.map(|at| &expected[at]), "{round}");
            }
        }
    }
}
