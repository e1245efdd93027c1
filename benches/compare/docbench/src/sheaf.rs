//! SheafDB, embedded: the same operations that the doors use. Documents go in and come out as raw BSON.
use crate::*;
use sheaf_document::{DocumentBuilder, RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::IndexSpecification;
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, CountOperation, CreateIndexesOperation, DeleteOperation, FindOperation, InsertOperation,
    UpdateOperation,
};
use sheaf_engine::{Cursor, Database, DatabaseOptions, Durability, Namespace, Session};

pub struct Sheaf {
    db: Database,
    s: Session,
    c: Namespace,
    path: PathBuf,
}
pub fn open(dir: &Path, s: Sync) -> Result<Box<dyn DocDb>> {
    let mut o = DatabaseOptions::default();
    o.store.cache_bytes = 1 << 30;
    o.store.memtable_bytes = 64 << 20;
    o.store.durability = if s == Sync::Fsync { Durability::Sync } else { Durability::Async };
    let db = Database::open(dir.join("sheaf"), o)?;
    Ok(Box::new(Sheaf { s: db.session(), db, c: Namespace::new("bench", "docs")?, path: dir.to_path_buf() }))
}
impl Drop for Sheaf {
    fn drop(&mut self) {
        let _ = self.db.close();
    }
}
fn built<R>(f: impl FnOnce(&mut DocumentBuilder) -> R) -> RawDocumentBuf {
    let mut b = DocumentBuilder::new();
    let _ = f(&mut b);
    b.build()
}
fn bson(d: &Doc) -> Result<RawDocumentBuf> {
    Ok(RawDocumentBuf::from_bytes(bson2::to_vec(&common::doc_to_bson!(bson2, d))?)?)
}
fn drain(mut c: Cursor) -> Result<(usize, usize)> {
    let (mut n, mut b) = (0, 0);
    while !c.is_exhausted() {
        for d in c.next_batch(1000, 1 << 20)?.documents {
            n += 1;
            b += d.as_bytes().len();
        }
    }
    Ok((n, b))
}
impl Sheaf {
    fn rows(&self, filter: &RawDocumentBuf, sort: Option<&RawDocumentBuf>, n: usize) -> Result<(usize, usize)> {
        let mut o = FindOperation::new(self.c.clone(), filter.as_raw());
        o.sort = sort.map(|s| s.as_raw());
        o.limit = Some(n as u64);
        drain(self.s.find(&o)?)
    }
}
impl DocDb for Sheaf {
    fn create(&mut self) -> Result<()> {
        let mut indexes = vec![];
        for keys in [&["email"][..], &["score"], &["city", "status"]] {
            let k = built(|b| keys.iter().for_each(|k| { b.append(k, 1); }));
            indexes.push(IndexSpecification::new(k.as_raw())?);
        }
        self.s.create_indexes(&CreateIndexesOperation { namespace: self.c.clone(), indexes })?;
        Ok(())
    }
    fn insert_one(&mut self, d: &Doc) -> Result<()> {
        let d = bson(d)?;
        self.s.insert(&InsertOperation::new(self.c.clone(), vec![d.as_raw()]))?;
        Ok(())
    }
    fn insert_many(&mut self, d: &[Doc]) -> Result<()> {
        let d = d.iter().map(bson).collect::<Result<Vec<_>>>()?;
        self.s.insert(&InsertOperation::new(self.c.clone(), d.iter().map(|d| d.as_raw()).collect()))?;
        Ok(())
    }
    fn by_id(&mut self, id: i64) -> Result<(usize, usize)> {
        self.rows(&built(|b| { b.append("_id", id); }), None, 1)
    }
    fn by_email(&mut self, e: &str) -> Result<(usize, usize)> {
        self.rows(&built(|b| { b.append("email", e); }), None, 1)
    }
    fn range(&mut self, lo: i64, n: usize) -> Result<(usize, usize)> {
        let sort = built(|b| { b.append("score", 1); });
        self.rows(&built(|b| { b.document("score", |b| { b.append("$gte", lo); }); }), Some(&sort), n)
    }
    fn compound(&mut self, city: &str, status: &str, age: i32, n: usize) -> Result<(usize, usize)> {
        let f = built(|b| {
            b.append("city", city);
            b.append("status", status);
            b.document("age", |b| { b.append("$gte", age); });
        });
        self.rows(&f, None, n)
    }
    fn scan_filter(&mut self, x: f64) -> Result<usize> {
        let f = built(|b| { b.document("balance", |b| { b.append("$lt", x); }); });
        Ok(self.s.count(&CountOperation::new(self.c.clone(), f.as_raw()))? as usize)
    }
    fn inc(&mut self, id: i64) -> Result<()> {
        let (f, u) = (built(|b| { b.append("_id", id); }), built(|b| { b.document("$inc", |b| { b.append("visits", 1_i64); }); }));
        self.s.update(&UpdateOperation::new(self.c.clone(), f.as_raw(), ValueRef::Document(u.as_raw())))?;
        Ok(())
    }
    fn group_by(&mut self) -> Result<usize> {
        let p = sheaf_document::json::parse_document(
            r#"{"p": [{"$match": {"_id": {"$lt": 100000}}},
                {"$group": {"_id": "$city", "n": {"$sum": 1}, "b": {"$sum": "$balance"}, "a": {"$avg": "$age"}}}]}"#,
        )?;
        let Some(ValueRef::Array(stages)) = p.as_raw().get("p") else { anyhow::bail!("no pipeline") };
        let o = AggregateOperation::new(AggregateTarget::Collection(self.c.clone()), stages.iter().collect());
        Ok(drain(self.s.aggregate(&o)?)?.0)
    }
    fn delete(&mut self, id: i64) -> Result<()> {
        let f = built(|b| { b.append("_id", id); });
        self.s.delete(&DeleteOperation::new(self.c.clone(), f.as_raw()))?;
        Ok(())
    }
    fn flush_size(&mut self) -> Result<u64> {
        let tablet = self.db.store().tablet();
        tablet.flush()?;
        tablet.settle()?;
        Ok(disk_size(&self.path))
    }
}
