//! The same work for every engine, however fast it is: what a store costs the disk that is overwritten several times.
//!
//! `overwrite` runs for a span of time, so that a quicker engine has overwritten more of its store, and has compacted more of it
//! for each byte, when its write amplification is taken.
use super::*;

/// Puts for each key of the store.
const PUTS_PER_KEY: u64 = 3;
/// An engine that needs longer than so many times `--secs` stops there.
const SECONDS_FACTOR_MAX: f64 = 20.0;

impl Cfg {
    /// Loads a store, overwrites random keys, waits until what is to be written is written.
    pub fn churn(&self) -> Result<()> {
        let sub = "churn";
        let logical = self.load(sub, "churn_load", key)?;
        let e = engines::open(&self.engine, &self.opts(sub, Sync::Os))?;
        let vals = Values::new(self.vlo, self.vhi);
        let m = Meter::start();
        let (r, s) = par(1, |_, bar| {
            let mut se = e.session()?;
            let mut rng = Rng::new(77);
            let mut r = Res::default();
            bar.wait();
            let end = Instant::now() + Duration::from_secs_f64(self.secs * SECONDS_FACTOR_MAX);
            let mut lap = Lap::start();
            while r.ops < PUTS_PER_KEY * self.n {
                let v = vals.get(&mut rng);
                se.put(&key(rng.below(self.n)), v)?;
                r.bytes += 16 + v.len() as u64;
                r.ops += 1;
                if lap.lap(&mut r.h) >= end {
                    break;
                }
            }
            Ok(r)
        })?;
        self.write_report(&*e, sub, "churn", 1, &r, s, m, logical)?;
        drop(e);
        self.fresh(sub);
        Ok(())
    }
}
