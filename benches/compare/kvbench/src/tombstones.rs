//! Nearly everything deleted: what a seek and a scan pay for what is no longer there.
use super::*;

/// Keys for each of `--n`: ten million of a million.
const KEYS_FACTOR: u64 = 10;
/// One key in so many stays: a seek has half as many deleted ones before it on average, a scan of 50 fifty times as many.
const LIVE_EVERY: u64 = 1000;
const VALUE_BYTES: usize = 16;
const BATCH: u64 = 1000;

impl Cfg {
    /// Loads and deletes in key order, as a queue or an expired span of time is deleted.
    pub fn tombstones(&self) -> Result<()> {
        let sub = "tombstones";
        let n = (self.n * KEYS_FACTOR / LIVE_EVERY).max(100) * LIVE_EVERY;
        let c = Cfg { n, vlo: VALUE_BYTES, vhi: VALUE_BYTES, ..self.clone() };
        c.fresh(sub);
        let e = engines::open(&c.engine, &c.opts(sub, Sync::Os))?;
        let m = Meter::start();
        let (r, s) = c.tombstone_batches(&*e, false)?;
        c.write_report(&*e, sub, "tombstone_load", 1, &r, s, m, r.bytes)?;
        let m = Meter::start();
        let (r, s) = c.tombstone_batches(&*e, true)?;
        c.report("deletebatch1000", 1, &r, s, &m, json!({"deleted": r.ops}));
        e.flush()?;
        let size = json!({"disk_size": disk_size(&c.dir.join(sub))});
        c.seek_live(&*e, "seek_over_tombstones", 1, size)?;
        c.seek_live(&*e, "scan50_over_tombstones", 50, json!({}))?;
        let t0 = Instant::now();
        e.settle()?;
        let settle = t0.elapsed().as_secs_f64();
        let size = json!({"disk_size": disk_size(&c.dir.join(sub)), "settle_s": settle});
        c.seek_live(&*e, "seek_over_tombstones_settled", 1, size)?;
        c.seek_live(&*e, "scan50_over_tombstones_settled", 50, json!({}))?;
        drop(e);
        c.fresh(sub);
        Ok(())
    }
    /// Puts every key, or deletes those that are not to stay; latency is per batch.
    fn tombstone_batches(&self, e: &dyn Engine, delete: bool) -> Result<(Res, f64)> {
        let vals = Values::new(self.vlo, self.vhi);
        par(1, |_, bar| {
            let mut se = e.session()?;
            let mut rng = Rng::new(55);
            let mut r = Res::default();
            bar.wait();
            let mut lap = Lap::start();
            for first in (0..self.n).step_by(BATCH as usize) {
                let ids = first..(first + BATCH).min(self.n);
                if delete {
                    let keys: Vec<_> = ids.filter(|id| id % LIVE_EVERY != 0).map(|id| key(id).to_vec()).collect();
                    r.ops += keys.len() as u64;
                    r.bytes += 16 * keys.len() as u64;
                    lap.reset();
                    se.delete_batch(&keys)?;
                } else {
                    let kv: Vec<_> = ids.map(|id| (key(id).to_vec(), vals.get(&mut rng).to_vec())).collect();
                    r.ops += kv.len() as u64;
                    r.bytes += (16 + VALUE_BYTES as u64) * kv.len() as u64;
                    lap.reset();
                    se.batch(&kv)?;
                }
                lap.lap(&mut r.h);
            }
            Ok(r)
        })
    }
    /// Seeks to any key, deleted ones almost always, and takes up to `limit` live ones from there, which are checked.
    fn seek_live(&self, e: &dyn Engine, wl: &str, limit: usize, extra: serde_json::Value) -> Result<()> {
        let m = Meter::start();
        let (r, s) = par(1, |_, bar| {
            let mut se = e.session()?;
            let mut rng = Rng::new(0xdead + self.round as u64);
            let mut r = Res::default();
            bar.wait();
            let end = Instant::now() + Duration::from_secs_f64(self.secs);
            let mut lap = Lap::start();
            loop {
                let id = rng.below(self.n);
                let first = id.next_multiple_of(LIVE_EVERY);
                let (mut next, mut wrong) = (first, false);
                let seen = se.scan(&key(id), limit, &mut |k, v| {
                    wrong |= k != key(next) || v.len() != VALUE_BYTES;
                    next += LIVE_EVERY;
                })?;
                let there = ((self.n - first) / LIVE_EVERY).min(limit as u64);
                anyhow::ensure!(!wrong && seen as u64 == there, "seek to {id}: {seen} of {there} keys, or wrong ones");
                r.ops += 1;
                r.items += seen as u64;
                if lap.lap(&mut r.h) >= end {
                    break;
                }
            }
            Ok(r)
        })?;
        self.report(wl, 1, &r, s, &m, extra);
        Ok(())
    }
}
