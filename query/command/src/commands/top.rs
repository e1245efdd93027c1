//! `top`: how often each collection is used, and how long that took.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;

use crate::activity::{NamespaceUsage, OperationKind, Usage};
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    // Further fields are no error, as in MongoDB.
    let usage = request.commands().activity().usage();
    let mut body = DocumentBuilder::new();
    body.document("totals", |totals| {
        totals.append("note", "all times in microseconds");
        for (namespace, usage) in &usage {
            totals.document(namespace, |out| write(usage, out));
        }
    });
    Ok(body)
}

fn write(usage: &NamespaceUsage, out: &mut DocumentBuilder) {
    let of = |kind| usage.by_kind.get(&kind).copied().unwrap_or_default();
    let sum = |parts: [Usage; 3]| Usage {
        count: parts.iter().map(|part| part.count).sum(),
        micros: parts.iter().map(|part| part.micros).sum(),
    };
    let counters = [
        ("total", sum([usage.reads, usage.writes, usage.commands])),
        ("readLock", usage.reads),
        ("writeLock", usage.writes),
        ("queries", of(OperationKind::Query)),
        ("getmore", of(OperationKind::GetMore)),
        ("insert", of(OperationKind::Insert)),
        ("update", of(OperationKind::Update)),
        ("remove", of(OperationKind::Remove)),
        ("commands", of(OperationKind::Command)),
    ];
    for (name, counted) in counters {
        out.document(name, |counter| {
            counter.append("time", long(counted.micros)).append("count", long(counted.count));
        });
    }
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
