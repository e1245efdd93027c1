//! Pipeline stages: a file per stage that does more than one call.
//!
//! A *streaming* stage makes any number of rows of each input row; a *blocking* one reads all of its input first.
//! Both hand their rows out from one queue.

mod bucket_auto;
mod facet;
mod graph_lookup;
mod group;
mod hash_side;
mod lookup;
mod sample;
mod score;
mod subpipeline;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::aggregate::{Group, SetWindowFields, Stage};

use self::group::GroupRows;
use self::hash_side::Joining;
use self::window::WindowRows;
use super::spill::SpillUse;
use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::plan::PreparedStage;
use crate::{Error, Result};

pub(super) struct StageRows {
    prepared: PreparedStage,
    pub(super) input: Box<Operator>,
    ready: VecDeque<Row>,
    /// Of a blocking stage: whether the input was read. Of `$unionWith`: whether the other side is being read.
    is_filled: bool,
    /// The other side of a `$unionWith`.
    other: Option<Box<Operator>>,
    /// Of a blocking stage that makes its rows one by one: where they come from.
    source: Option<RowSource>,
    used: SpillUse,
    /// Of `$lookup` and `$graphLookup`: how the other collection is searched.
    joining: Joining,
}

/// A blocking stage that has read its input.
enum RowSource {
    Groups(GroupRows),
    Windows(Box<WindowRows>),
}

impl StageRows {
    pub(super) fn new(prepared: PreparedStage, input: Box<Operator>) -> Self {
        Self {
            prepared,
            input,
            ready: VecDeque::new(),
            is_filled: false,
            other: None,
            source: None,
            used: SpillUse::default(),
            joining: Joining::default(),
        }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let mut wanted = wanted;
        while wanted > 0 {
            if self.ready.is_empty() && !self.refill(context)? {
                return Ok(());
            }
            let some = wanted.min(self.ready.len());
            wanted -= some;
            rows.extend(self.ready.drain(..some));
        }
        Ok(())
    }

    /// What it wrote to disk, if it is a stage that may.
    pub(super) fn spilled(&self) -> Option<SpillUse> {
        let spills = matches!(
            self.prepared.stage.as_ref(),
            Stage::BucketAuto(_)
                | Stage::Facet(_)
                | Stage::GraphLookup(_)
                | Stage::Group(_)
                | Stage::Lookup(_)
                | Stage::SetWindowFields(_)
        );
        let used = match &self.source {
            Some(RowSource::Groups(groups)) => groups.used,
            Some(RowSource::Windows(windows)) => windows.used,
            None => self.used,
        };
        spills.then_some(used)
    }

    /// Makes more rows; `false` at the end. May make none and still say `true`.
    fn refill(&mut self, context: &mut ExecutionContext) -> Result<bool> {
        let stage = Arc::clone(&self.prepared.stage);
        match stage.as_ref() {
            Stage::UnionWith(_) => self.union_with(context),
            Stage::Group(group) => self.groups(group, context),
            Stage::SetWindowFields(windows) => self.windows(&stage, windows, context),
            Stage::BucketAuto(_) | Stage::Densify(_) | Stage::Facet(_) | Stage::Sample(_) => {
                self.fill_once(&stage, context)
            }
            Stage::Score(score) if score::blocks(score) => self.fill_once(&stage, context),
            streaming => self.stream(streaming, context),
        }
    }

    /// Reads the input of a blocking stage, the first time.
    fn fill_once(&mut self, stage: &Stage, context: &mut ExecutionContext) -> Result<bool> {
        if std::mem::replace(&mut self.is_filled, true) {
            return Ok(false);
        }
        self.ready = self.block(stage, context)?;
        Ok(true)
    }

    fn block(&mut self, stage: &Stage, context: &mut ExecutionContext) -> Result<VecDeque<Row>> {
        let documents = match stage {
            Stage::BucketAuto(buckets) => {
                bucket_auto::run(buckets, &mut self.input, context, &mut self.used)?
            }
            Stage::Densify(densify) => {
                let input = read_all(&mut self.input, context, "$densify")?;
                let input = input.into_iter().map(Row::into_document).collect::<Result<Vec<_>>>()?;
                densify.apply(input, &mut context.environment)?
            }
            Stage::Facet(facets) => {
                let inner = &self.prepared.inner;
                vec![facet::run(facets, inner, &mut self.input, context, &mut self.used)?]
            }
            Stage::Score(score) => {
                let input = read_all(&mut self.input, context, "$score")?;
                return score::apply(score, input, context).map(VecDeque::from);
            }
            Stage::Sample(size) => return sample::run(*size, &mut self.input, context).map(VecDeque::from),
            other => return Err(Error::internal(format!("{} does not block", other.name()))),
        };
        Ok(documents.into_iter().map(Row::built).collect())
    }

