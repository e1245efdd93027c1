//! `sheaf inspect`: any file of a database directory, in a form for people. Opens nothing else and changes nothing.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sheaf_storage::{DiskVfs, Encryption, MasterKey, Vfs, inspect};

/// Which file.
#[derive(Args)]
pub struct Options {
    /// A WAL segment, an sstable, a manifest or a blob file.
    file: PathBuf,
    /// The file with the master key of an encrypted database: 32 bytes, or 64 hexadecimal digits.
    #[arg(long, requires = "master_key_id")]
    master_key_file: Option<PathBuf>,
    /// The id of that key.
    #[arg(long, requires = "master_key_file")]
    master_key_id: Option<String>,
}

/// The verb.
pub fn run(options: &Options) -> Result<(), String> {
    let mut out = BufWriter::new(io::stdout().lock());
    let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
    let encryption = match (&options.master_key_file, &options.master_key_id) {
        (Some(file), Some(id)) => {
            let content = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let key =
                MasterKey::parse(id, &content).map_err(|error| format!("{}: {error}", file.display()))?;
            Some(Encryption::new(key))
        }
        _ => None,
    };
    inspect(&vfs, &options.file, encryption.as_ref(), &mut out)
        .map_err(|error| format!("{}: {error}", options.file.display()))?;
    out.flush().map_err(|error| error.to_string())
}
