//! Evaluation by itself: compiled filters over documents in memory, no storage and no plan.

use sheaf_document::{RawDocumentBuf, json};
use sheaf_language::Filter;
use sheaf_language::expression::{Environment, Scope};

use crate::corpus;
use crate::meter::measure;
use crate::report::Report;

/// Documents of one pass; about 1 MB, so that the memory of the machine is not what is measured.
const DOCUMENTS: u64 = 1_000;

const FILTERS: [(&str, &str); 2] = [
    ("filter in memory, one field", r#"{"score": {"$gte": 500000}}"#),
    // Every clause but the last holds for most documents, so that all five are evaluated.
    (
        "filter in memory, five fields, nested",
        r#"{"score": {"$gte": 1}, "profile.level": {"$gte": 1}, "profile.language": {"$in": ["en", "no"]},
            "profile.address.zip": {"$lt": 9999}, "active": true}"#,
    ),
];

/// Prints the rows.
pub fn rows(report: &mut Report, seconds: f64) -> Result<(), String> {
    let documents: Vec<RawDocumentBuf> =
        (0..DOCUMENTS).map(|number| corpus::document(number, DOCUMENTS)).collect();
    for (name, filter) in FILTERS {
        let parsed = json::parse_document(filter).map_err(|error| error.to_string())?;
        let filter = Filter::parse(parsed.as_raw(), &mut Scope::new()).map_err(|error| error.to_string())?;
        let figures = measure(1, u64::MAX, seconds, |_, _| {
            let mut environment = Environment::new(0, 0);
            let mut matched = 0_u64;
            for document in &documents {
                let found = filter.matches(document.as_raw(), &mut environment);
                matched += u64::from(found.map_err(|error| error.to_string())?);
            }
            // About half of them, by the making of the corpus.
            if (DOCUMENTS / 3..DOCUMENTS * 2 / 3).contains(&matched) {
                Ok(())
            } else {
                Err(format!("wrong answer: {name}: {matched} of {DOCUMENTS}"))
            }
        })?;
        report.operations(name, 1, &figures, DOCUMENTS);
    }
    Ok(())
}
