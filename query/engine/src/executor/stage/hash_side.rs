//! The other collection of a join, kept so that its documents are found by the value at a path.
//!
//! A `$lookup` or `$graphLookup` whose equality no index serves would read the whole other collection for every
//! document. Instead its documents are read once and a table says which of them have a value of some hash at the path:
//! its elements too, where it is an array, and null where it is missing. What the table gives is only a candidate: the
//! join's filter has the last word, so a hash need not tell values apart, it must only never differ for values that the
//! filter takes for equal.
//!
//! Past its memory the documents go to a temporary file and only the table stays. Where even that is too large, there
//! is no hash side, and every document searches for itself as before.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use sheaf_document::{Value, ValueRef, hash_value};
use sheaf_language::Filter;
use sheaf_language::aggregate::Stage;
use sheaf_language::filter::Predicate;
use sheaf_language::filter::path::{FieldPath, LeafArray, walk};

use super::read_all;
use super::subpipeline::{self, Access};
use crate::Result;
use crate::executor::spill::{
    KeyedRow, SpillFile, SpillUse, SpillWriter, SpillingOperator, decode_row, encode_row,
};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::plan::PreparedStage;

/// Bytes that a row takes in the table, per value, about.
const ENTRY_BYTES: usize = 48;

/// Whether a join has a hash side.
#[derive(Default)]
pub(super) enum Joining {
    /// Not known yet.
    #[default]
    First,
    /// It is worth one if there is another document to join: the first searches for itself.
    Second,
    /// There will be none.
    Searching,
    /// There is one.
    Hashed(Box<HashSide>),
}

/// Documents of another collection by the hash of their values at a path.
pub(super) struct HashSide {
    hasher: RandomState,
    /// Places in `rows`, ascending.
    places: HashMap<u64, Vec<usize>>,
    rows: Rows,
}

enum Rows {
    Memory(Vec<Row>),
    /// Where the record of each row begins.
    File {
        file: SpillFile,
        offsets: Vec<u64>,
    },
}

/// Rows while they are being read.
struct Filling {
    side: HashSide,
    written: Option<(SpillWriter, Vec<u64>)>,
    held: Vec<Row>,
    held_bytes: usize,
    table_bytes: usize,
}

