//! The storage engine's figures, read from it whenever somebody scrapes.
//!
//! A store has a few thousand tablets at most, which is too many for a label: counts and bytes are of all tablets together, what
//! cannot be added up (amplification, ages) is of the tablet where it is worst. A rate of hits is the ratio of two counters.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use sheaf_storage::{
    DurationHistogram, LevelStatistics, Store, StoreStatistics, TabletStatistics, WriteState,
};

/// Reads the figures of a store.
pub(super) struct StorageFigures(pub(super) Store);

impl fmt::Debug for StorageFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageFigures")
    }
}

impl Collector for StorageFigures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        let statistics = self.0.statistics();
        page.gauge(
            "storage_format_version",
            "Format version of the store's directory",
            u64::from(self.0.format_version()),
        )?;
        page.gauge(
            "storage_writes_refused",
            "1 after a failure that stops writes until the store is reopened",
            u64::from(statistics.poisoned.is_some()),
        )?;
        page.log(&statistics)?;
        page.cache(&statistics)?;
        page.writes(&statistics)?;
        page.compaction(&statistics)?;
        page.amplification(&statistics)?;
        page.files(&statistics)?;
        page.snapshots(&statistics)
    }
}

/// The figure of all tablets together.
fn sum(statistics: &StoreStatistics, figure: impl Fn(&TabletStatistics) -> u64) -> u64 {
    statistics.tablets.values().map(figure).fold(0, u64::saturating_add)
}

