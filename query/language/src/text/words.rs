//! From text to words: cutting, folding, stemming.

use icu_normalizer::DecomposingNormalizer;

use super::language::Language;

/// What counts as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sensitivity {
    /// "A" is not "a".
    pub case: bool,
    /// "é" is not "e".
    pub diacritic: bool,
}

impl Sensitivity {
    /// The text as it is compared.
    pub fn fold(self, text: &str) -> String {
        let cased = if self.case { text.to_owned() } else { text.to_lowercase() };
        if self.diacritic || cased.is_ascii() {
            return cased;
        }
        let decomposed = DecomposingNormalizer::new_nfd().normalize(&cased).into_owned();
        decomposed.chars().filter(|character| !is_combining_mark(*character)).collect()
    }
}

/// The blocks of combining marks.
const fn is_combining_mark(character: char) -> bool {
    matches!(
        character,
        '\u{0300}'..='\u{036F}'
            | '\u{1AB0}'..='\u{1AFF}'
            | '\u{1DC0}'..='\u{1DFF}'
            | '\u{20D0}'..='\u{20FF}'
            | '\u{FE20}'..='\u{FE2F}'
    )
}

/// The words of a text with their places in it, in bytes. An apostrophe inside a word belongs to it in English.
pub(super) fn cut(text: &str, language: Language) -> Vec<(usize, &str)> {
    let is_part = |character: char| {
        character.is_alphanumeric()
            || character == '_'
            || is_combining_mark(character)
            || (character == '\'' && language == Language::English)
    };
    let mut words = Vec::new();
    let mut start = None;
    for (offset, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, is_part(character)) {
            (None, true) => start = Some(offset),
            (Some(from), false) => {
                let word = text.get(from..offset).unwrap_or_default();
                let trimmed = word.trim_matches('\'');
                if !trimmed.is_empty() {
                    words.push((from, trimmed));
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Makes stems of words.
pub(super) struct Stemming {
    language: Language,
    stemmer: Option<rust_stemmers::Stemmer>,
    sensitivity: Sensitivity,
}

impl Stemming {
    pub fn new(language: Language, sensitivity: Sensitivity) -> Self {
        Self { language, stemmer: language.stemmer(), sensitivity }
    }

    /// The stem of a word; nothing for a stop word.
    pub fn stem(&self, word: &str) -> Option<String> {
        let lower = word.to_lowercase();
        if self.language.is_stop_word(&lower) {
            return None;
        }
        // Stemmers know the letters of their language: diacritics go afterwards.
        let cased = if self.sensitivity.case { word } else { &lower };
        let stemmed = match &self.stemmer {
            Some(stemmer) => stemmer.stem(cased).into_owned(),
            None => cased.to_owned(),
        };
        Some(self.sensitivity.fold(&stemmed))
    }

    /// The stems of a text, in order.
    pub fn stems(&self, text: &str) -> Vec<String> {
        cut(text, self.language).into_iter().filter_map(|(_, word)| self.stem(word)).collect()
    }
}
