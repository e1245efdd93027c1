//! `sheaf import`: JSON lines, one JSON array, CSV or TSV into a collection. A bad record is reported with its line
//! and put into a reject file; the rest goes in.

mod delimited;
mod json;
mod loader;
mod record;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::namespace::Namespace;
use crate::target::{Target, TargetOptions};
use delimited::Delimited;
use json::{JsonArray, JsonLines};
use loader::Loader;
use record::Record;

/// What to import, and where.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// The collection, as database.collection.
    #[arg(long)]
    collection: Namespace,
    /// The format; else by the file's ending and first byte.
    #[arg(long)]
    format: Option<Format>,
    /// Leave empty cells of CSV and TSV out instead of storing empty strings.
    #[arg(long)]
    ignore_blanks: bool,
    /// Where bad records go; else the input's name with `.rejected` (standard input: `sheaf-import.rejected`).
    #[arg(long)]
    reject: Option<PathBuf>,
    /// The file; `-` is standard input.
    file: PathBuf,
}

/// How the input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One document a line.
    Jsonl,
    /// One array of documents.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
}

enum Records<R: BufRead> {
    Lines(JsonLines<R>),
    Array(JsonArray<R>),
    Delimited(Box<Delimited<R>>),
}

impl<R: BufRead> Records<R> {
    fn next_record(&mut self) -> io::Result<Option<Record>> {
        match self {
            Self::Lines(records) => records.next_record(),
            Self::Array(records) => records.next_record(),
            Self::Delimited(records) => records.next_record(),
        }
    }
}

/// The verb. Succeeds if the input could be read to its end; bad records are counted and reported.
pub fn run(options: &Options) -> Result<(), String> {
    let target = Target::open(&options.target)?;
    let reject = options.reject.clone().unwrap_or_else(|| reject_path(&options.file));
    let progress = progress(&options.file)?;
    let input = progress.wrap_read(open(&options.file)?);
    let name = options.file.display();
    let mut input = BufReader::with_capacity(1 << 20, input);
    let format = match options.format {
        Some(format) => format,
        None => detect(&options.file, &mut input).map_err(|error| format!("{name}: {error}"))?,
    };
    let mut records = match format {
        Format::Jsonl => Records::Lines(JsonLines::new(input)),
        Format::Json => Records::Array(JsonArray::new(input)),
        Format::Csv | Format::Tsv => {
            let delimiter = if format == Format::Csv { b',' } else { b'\t' };
            let delimited = Delimited::new(input, delimiter, options.ignore_blanks);
            Records::Delimited(Box::new(delimited.map_err(|error| format!("{name}: {error}"))?))
        }
    };
    let mut loader = Loader::new(&target, &options.collection, reject);
    while let Some(record) = records.next_record().map_err(|error| format!("{name}: {error}"))? {
        loader.add(record)?;
        progress.set_message(loader.inserted().to_string());
    }
    let summary = loader.finish();
    progress.finish_and_clear();
    println!("{}", summary?);
    target.close()
}

fn open(file: &Path) -> Result<Box<dyn Read>, String> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(file).map_err(|error| format!("{}: {error}", file.display()))?))
}

fn reject_path(file: &Path) -> PathBuf {
    if file == Path::new("-") {
        return PathBuf::from("sheaf-import.rejected");
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".rejected");
    file.with_file_name(name)
}

/// The format by the file's ending, else by the first byte that is not white space.
fn detect(file: &Path, input: &mut impl BufRead) -> io::Result<Format> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => return Ok(Format::Csv),
        Some("tsv") => return Ok(Format::Tsv),
        _ => {}
    }
    let first = input.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if first == Some(&b'[') { Format::Json } else { Format::Jsonl })
}

/// A bar over the input's bytes on a terminal, nothing elsewhere.
fn progress(file: &Path) -> Result<ProgressBar, String> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let bytes =
        if file == Path::new("-") { None } else { file.metadata().ok().map(|metadata| metadata.len()) };
    let bar = bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = "{msg} documents {bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}";
    bar.set_style(ProgressStyle::with_template(style).map_err(|error| error.to_string())?);
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}