/// The figure of the tablet where it is largest, if any has it.
fn worst(statistics: &StoreStatistics, figure: impl Fn(&TabletStatistics) -> Option<u64>) -> Option<u64> {
    statistics.tablets.values().filter_map(figure).max()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people, of far fewer than 2^53 thousandths")]
fn thousandths(permille: u64) -> f64 {
    permille as f64 / 1_000.0
}

/// What is being written.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn put(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        metric.encode(self.encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.put(name, help, &ConstCounter::new(value))
    }

    fn counter_of_micros(&mut self, name: &str, help: &str, micros: u64) -> fmt::Result {
        self.put(name, help, &ConstCounter::new(Duration::from_micros(micros).as_secs_f64()))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.put(name, help, &ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn ratio(&mut self, name: &str, help: &str, permille: Option<u64>) -> fmt::Result {
        // Of nothing there is no ratio.
        permille.map_or(Ok(()), |permille| self.put(name, help, &ConstGauge::new(thousandths(permille))))
    }

    /// A gauge with one label.
    fn gauges<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, figure) in values {
            let figure = i64::try_from(figure).unwrap_or(i64::MAX);
            family.encode_family(&[(label, value)])?.encode_gauge(&figure)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, times: &DurationHistogram) -> fmt::Result {
        let ends = (0_u32..).map(|bucket| Duration::from_micros(1 << bucket.min(62)).as_secs_f64());
        let mut buckets: Vec<(f64, u64)> = ends.zip(times.buckets().iter().copied()).collect();
        if let Some(last) = buckets.last_mut() {
            last.0 = f64::INFINITY;
        }
        let sum = Duration::from_micros(times.sum_micros()).as_secs_f64();
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<[(&str, &str); 0]>(sum, times.count(), &buckets, None)
    }

    fn log(&mut self, of: &StoreStatistics) -> fmt::Result {
        let log = &of.log;
        self.gauge("storage_log_segments", "Segments of the write-ahead log", of.log_segments as u64)?;
        self.counter("storage_log_written_bytes", "Bytes written to the log", log.written_bytes)?;
        self.counter("storage_log_syncs", "Syncs of the log", log.syncs)?;
        self.histogram("storage_log_sync_seconds", "Time of the syncs commits waited for", &log.sync_times)
    }

    fn cache(&mut self, of: &StoreStatistics) -> fmt::Result {
        let (cache, filters) = (&of.cache, &of.cache.filters);
        self.gauge("storage_cache_used_bytes", "Blocks and values in the cache", cache.used_bytes)?;
        self.gauge("storage_cache_capacity_bytes", "What cache and open files may take", cache.budget_bytes)?;
        self.gauge("storage_memory_budget_bytes", "What the store may take of memory", cache.memory_bytes)?;
        self.counter("storage_cache_hits", "Lookups that found their block or value", cache.hits)?;
        self.counter("storage_cache_misses", "Lookups that did not", cache.misses)?;
        self.counter(
            "storage_filter_questions",
            "Keys that filters of sstables were asked for",
            filters.asked,
        )?;
        self.counter("storage_filter_absent", "Answers that saved a read", filters.absent)?;
        self.counter("storage_filter_mistakes", "Answers that caused a read in vain", filters.mistaken)
    }

    fn writes(&mut self, of: &StoreStatistics) -> fmt::Result {
        let states =
            [("open", WriteState::Open), ("delayed", WriteState::Delayed), ("stopped", WriteState::Stopped)];
        let count = |state| sum(of, |tablet| u64::from(tablet.write_state == state));
        self.gauges(
            "storage_write_state",
            "Tablets by whether their commits are let through, delayed, or wait",
            "state",
            states.map(|(name, state)| (name, count(state))),
        )?;
        self.counter(
            "storage_committed_bytes",
            "Bytes of committed batches",
            sum(of, |t| t.committed_bytes),
        )?;
        self.counter("storage_ingested_bytes", "Bytes past the log", sum(of, |t| t.ingested_bytes))?;
        self.counter("storage_write_stalls", "Waits of commits", sum(of, |t| t.stalls))?;
        let (stalled, delayed) = (sum(of, |t| t.stalled_micros), sum(of, |t| t.delayed_micros));
        self.counter_of_micros("storage_write_stall_seconds", "Time of these waits", stalled)?;
        self.counter("storage_write_delays", "Commits that were delayed", sum(of, |t| t.delays))?;
        self.counter_of_micros("storage_write_delay_seconds", "Time of these delays", delayed)?;
        let sealed = sum(of, |t| t.sealed_memtables as u64);
        self.gauge("storage_sealed_memtables", "Memtables that wait for their flush", sealed)
    }

    fn compaction(&mut self, of: &StoreStatistics) -> fmt::Result {
        self.counter("storage_flushes", "Flushes", sum(of, |t| t.flushes))?;
        self.counter("storage_flushed_bytes", "Bytes flushes wrote", sum(of, |t| t.flushed_bytes))?;
        self.counter("storage_compactions", "Compactions", sum(of, |t| t.compactions))?;
        let (read, written) = (sum(of, |t| t.compaction_read_bytes), sum(of, |t| t.compaction_written_bytes));
        self.counter("storage_compaction_read_bytes", "Bytes compactions read", read)?;
        self.counter("storage_compaction_written_bytes", "Bytes compactions wrote", written)?;
        self.counter(
            "storage_plans_declined",
            "Compactions dropped because their inputs had gone meanwhile",
            sum(of, |t| t.plans_declined),
        )?;
        self.gauge(
            "storage_compaction_debt_bytes",
            "Bytes that compaction has yet to move",
            sum(of, |t| t.compaction_debt_bytes),
        )
    }

    fn amplification(&mut self, of: &StoreStatistics) -> fmt::Result {
        self.ratio(
            "storage_write_amplification_ratio",
            "Bytes written for each byte committed, where it is highest",
            worst(of, TabletStatistics::write_amplification_permille),
        )?;
        self.ratio(
            "storage_space_amplification_ratio",
            "Bytes on disk for each byte that would stay if all were merged, where it is highest",
            worst(of, TabletStatistics::space_amplification_permille),
        )?;
        self.gauge(
            "storage_read_amplification_runs",
            "Sorted runs a scan merges, where they are most",
            worst(of, |t| Some(t.read_amplification() as u64)).unwrap_or_default(),
        )
    }

    fn files(&mut self, of: &StoreStatistics) -> fmt::Result {
        let levels = ["0", "1", "2", "3", "4", "5", "6"];
        let of_level = |level: usize, figure: fn(&LevelStatistics) -> u64| {
            sum(of, |tablet| tablet.levels.get(level).map_or(0, figure))
        };
        let by_level = |figure: fn(&LevelStatistics) -> u64| {
            levels.iter().enumerate().map(move |(level, name)| (*name, of_level(level, figure)))
        };
        self.gauges("storage_level_bytes", "Bytes of sstables", "level", by_level(|level| level.bytes))?;
        self.gauges("storage_level_sstables", "Sstables", "level", by_level(|level| level.tables as u64))?;
        self.gauge("storage_blob_bytes", "Bytes of blob files", sum(of, |t| t.blob_bytes))?;
        let garbage = sum(of, |t| t.blob_garbage_bytes);
        self.gauge("storage_blob_garbage_bytes", "Bytes in them that nobody refers to", garbage)?;
        let waiting = of.removals_waiting as u64;
        self.gauge("storage_removals_waiting", "Files that wait for their removal", waiting)?;
        self.gauge("storage_removals_waiting_bytes", "Their bytes", of.removal_bytes_waiting)?;
        let failed = of.failed_segment_removals;
        self.counter("storage_failed_segment_removals", "Segments of the log that stayed", failed)
    }

    fn snapshots(&mut self, of: &StoreStatistics) -> fmt::Result {
        self.gauge("storage_snapshots", "Snapshots held", sum(of, |t| t.snapshots as u64))?;
        let held = of.tablets.values().filter_map(|tablet| tablet.oldest_snapshot_age).max();
        let age = ConstGauge::new(held.unwrap_or_default().as_secs_f64());
        self.put("storage_oldest_snapshot_age_seconds", "For how long the oldest has been held", &age)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sheaf_storage::{BackgroundWork, MemoryVfs, StoreOptions, TabletId, WriteBatch};

    use super::*;
    use crate::metrics::Metrics;

    /// What a line of a metric without labels, or with these, says.
    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("sheafd_storage_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in\n{text}")).parse().unwrap()
    }

    #[test]
    fn the_stores_figures_are_those_of_its_statistics() {
        let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
        let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap();
        let metrics = Metrics::of_store(store.clone());
        // Nothing has been written, so there is nothing it could be a ratio of.
        assert!(!metrics.to_text().unwrap().contains("write_amplification"));
        let second = store.create_tablet(TabletId(1)).unwrap();
        for number in 0..50_u8 {
            for tablet in [&store.tablet(), &second] {
                let mut batch = WriteBatch::new();
                batch.put(vec![b'k', number], vec![number; 100]);
                tablet.commit(batch, None).unwrap();
            }
        }
        second.flush().unwrap();
        let snapshot = second.snapshot();
        assert!(snapshot.get(b"k\x07").unwrap().is_some());
        assert!(snapshot.get(b"nothing").unwrap().is_none());
        let (text, statistics) = (metrics.to_text().unwrap(), store.statistics());
        let tablet = &statistics.tablets[&TabletId(1)];
        let expected = [
            ("format_version", u64::from(store.format_version())),
            ("writes_refused", 0),
            ("log_segments", statistics.log_segments as u64),
            ("log_written_bytes_total", statistics.log.written_bytes),
            ("log_syncs_total", statistics.log.syncs),
            ("log_sync_seconds_count", statistics.log.sync_times.count()),
            ("log_sync_seconds_bucket{le=\"+Inf\"}", statistics.log.sync_times.count()),
            ("cache_capacity_bytes", statistics.cache.budget_bytes),
            ("cache_misses_total", statistics.cache.misses),
            ("filter_questions_total", statistics.cache.filters.asked),
            ("filter_absent_total", statistics.cache.filters.absent),
            ("write_state{state=\"open\"}", 2),
            ("write_state{state=\"stopped\"}", 0),
            ("committed_bytes_total", sum(&statistics, |tablet| tablet.committed_bytes)),
            ("flushes_total", 1),
            ("flushed_bytes_total", tablet.flushed_bytes),
            ("plans_declined_total", 0),
            ("read_amplification_runs", 1),
            ("level_bytes{level=\"0\"}", tablet.levels[0].bytes),
            ("level_sstables{level=\"0\"}", 1),
            ("level_sstables{level=\"6\"}", 0),
            ("removals_waiting", 0),
            ("removals_waiting_bytes", 0),
            ("failed_segment_removals_total", 0),
            ("snapshots", 1),
        ];
        for (name, figure) in expected {
            assert_eq!(value(&text, name).to_string(), figure.to_string(), "{name}");
        }
        assert!(statistics.log.sync_times.count() >= 100 && statistics.cache.filters.asked > 0);
        let written = tablet.write_amplification_permille().unwrap();
        assert!((value(&text, "write_amplification_ratio") - thousandths(written)).abs() < 1e-9);
        for name in ["oldest_snapshot_age_seconds", "write_stall_seconds_total", "write_delay_seconds_total"]
        {
            assert!(value(&text, name) >= 0.0);
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn buckets_of_syncs_add_up() {
        let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
        let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap();
        let mut batch = WriteBatch::new();
        batch.put("k", "v");
        store.tablet().commit(batch, None).unwrap();
        let text = Metrics::of_store(store.clone()).to_text().unwrap();
        let buckets: Vec<&str> =
            text.lines().filter(|line| line.starts_with("sheafd_storage_log_sync_seconds_bucket")).collect();
        let times = store.statistics().log.sync_times;
        assert_eq!(buckets.len(), times.buckets().len());
        // The first bucket ends at a microsecond.
        assert!(buckets.first().unwrap().contains("le=\"0.000001\""), "{buckets:?}");
        let counts: Vec<u64> =
            buckets.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(counts.is_sorted() && counts.last() == Some(&times.count()), "{buckets:?}");
    }
}