    fn groups(&mut self, group: &Group, context: &mut ExecutionContext) -> Result<bool> {
        if !std::mem::replace(&mut self.is_filled, true) {
            let groups = GroupRows::of(group, &mut self.input, context)?;
            self.source = Some(RowSource::Groups(groups));
        }
        let Some(RowSource::Groups(groups)) = &mut self.source else { return Ok(false) };
        for _ in 0..BATCH_ROWS {
            let Some(document) = groups.next(group, context)? else { break };
            self.ready.push_back(Row::built(document));
        }
        Ok(!self.ready.is_empty())
    }

    fn windows(
        &mut self,
        stage: &Arc<Stage>,
        windows: &SetWindowFields,
        context: &mut ExecutionContext,
    ) -> Result<bool> {
        if !std::mem::replace(&mut self.is_filled, true) {
            let rows = WindowRows::of(stage, windows, &mut self.input, context)?;
            self.source = Some(RowSource::Windows(Box::new(rows)));
        }
        let Some(RowSource::Windows(rows)) = &mut self.source else { return Ok(false) };
        for _ in 0..BATCH_ROWS {
            let Some(document) = rows.next(windows, context)? else { break };
            self.ready.push_back(Row::built(document));
        }
        Ok(!self.ready.is_empty())
    }

    fn stream(&mut self, stage: &Stage, context: &mut ExecutionContext) -> Result<bool> {
        context.check_time()?;
        let mut batch = Vec::new();
        self.input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            return Ok(false);
        }
        if let Stage::Score(score) = stage {
            self.ready.extend(score::apply(score, batch, context)?);
            return Ok(true);
        }
        for row in batch {
            context.show_metadata(&row);
            let document = row.document()?;
            // What is known of a document is known of what is made of it.
            let with = |made| Row { metadata: row.metadata.clone(), ..Row::built(made) };
            let made: Option<RawDocumentBuf> = match stage {
                Stage::Redact(redact) => redact.apply(document, &mut context.environment)?,
                Stage::ReplaceRoot(replace) => Some(replace.apply(document, &mut context.environment)?),
                Stage::UnpackBucket(unpack) => {
                    let ready = &mut self.ready;
                    unpack.each(document, |made| {
                        ready.push_back(Row::built(made));
                        Ok::<(), Error>(())
                    })?;
                    None
                }
                Stage::Unwind(unwind) => {
                    let ready = &mut self.ready;
                    unwind.each(document, |made| {
                        ready.push_back(with(made));
                        Ok::<(), Error>(())
                    })?;
                    None
                }
                Stage::Lookup(lookup) => {
                    let joined = (&mut self.joining, &mut self.used);
                    Some(lookup::attach(lookup, &self.prepared, document, context, joined)?)
                }
                Stage::GeoNear(near) => {
                    let metadata = row.metadata.as_deref();
                    let distance = metadata.and_then(|metadata| metadata.geo_distance).unwrap_or_default();
                    let place = metadata.and_then(|metadata| metadata.geo_point.as_ref());
                    let made = near.attach(document, distance, place);
                    self.ready.push_back(with(made));
                    None
                }
                Stage::GraphLookup(lookup) => {
                    let joined = (&mut self.joining, &mut self.used);
                    Some(graph_lookup::attach(lookup, &self.prepared, document, context, joined)?)
                }
                other => return Err(Error::not_supported(format_args!("the stage {}", other.name()))),
            };
            self.ready.extend(made.map(with));
        }
        Ok(true)
    }

    /// First the input, then the other collection.
    fn union_with(&mut self, context: &mut ExecutionContext) -> Result<bool> {
        let mut batch = Vec::new();
        if !self.is_filled {
            self.input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                self.is_filled = true;
                self.other = Some(Box::new(subpipeline::operator(&self.prepared, None, context)?));
            }
        }
        if let Some(other) = &mut self.other {
            other.pull(context, BATCH_ROWS, &mut batch)?;
        }
        let is_more = !batch.is_empty();
        self.ready.extend(batch);
        Ok(is_more)
    }
}

/// All rows of an input, within the memory of an operator.
fn read_all(input: &mut Operator, context: &mut ExecutionContext, stage: &str) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    let mut bytes = 0usize;
    loop {
        context.check_time()?;
        let before = all.len();
        input.pull(context, BATCH_ROWS, &mut all)?;
        if all.len() == before {
            return Ok(all);
        }
        bytes += all.iter().skip(before).map(Row::memory_bytes).sum::<usize>();
        context.check_memory(stage, bytes)?;
    }
}
