//! One small transaction a write: reads a key, gives it a new value, commits; on a conflict once more.
use super::*;

impl Cfg {
    pub fn transaction(&self) -> Result<()> {
        let sub = "transaction";
        self.load(sub, "transaction_load", key)?;
        let e = engines::open(&self.engine, &Opts { transactions: true, ..self.opts(sub, Sync::Os) })?;
        let seen = self.warm(&*e)?;
        anyhow::ensure!(seen == self.n, "expected {} records, scanned {seen}", self.n);
        self.transact(&*e, sub, 1)?;
        self.transact(&*e, sub, 4)?;
        drop(e);
        self.fresh(sub);
        Ok(())
    }
    /// An operation is a transaction that has committed; its latency includes the attempts that conflicted.
    fn transact(&self, e: &dyn Engine, sub: &str, threads: usize) -> Result<()> {
        let vals = Values::new(self.vlo, self.vhi);
        let conflicts = AtomicU64::new(0);
        let m = Meter::start();
        let (mut r, s) = par(threads, |i, bar| {
            let mut se = e.session()?;
            let mut rng = Rng::new(7100 + i as u64 + 31 * self.round as u64);
            let mut r = Res::default();
            bar.wait();
            let end = Instant::now() + Duration::from_secs_f64(1.5 * self.secs);
            let mut lap = Lap::start();
            loop {
                let (k, v) = (key(rng.below(self.n)), vals.get(&mut rng));
                let read = loop {
                    match se.transact(&k, v)? {
                        Transacted::Committed(read) => break read,
                        Transacted::Conflict => conflicts.fetch_add(1, Relaxed),
                    };
                };
                anyhow::ensure!(read >= self.vlo, "a transaction read {read} bytes of a key that has {} or more", self.vlo);
                r.ops += 1;
                r.bytes += 16 + v.len() as u64;
                if lap.lap(&mut r.h) >= end {
                    break;
                }
            }
            Ok(r)
        })?;
        // `items` of this row: attempts that met a conflict.
        r.items = conflicts.load(Relaxed);
        self.write_report(e, sub, "transaction", threads, &r, s, m, 0)
    }
}
