//! What a text index is about: which fields, how much they weigh, in which language.

use std::collections::BTreeMap;

use sheaf_document::{RawArray, RawDocument, ValueRef};

use super::language::Language;
use super::words::{Sensitivity, Stemming};
use crate::Result;
use crate::filter::path::{FieldPath, LeafArray, walk};

/// The name of the field that stands for all fields.
const EVERY_FIELD: &str = "$**";

/// The description of a text index.
#[derive(Clone, Debug)]
pub struct TextIndex {
    fields: Vec<(FieldPath, f64)>,
    /// Weight of every string field that is not named, if all are indexed.
    every_field: Option<f64>,
    default_language: Language,
    language_override: Box<str>,
}

impl TextIndex {
    /// An index over these paths with their weights; the path "$**" stands for every field. A document says its
    /// language in the field `language_override`.
    pub fn new(
        weights: impl IntoIterator<Item = (String, f64)>,
        default_language: Language,
        language_override: &str,
    ) -> Self {
        let (mut fields, mut every_field) = (Vec::new(), None);
        for (path, weight) in weights {
            if path == EVERY_FIELD {
                every_field = Some(weight);
            } else {
                fields.push((FieldPath::parse(&path), weight));
            }
        }
        Self { fields, every_field, default_language, language_override: language_override.into() }
    }

    /// The language of searches and documents that say none.
    pub const fn default_language(&self) -> Language {
        self.default_language
    }

    /// The language of a document.
    pub fn language_of(&self, document: RawDocument<'_>) -> Result<Language> {
        match document.get(&self.language_override) {
            Some(ValueRef::String(name)) => Language::parse(name),
            _ => Ok(self.default_language),
        }
    }

    /// Every stem of the document with its score: what an index keeps.
    ///
    /// A word counts more the more often it stands in a field, each time half as much as the time before, and the
    /// larger its part of the field is; a field counts as much as it weighs.
    pub fn terms(&self, document: RawDocument<'_>) -> Result<BTreeMap<String, f64>> {
        let stemming = Stemming::new(self.language_of(document)?, Sensitivity::default());
        let mut scores = BTreeMap::new();
        self.each_text(document, &mut |text, weight| {
            for (stem, score) in field_scores(&stemming.stems(text)) {
                *scores.entry(stem).or_insert(0.0) += score * weight;
            }
        })?;
        Ok(scores)
    }

    /// Hands every indexed text with its weight to `visit`.
    pub(super) fn each_text<'a>(
        &self,
        document: RawDocument<'a>,
        visit: &mut dyn FnMut(&'a str, f64),
    ) -> Result<()> {
        for (path, weight) in &self.fields {
            walk(document, path.components(), LeafArray::Traversed, &mut |value, _| {
                if let Some(ValueRef::String(text)) = value {
                    visit(text, *weight);
                }
                Ok(false)
            })?;
        }
        if let Some(weight) = self.every_field {
            self.every_text(document, "", weight, visit);
        }
        Ok(())
    }

    fn every_text<'a>(
        &self,
        document: RawDocument<'a>,
        prefix: &str,
        weight: f64,
        visit: &mut dyn FnMut(&'a str, f64),
    ) {
        for element in document {
            let path = format!("{prefix}{}", element.key());
            if self.fields.iter().any(|(known, _)| known.as_str() == path) {
                continue;
            }
            match element.value() {
                ValueRef::String(text) => visit(text, weight),
                ValueRef::Document(nested) => self.every_text(nested, &format!("{path}."), weight, visit),
                ValueRef::Array(array) => self.every_item(array, &path, weight, visit),
                _ => {}
            }
        }
    }

    fn every_item<'a>(
        &self,
        array: RawArray<'a>,
        path: &str,
        weight: f64,
        visit: &mut dyn FnMut(&'a str, f64),
    ) {
        for item in array.iter() {
            match item {
                ValueRef::String(text) => visit(text, weight),
                ValueRef::Document(nested) => self.every_text(nested, &format!("{path}."), weight, visit),
                _ => {}
            }
        }
    }
}

/// The score of each stem of one field.
#[expect(clippy::cast_precision_loss, reason = "a field has fewer than 2^53 words")]
pub(super) fn field_scores(stems: &[String]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for stem in stems {
        *counts.entry(stem).or_default() += 1;
    }
    let total = stems.len().max(1) as f64;
    counts
        .into_iter()
        .map(|(stem, count)| {
            let frequency = 2.0 - 0.5f64.powf(f64::from(count) - 1.0);
            let part = 0.5 + 0.5 * f64::from(count) / total;
            (stem.to_owned(), frequency * part)
        })
        .collect()
}
