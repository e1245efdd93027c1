//! `sheaf export`: a collection as JSON lines, one JSON array, or CSV of named fields.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef, json};

use crate::namespace::Namespace;
use crate::reply;
use crate::target::{Target, TargetOptions};

/// What to export, and where to.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// The collection, as database.collection.
    #[arg(long)]
    collection: Namespace,
    /// The format.
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// Only documents that match this filter, in extended JSON.
    #[arg(long)]
    filter: Option<String>,
    /// The fields of CSV, dotted paths allowed, separated by commas.
    #[arg(long, value_delimiter = ',', required_if_eq("format", "csv"))]
    fields: Vec<String>,
    /// Keep every type exactly (canonical extended JSON) instead of the relaxed form for people.
    #[arg(long)]
    canonical: bool,
    /// The file; standard output if it is left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Json,
    Csv,
}

/// The verb.
pub fn run(options: &Options) -> Result<(), String> {
    let target = Target::open(&options.target)?;
    let out: Box<dyn Write> = match &options.out {
        Some(path) => Box::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Box::new(io::stdout().lock()),
    };
    let mut sink = Sink::new(BufWriter::with_capacity(1 << 20, out), options)?;
    let mut find = DocumentBuilder::new();
    find.append("find", options.collection.collection.as_str()).append("batchSize", 1000);
    if let Some(filter) = &options.filter {
        let filter = json::parse_document(filter).map_err(|error| format!("--filter: {error}"))?;
        find.append("filter", filter);
    }
    let mut command = find.build();
    let count = loop {
        let reply = target.run(&options.collection.database, &command)?;
        let reply = reply::checked(reply.as_raw())?;
        let (documents, cursor) = reply::batch(reply).ok_or("the reply has no cursor")?;
        for document in documents {
            sink.write(document).map_err(|error| format!("writing: {error}"))?;
        }
        if cursor == 0 {
            break sink.finish().map_err(|error| format!("writing: {error}"))?;
        }
        command = get_more(cursor, &options.collection.collection);
    };
    eprintln!("{count} documents exported");
    target.close()
}

fn get_more(cursor: i64, collection: &str) -> RawDocumentBuf {
    let mut command = DocumentBuilder::new();
    command.append("getMore", cursor).append("collection", collection).append("batchSize", 1000);
    command.build()
}

/// Where documents go, in their format.
struct Sink<'a, W: Write> {
    out: W,
    options: &'a Options,
    count: u64,
}

impl<'a, W: Write> Sink<'a, W> {
    fn new(mut out: W, options: &'a Options) -> Result<Self, String> {
        if options.format == Format::Csv {
            csv_row(&mut out, &options.fields).map_err(|error| format!("writing: {error}"))?;
        }
        Ok(Self { out, options, count: 0 })
    }

    fn write(&mut self, document: RawDocument<'_>) -> io::Result<()> {
        match self.options.format {
            Format::Csv => {
                let cells: Vec<String> =
                    self.options.fields.iter().map(|field| cell(document, field)).collect();
                csv_row(&mut self.out, &cells)?;
            }
            format => {
                let separator = match (format, self.count) {
                    (Format::Json, 0) => "[",
                    (Format::Json, _) => ",\n",
                    _ => "",
                };
                self.out.write_all(separator.as_bytes())?;
                let text = if self.options.canonical {
                    json::to_canonical(document)
                } else {
                    json::to_relaxed(document)
                };
                self.out.write_all(text.as_bytes())?;
                if format == Format::Jsonl {
                    self.out.write_all(b"\n")?;
                }
            }
        }
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        if self.options.format == Format::Json {
            self.out.write_all(if self.count == 0 { b"[]\n" } else { b"]\n" })?;
        }
        self.out.flush()?;
        Ok(self.count)
    }
}

fn csv_row(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}

/// The value at a dotted path as a cell: strings as they are, nothing as an empty cell, the rest as extended JSON.
fn cell(document: RawDocument<'_>, path: &str) -> String {
    let mut value = Some(ValueRef::Document(document));
    for name in path.split('.') {
        value = match value {
            Some(ValueRef::Document(document)) => document.get(name),
            Some(ValueRef::Array(array)) => name.parse().ok().and_then(|index| array.get(index)),
            _ => None,
        };
    }
    match value {
        None => String::new(),
        Some(ValueRef::String(text)) => text.to_owned(),
        Some(value) => json::value_to_relaxed(&Value::from(value)),
    }
}
