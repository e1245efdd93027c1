use crate::engine::*;
use anyhow::Result;
use sheaf_storage::vfs::DiskVfs;
use sheaf_storage::{
    Durability, Error, IterOptions, Keyspace, KeyspaceOptions, Store, StoreOptions, Tablet, TransactionOptions, WriteBatch,
};
use std::sync::Arc;

pub struct E {
    store: Store,
    tablet: Tablet,
}
pub fn open(o: &Opts) -> Result<E> {
    let mut options = StoreOptions {
        durability: if o.sync == Sync::Fsync { Durability::Sync } else { Durability::Async },
        cache_bytes: o.cache_bytes,
        memtable_bytes: o.memtable_bytes as usize,
        ..StoreOptions::default()
    };
    if let Some(min) = o.blob_min_bytes {
        // Keys begin with a big-endian number below 2^56: all are in keyspace 0.
        let apart = KeyspaceOptions { blob_threshold_bytes: Some(min as usize), ..KeyspaceOptions::default() };
        options.keyspaces.insert(Keyspace(0), apart);
    }
    let store = Store::open(Arc::new(DiskVfs), &o.dir, options)?;
    Ok(E { tablet: store.tablet(), store })
}
impl Drop for E {
    fn drop(&mut self) {
        let _ = self.store.close();
    }
}
impl Engine for E {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(S(&self.tablet)))
    }
    fn flush(&self) -> Result<()> {
        Ok(self.tablet.flush()?)
    }
    fn settle(&self) -> Result<()> {
        Ok(self.tablet.settle()?)
    }
}
struct S<'a>(&'a Tablet);
impl Session for S<'_> {
    fn put(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let mut b = WriteBatch::new();
        b.put(k, v);
        self.0.commit(b, None)?;
        Ok(())
    }
    fn get(&mut self, k: &[u8], f: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(match self.0.get(k)? {
            Some(v) => {
                f(&v);
                true
            }
            None => false,
        })
    }
    fn delete(&mut self, k: &[u8]) -> Result<()> {
        let mut b = WriteBatch::new();
        b.delete(k);
        self.0.commit(b, None)?;
        Ok(())
    }
    fn batch(&mut self, kv: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let mut b = WriteBatch::new();
        for (k, v) in kv {
            b.put(k.as_slice(), v.as_slice());
        }
        self.0.commit(b, None)?;
        Ok(())
    }
    fn delete_batch(&mut self, keys: &[Vec<u8>]) -> Result<()> {
        let mut b = WriteBatch::new();
        for k in keys {
            b.delete(k.as_slice());
        }
        self.0.commit(b, None)?;
        Ok(())
    }
    fn transact(&mut self, k: &[u8], v: &[u8]) -> Result<Transacted> {
        let mut t = self.0.begin(TransactionOptions::default())?;
        let read = t.get(k)?.map_or(0, |v| v.len());
        t.put(k, v)?;
        match t.commit(None) {
            Ok(_) => Ok(Transacted::Committed(read)),
            Err(Error::Conflict { .. }) => Ok(Transacted::Conflict),
            Err(e) => Err(e.into()),
        }
    }
    fn scan(&mut self, start: &[u8], limit: usize, f: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let snapshot = self.0.snapshot();
        let mut it = snapshot.iter(IterOptions { lower: Some(start.to_vec()), ..IterOptions::default() })?;
        let mut n = 0;
        let mut more = it.seek_to_first()?;
        while more && n < limit {
            f(it.key(), it.value());
            n += 1;
            more = it.next()?;
        }
        Ok(n)
    }
}
