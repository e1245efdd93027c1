#[cfg(feature = "peers")]
mod fjall_e;
#[cfg(feature = "peers")]
mod redb_e;
#[cfg(feature = "rocks")]
mod rocks;
mod sheaf;
#[cfg(feature = "peers")]
mod sled_e;
#[cfg(feature = "peers")]
mod sqlite;
#[cfg(feature = "wt")]
mod wt;
use crate::engine::*;
use anyhow::{bail, Result};

/// Register a new engine here (name -> constructor).
pub fn open(name: &str, o: &Opts) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(&o.dir)?;
    Ok(match name {
        #[cfg(feature = "rocks")]
        "rocksdb" => rocks::open(o)?,
        #[cfg(feature = "peers")]
        "fjall" => Box::new(fjall_e::open(o)?),
        #[cfg(feature = "peers")]
        "redb" => Box::new(redb_e::open(o)?),
        "sheaf" => Box::new(sheaf::open(o)?),
        #[cfg(feature = "peers")]
        "sled" => Box::new(sled_e::open(o)?),
        #[cfg(feature = "peers")]
        "sqlite" => Box::new(sqlite::open(o)?),
        #[cfg(feature = "wt")]
        "wiredtiger" => Box::new(wt::open(o)?),
        _ => bail!("unknown engine {name}"),
    })
}
pub const ALL: [&str; 7] = ["sheaf", "rocksdb", "wiredtiger", "fjall", "redb", "sled", "sqlite"];