impl Joining {
    /// The rows of the other collection that fulfil `filter`, which asks for one of `values` at `path`, behind the
    /// inner pipeline.
    pub(super) fn rows(
        &mut self,
        (path, values): (&str, &[Value<'_>]),
        filter: &Filter,
        prepared: &PreparedStage,
        context: &mut ExecutionContext,
        used: &mut SpillUse,
    ) -> Result<Vec<Row>> {
        let stage = prepared.stage.name();
        if matches!(self, Self::Second) {
            *self = match HashSide::fill(path, prepared, context, used)? {
                Some(side) => Self::Hashed(Box::new(side)),
                None => Self::Searching,
            };
        }
        match self {
            Self::First => {
                let (mut operator, access) = subpipeline::operator_for(prepared, Some(filter), context)?;
                *self = match access {
                    Access::Nothing => Self::First,
                    Access::WholeCollection if stays_the_same(prepared) => Self::Second,
                    Access::WholeCollection | Access::Part => Self::Searching,
                };
                read_all(&mut operator, context, stage)
            }
            // The second is over when it comes here.
            Self::Second | Self::Searching => subpipeline::run(prepared, Some(filter), context, stage),
            Self::Hashed(side) => {
                let rows = side.matching(values, filter, context, stage)?;
                match prepared.inner.first().filter(|inner| !inner.is_empty()) {
                    None => Ok(rows),
                    Some(inner) => {
                        let mut operator = Operator::of_rows_and_file(rows, None).with_stages(inner)?;
                        read_all(&mut operator, context, stage)
                    }
                }
            }
        }
    }
}

/// Whether the inner pipeline does the same behind rows as behind a collection: stages that search for text or by
/// distance want the collection itself.
fn stays_the_same(prepared: &PreparedStage) -> bool {
    let searches = |prepared: &PreparedStage| match prepared.stage.as_ref() {
        Stage::Fusion(_) | Stage::GeoNear(_) => true,
        Stage::Match(filter) => {
            let mut searches = false;
            filter.predicate().visit(&mut |predicate| searches |= matches!(predicate, Predicate::Text(_)));
            searches
        }
        _ => false,
    };
    !prepared.inner.iter().flat_map(|inner| inner.iter()).any(searches)
}

impl HashSide {
    /// Reads the other collection; nothing if it takes too much memory.
    fn fill(
        path: &str,
        prepared: &PreparedStage,
        context: &mut ExecutionContext,
        used: &mut SpillUse,
    ) -> Result<Option<Self>> {
        let path = FieldPath::parse(path);
        let mut input = subpipeline::source(prepared, context)?;
        let side =
            Self { hasher: RandomState::new(), places: HashMap::new(), rows: Rows::Memory(Vec::new()) };
        let mut filling = Filling { side, written: None, held: Vec::new(), held_bytes: 0, table_bytes: 0 };
        let mut batch = Vec::new();
        let mut count = 0usize;
        loop {
            context.check_time()?;
            input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                return filling.finish(context, used).map(Some);
            }
            for row in batch.drain(..) {
                filling.add(row, count, &path, context)?;
                count += 1;
            }
            if !filling.settle(context)? {
                return Ok(None);
            }
        }
    }

    fn hash(&self, value: &Value<'_>, context: &ExecutionContext) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        // A filter takes what is missing for null.
        let value = if value.is_nullish() { &Value::Null } else { value };
        hash_value(value, context.environment.collate(), &mut hasher);
        hasher.finish()
    }

    /// The rows that fulfil the filter, in the order of the collection.
    fn matching(
        &self,
        values: &[Value<'_>],
        filter: &Filter,
        context: &mut ExecutionContext,
        stage: &str,
    ) -> Result<Vec<Row>> {
        let hashes = values.iter().map(|value| self.hash(value, context));
        let mut candidates: Vec<usize> =
            hashes.filter_map(|hash| self.places.get(&hash)).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        let (mut rows, mut bytes) = (Vec::new(), 0usize);
        for place in candidates {
            let Some(row) = self.row(place)? else { continue };
            if filter.matches(row.document()?, &mut context.environment)? {
                bytes += row.memory_bytes();
                rows.push(row);
                context.check_memory(stage, bytes)?;
            }
        }
        Ok(rows)
    }

    fn row(&self, place: usize) -> Result<Option<Row>> {
        match &self.rows {
            Rows::Memory(rows) => Ok(rows.get(place).cloned()),
            Rows::File { file, offsets } => {
                let Some(offset) = offsets.get(place) else { return Ok(None) };
                Ok(Some(decode_row(&file.record_at(*offset)?)?.row))
            }
        }
    }
}

impl Filling {
    fn add(&mut self, row: Row, place: usize, path: &FieldPath, context: &ExecutionContext) -> Result<()> {
        let (side, mut added) = (&mut self.side, 0usize);
        walk(row.document()?, path.components(), LeafArray::Traversed, &mut |value, _| {
            let hash =
                side.hash(&value.map_or(Value::Null, |value: ValueRef<'_>| Value::from(value)), context);
            let places = side.places.entry(hash).or_default();
            // An array may have a value twice.
            if places.last() != Some(&place) {
                places.push(place);
                added += ENTRY_BYTES;
            }
            Ok(false)
        })?;
        self.table_bytes += added;
        match &mut self.written {
            None => {
                self.held_bytes += row.memory_bytes();
                self.held.push(row.held());
            }
            Some((file, offsets)) => {
                self.table_bytes += size_of::<u64>();
                write(file, offsets, row)?;
            }
        }
        Ok(())
    }

    /// Keeps within memory; `false` if that cannot be.
    fn settle(&mut self, context: &ExecutionContext) -> Result<bool> {
        if self.held_bytes + self.table_bytes <= context.memory_bytes_max {
            return Ok(true);
        }
        let (Some(space), None) = (&context.spill, &self.written) else { return Ok(false) };
        let (mut file, mut offsets) = (space.create()?, Vec::with_capacity(self.held.len()));
        for row in self.held.drain(..) {
            write(&mut file, &mut offsets, row)?;
        }
        self.held_bytes = 0;
        self.table_bytes += offsets.len() * size_of::<u64>();
        self.written = Some((file, offsets));
        Ok(self.table_bytes <= context.memory_bytes_max)
    }

    fn finish(self, context: &ExecutionContext, used: &mut SpillUse) -> Result<HashSide> {
        let rows = match self.written {
            None => Rows::Memory(self.held),
            Some((file, offsets)) => {
                let file = file.finish()?;
                let spilled = SpillUse { spills: 1, ..file.used() };
                used.add(spilled);
                if let Some(space) = &context.spill {
                    space.totals.add(SpillingOperator::Lookup, spilled);
                }
                Rows::File { file, offsets }
            }
        };
        Ok(HashSide { rows, ..self.side })
    }
}

fn write(file: &mut SpillWriter, offsets: &mut Vec<u64>, row: Row) -> Result<()> {
    offsets.push(file.len_bytes());
    file.append(encode_row(&KeyedRow { key: Vec::new(), row })?.as_bytes())
}
