//! The operand of `$text`.

use sheaf_document::ValueRef;

use super::language::Language;
use super::words::{Sensitivity, Stemming, cut};
use crate::{Error, ErrorCode, Result};

/// What is searched for.
#[derive(Clone, Debug, PartialEq)]
pub struct TextQuery {
    /// The text of `$search`.
    search: Box<str>,
    /// The language of the search; that of the index if absent.
    language: Option<Language>,
    pub(super) sensitivity: Sensitivity,
    /// Words, of which one must be there; those of the phrases are among them.
    words: Vec<Box<str>>,
    /// Words that must not be there.
    pub(super) negated_words: Vec<Box<str>>,
    /// Phrases, folded, that must all be there.
    pub(super) phrases: Vec<Box<str>>,
    /// Phrases, folded, that must not be there.
    pub(super) negated_phrases: Vec<Box<str>>,
}

impl TextQuery {
    /// Reads `{$search, $language, $caseSensitive, $diacriticSensitive}`.
    pub fn parse(operand: ValueRef<'_>) -> Result<Self> {
        let ValueRef::Document(document) = operand else {
            return Err(mismatch("$text", "a document", operand));
        };
        let (mut search, mut language, mut sensitivity) = (None, None, Sensitivity::default());
        for element in document {
            let (key, value) = (element.key(), element.value());
            match key {
                "$search" => search = Some(value.as_str().ok_or_else(|| mismatch(key, "a string", value))?),
                "$language" => {
                    let name = value.as_str().ok_or_else(|| mismatch(key, "a string", value))?;
                    language = if name.is_empty() { None } else { Some(Language::parse(name)?) };
                }
                "$caseSensitive" => sensitivity.case = flag(key, value)?,
                "$diacriticSensitive" => sensitivity.diacritic = flag(key, value)?,
                other => {
                    return Err(Error::new(ErrorCode::BAD_VALUE, format!("$text has no option '{other}'")));
                }
            }
        }
        let search = search.ok_or_else(|| {
            Error::new(ErrorCode::TYPE_MISMATCH, "$text needs a $search, which is a string")
        })?;
        let mut query = Self {
            search: search.into(),
            language,
            sensitivity,
            words: Vec::new(),
            negated_words: Vec::new(),
            phrases: Vec::new(),
            negated_phrases: Vec::new(),
        };
        query.read(search);
        Ok(query)
    }

    /// The text that was searched for.
    pub fn search(&self) -> &str {
        &self.search
    }

    /// Whether "A" is not "a".
    pub const fn is_case_sensitive(&self) -> bool {
        self.sensitivity.case
    }

    /// The language in force with an index of this default language.
    pub fn language(&self, default: Language) -> Language {
        self.language.unwrap_or(default)
    }

    /// The stems of which a document must have one, for looking them up in an index.
    pub fn stems(&self, default: Language) -> Vec<String> {
        let stemming = Stemming::new(self.language(default), Sensitivity::default());
        let mut stems: Vec<String> = self.words.iter().filter_map(|word| stemming.stem(word)).collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }

    /// As [`TextQuery::stems`], as sensitive as the query is.
    pub(super) fn sensitive_stems(&self, stemming: &Stemming) -> Vec<String> {
        self.words.iter().filter_map(|word| stemming.stem(word)).collect()
    }

    /// Quotes enclose phrases; a hyphen before a word or a phrase, behind white space, negates it.
    fn read(&mut self, search: &str) {
        let mut rest = search;
        while let Some(start) = rest.find('"') {
            let (before, quoted) = rest.split_at(start);
            let quoted = quoted.get(1..).unwrap_or_default();
            let Some((phrase, after)) = quoted.split_once('"') else {
                break;
            };
            let is_negated = before.ends_with('-')
                && before.trim_end_matches('-').chars().next_back().is_none_or(char::is_whitespace);
            self.read_words(before);
            if is_negated {
                self.negated_phrases.push(self.sensitivity.fold(phrase).into());
            } else {
                self.phrases.push(self.sensitivity.fold(phrase).into());
                self.read_words(phrase);
            }
            rest = after;
        }
        self.read_words(rest);
    }

    fn read_words(&mut self, text: &str) {
        let language = self.language.unwrap_or(Language::English);
        for (offset, word) in cut(text, language) {
            let before = text.get(..offset).unwrap_or_default();
            let is_negated = before.ends_with('-')
                && before.trim_end_matches('-').chars().next_back().is_none_or(char::is_whitespace);
            let list = if is_negated { &mut self.negated_words } else { &mut self.words };
            list.push(word.into());
        }
    }
}

fn flag(key: &str, value: ValueRef<'_>) -> Result<bool> {
    match value {
        ValueRef::Boolean(flag) => Ok(flag),
        other => Err(mismatch(key, "a boolean", other)),
    }
}

fn mismatch(key: &str, expected: &str, found: ValueRef<'_>) -> Error {
    let message = format!("{key} must be {expected}, not {}", found.kind().name());
    Error::new(ErrorCode::TYPE_MISMATCH, message)
}
