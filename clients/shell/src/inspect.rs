//! `sheaf inspect`: any file of a database directory, in a form for people. Opens nothing else and changes nothing.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sheaf_storage::{DiskVfs, Vfs, inspect};

/// Which file.
#[derive(Args)]
pub struct Options {
    /// A WAL segment, an sstable, a manifest or a blob file.
    file: PathBuf,
}

/// The verb.
pub fn run(options: &Options) -> Result<(), String> {
    let mut out = BufWriter::new(io::stdout().lock());
    let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
    inspect(&vfs, &options.file, &mut out).map_err(|error| format!("{}: {error}", options.file.display()))?;
    out.flush().map_err(|error| error.to_string())
}
