//! A `$text` search of documents.

use std::sync::Arc;

use sheaf_document::RawDocument;

use super::index::{TextIndex, field_scores};
use super::query::TextQuery;
use super::words::Stemming;
use crate::{Error, ErrorCode, Result};

/// A search, and the index that says which fields it looks at.
#[derive(Clone, Debug)]
pub struct TextSearch {
    query: Arc<TextQuery>,
    index: Option<Arc<TextIndex>>,
}

impl TextSearch {
    /// A search that does not know its index yet.
    pub(crate) fn new(query: TextQuery) -> Self {
        Self { query: Arc::new(query), index: None }
    }

    /// The same search with its index.
    pub(crate) fn bound(&self, index: &Arc<TextIndex>) -> Self {
        Self { query: Arc::clone(&self.query), index: Some(Arc::clone(index)) }
    }

    /// What is searched for.
    pub fn query(&self) -> &TextQuery {
        &self.query
    }

    /// The score of a document, if it matches. Without an index there is nothing to search.
    pub fn score(&self, document: RawDocument<'_>) -> Result<Option<f64>> {
        let index = self.index.as_ref().ok_or_else(|| {
            Error::new(ErrorCode::INDEX_NOT_FOUND, "$text needs a text index on the collection")
        })?;
        let query = &*self.query;
        let wanted = Stemming::new(query.language(index.default_language()), query.sensitivity);
        let stored = Stemming::new(index.language_of(document)?, query.sensitivity);
        let words = query.sensitive_stems(&wanted);
        let negated: Vec<String> = query.negated_words.iter().filter_map(|word| wanted.stem(word)).collect();
        let mut missing: Vec<&str> = query.phrases.iter().map(AsRef::as_ref).collect();
        let (mut score, mut is_refused) = (0.0, false);
        index.each_text(document, &mut |text, weight| {
            let stems = stored.stems(text);
            is_refused |= stems.iter().any(|stem| negated.contains(stem));
            for (stem, part) in field_scores(&stems) {
                if words.contains(&stem) {
                    score += part * weight;
                }
            }
            is_refused |= has_any_phrase(query, text, &mut missing);
        })?;
        Ok((score > 0.0 && missing.is_empty() && !is_refused).then_some(score))
    }
}

/// Strikes the phrases that the text has off the list; says whether it has a negated one.
fn has_any_phrase(query: &TextQuery, text: &str, missing: &mut Vec<&str>) -> bool {
    if missing.is_empty() && query.negated_phrases.is_empty() {
        return false;
    }
    let folded = query.sensitivity.fold(text);
    missing.retain(|phrase| !folded.contains(*phrase));
    query.negated_phrases.iter().any(|phrase| folded.contains(&**phrase))
}
