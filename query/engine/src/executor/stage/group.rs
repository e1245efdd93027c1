//! `$group`: one document per key; holds a state per key.
//!
//! Past its memory a group goes to disk by parts of its keys:
//!
//! 1. The keys fall into [`PARTS`] parts by their hash. All parts begin in memory.
//! 2. When memory is full, the part that holds the most goes to a file of its own: the states of its groups.
//! 3. From then on what documents give to groups of that part is written behind the states, in the order it comes.
//! 4. At the end of the input the groups in memory are finished; then one file after the other is read as an input of
//!    its own, with a table that has other hashes, and may be parted again.
//!
//! A group's inputs are added in the order they came, and a state goes on as if it had never been away: what spills
//! gives the same documents as what does not, in another order. Every part is read a bounded number of times more, for
//! each time its keys fall apart anew. A group alone in memory is never written: it is as large as its accumulators
//! allow.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::aggregate::{Group, Groups, OneGroup};

use crate::Result;
use crate::executor::spill::{SpillFile, SpillUse, SpillWriter, SpillingOperator};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator};

/// Parts that a table's keys fall into; their number in bits.
const PART_BITS: u32 = 4;
const PARTS: usize = 1 << PART_BITS;

/// How often what was written may be parted again. Sixteen parts each time: no memory is that much too small.
const LEVELS_MAX: u32 = 16;

/// Groups on their way out.
pub(super) struct GroupRows {
    ready: std::vec::IntoIter<OneGroup>,
    /// Parts that are still to be read, the next one last, with how often they were parted.
    waiting: Vec<(SpillFile, u32)>,
    pub(super) used: SpillUse,
}

/// A table that is being filled.
struct Table {
    groups: Groups,
    /// The files of the parts that are not in memory.
    files: Vec<Option<SpillWriter>>,
    /// Whether any part is not.
    is_parted: bool,
    level: u32,
}

/// The part of a hash: its highest bits, for the table's own places come from the lower ones.
fn part(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - PART_BITS)).unwrap_or(0)
}

impl Table {
    fn new(level: u32) -> Self {
        let files = (0..PARTS).map(|_| None).collect();
        Self { groups: Groups::new(), files, is_parted: false, level }
    }

    /// The file of a hash's part, if that is not in memory.
    fn file(&mut self, hash: u64) -> Option<&mut SpillWriter> {
        if self.is_parted { self.files.get_mut(part(hash)).and_then(Option::as_mut) } else { None }
    }

    fn add(
        &mut self,
        group: &Group,
        document: RawDocument<'_>,
        context: &mut ExecutionContext,
    ) -> Result<()> {
        let environment = &mut context.environment;
        let key = group.key(document, environment)?;
        let hash = self.groups.hash(&key, environment);
        match self.file(hash) {
            None => Ok(self.groups.add(group, (key, hash), document, environment)?),
            Some(file) => file.append(group.input_record(&key, document, environment)?.as_bytes()),
        }
    }

    fn add_record(
        &mut self,
        group: &Group,
        record: RawDocument<'_>,
        context: &mut ExecutionContext,
    ) -> Result<()> {
        let environment = &mut context.environment;
        let key = group.record_key(record);
        let hash = self.groups.hash(&key, environment);
        match self.file(hash) {
            None => Ok(self.groups.add_record(group, (key, hash), record, environment)?),
            Some(file) => file.append(record.as_bytes()),
        }
    }

    /// Keeps within memory. To be called after every batch.
    fn settle(&mut self, group: &Group, context: &ExecutionContext, used: &mut SpillUse) -> Result<()> {
        if context.spill.is_none() || self.level >= LEVELS_MAX {
            return context.check_memory(SpillingOperator::Group.name(), self.groups.bytes());
        }
        while self.groups.bytes() > context.memory_bytes_max && self.groups.count() > 1 {
            self.put_part_aside(group, context)?;
            used.spills += 1;
        }
        Ok(())
    }

    /// Writes out the part that holds the most.
    fn put_part_aside(&mut self, group: &Group, context: &ExecutionContext) -> Result<()> {
        let Some(space) = &context.spill else { return Ok(()) };
        let mut bytes = [0usize; PARTS];
        for one in self.groups.iter() {
            if let Some(bytes) = bytes.get_mut(part(one.hash())) {
                *bytes += one.bytes();
            }
        }
        let Some((largest, _)) = bytes.iter().enumerate().max_by_key(|(_, bytes)| **bytes) else {
            return Ok(());
        };
        let mut file = space.create()?;
        for one in self.groups.evict(|hash| part(hash) == largest) {
            file.append(group.state_record(&one).as_bytes())?;
        }
        self.is_parted = true;
        if let Some(slot) = self.files.get_mut(largest) {
            *slot = Some(file);
        }
        Ok(())
    }
}

impl GroupRows {
    /// Reads an input to its end.
    pub(super) fn of(group: &Group, input: &mut Operator, context: &mut ExecutionContext) -> Result<Self> {
        let mut rows = Self { ready: Vec::new().into_iter(), waiting: Vec::new(), used: SpillUse::default() };
        let mut table = Table::new(0);
        let mut batch = Vec::new();
        loop {
            context.check_time()?;
            input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            for row in batch.drain(..) {
                context.show_metadata(&row);
                table.add(group, row.document()?, context)?;
            }
            table.settle(group, context, &mut rows.used)?;
        }
        rows.take(table, context)?;
        Ok(rows)
    }

    /// Hands out a full table.
    fn take(&mut self, table: Table, context: &ExecutionContext) -> Result<()> {
        self.ready = table.groups.into_groups();
        for file in table.files.into_iter().flatten() {
            let file = file.finish()?;
            self.used.add(file.used());
            if let Some(space) = &context.spill {
                let spills = 1;
                space.totals.add(SpillingOperator::Group, SpillUse { spills, ..file.used() });
            }
            self.waiting.push((file, table.level + 1));
        }
        Ok(())
    }

    /// The next group's document.
    pub(super) fn next(
        &mut self,
        group: &Group,
        context: &mut ExecutionContext,
    ) -> Result<Option<RawDocumentBuf>> {
        loop {
            if let Some(ready) = self.ready.next() {
                return Ok(Some(ready.into_document(group)));
            }
            let Some((file, level)) = self.waiting.pop() else { return Ok(None) };
            self.read_part(group, &file, level, context)?;
        }
    }

    fn read_part(
        &mut self,
        group: &Group,
        file: &SpillFile,
        level: u32,
        context: &mut ExecutionContext,
    ) -> Result<()> {
        let mut table = Table::new(level);
        let mut reader = file.read();
        let mut count = 0usize;
        while let Some(record) = reader.next()? {
            let record = RawDocument::from_bytes(record).map_err(|error| {
                crate::Error::internal(format!("a record of $group is no document: {error}"))
            })?;
            table.add_record(group, record, context)?;
            count += 1;
            if count.is_multiple_of(BATCH_ROWS) {
                context.check_time()?;
                table.settle(group, context, &mut self.used)?;
            }
        }
        table.settle(group, context, &mut self.used)?;
        self.take(table, context)
    }
}
