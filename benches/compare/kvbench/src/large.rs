//! Values of 16 KiB, apart from their keys in every engine that can: a store of blobs beside a store of blobs.
use super::*;

const VALUE_BYTES: usize = 16 << 10;
/// From which size on values leave the tree (RocksDB's `min_blob_size`, fjall's `separation_threshold`).
const BLOB_MIN_BYTES: u64 = 4 << 10;
/// Records of this suite for every hundred of `--n`: 60,000 records, 0.98 GB, of a million.
const RECORDS_PERCENT: u64 = 6;

impl Cfg {
    pub fn large(&self) -> Result<()> {
        let sub = "large";
        let n = (self.n * RECORDS_PERCENT / 100).max(100);
        let c = Cfg { n, vlo: VALUE_BYTES, vhi: VALUE_BYTES, ..self.clone() };
        c.fresh(sub);
        let e = engines::open(&c.engine, &Opts { blob_min_bytes: Some(BLOB_MIN_BYTES), ..c.opts(sub, Sync::Os) })?;
        c.large_puts(&*e, sub, "large_fillrandom", false)?;
        let seen = c.warm(&*e)?;
        anyhow::ensure!(seen == n, "expected {n} records, scanned {seen}");
        c.reads(&*e, "large_readrandom", 1, 0, c.secs)?;
        c.reads(&*e, "large_readrandom", 2, 0, c.secs)?;
        c.large_puts(&*e, sub, "large_overwrite", true)?;
        drop(e);
        c.fresh(sub);
        Ok(())
    }
    /// n puts, of every key once in random order, or of n keys drawn at random. Not bounded by time: what is on disk
    /// afterwards is compared too, and that needs the same writes.
    fn large_puts(&self, e: &dyn Engine, sub: &str, wl: &str, again: bool) -> Result<()> {
        let vals = Values::new(self.vlo, self.vhi);
        let perm = permutation(self.n);
        let m = Meter::start();
        let (r, s) = par(1, |_, bar| {
            let mut se = e.session()?;
            let mut rng = Rng::new(1600 + again as u64);
            let mut r = Res::default();
            bar.wait();
            let mut lap = Lap::start();
            for &id in &perm {
                let id = if again { rng.below(self.n) } else { id as u64 };
                let v = vals.get(&mut rng);
                se.put(&key(id), v)?;
                r.ops += 1;
                r.bytes += 16 + v.len() as u64;
                lap.lap(&mut r.h);
            }
            Ok(r)
        })?;
        self.write_report(e, sub, wl, 1, &r, s, m, self.n * (16 + VALUE_BYTES as u64))
    }
}
