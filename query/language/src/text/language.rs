//! The languages of text search, their names, stemmers and stop words.

use rust_stemmers::{Algorithm, Stemmer};

use crate::{Error, ErrorCode, Result};

/// A language that text may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    /// No language: no stop words, no stems.
    None,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Turkish,
}

/// Language, name, ISO 639-1 codes (the first also names the list of stop words), stemmer.
type Row = (Language, &'static str, &'static [&'static str], Option<Algorithm>);

const LANGUAGES: &[Row] = &[
    (Language::None, "none", &[], None),
    (Language::Danish, "danish", &["da"], Some(Algorithm::Danish)),
    (Language::Dutch, "dutch", &["nl"], Some(Algorithm::Dutch)),
    (Language::English, "english", &["en"], Some(Algorithm::English)),
    (Language::Finnish, "finnish", &["fi"], Some(Algorithm::Finnish)),
    (Language::French, "french", &["fr"], Some(Algorithm::French)),
    (Language::German, "german", &["de"], Some(Algorithm::German)),
    (Language::Hungarian, "hungarian", &["hu"], Some(Algorithm::Hungarian)),
    (Language::Italian, "italian", &["it"], Some(Algorithm::Italian)),
    (Language::Norwegian, "norwegian", &["no", "nb"], Some(Algorithm::Norwegian)),
    (Language::Portuguese, "portuguese", &["pt"], Some(Algorithm::Portuguese)),
    (Language::Romanian, "romanian", &["ro"], Some(Algorithm::Romanian)),
    (Language::Russian, "russian", &["ru"], Some(Algorithm::Russian)),
    (Language::Spanish, "spanish", &["es"], Some(Algorithm::Spanish)),
    (Language::Swedish, "swedish", &["sv"], Some(Algorithm::Swedish)),
    (Language::Turkish, "turkish", &["tr"], Some(Algorithm::Turkish)),
];

impl Language {
    /// The language with this name or code, in any case.
    pub fn parse(name: &str) -> Result<Self> {
        let lower = name.to_lowercase();
        LANGUAGES
            .iter()
            .find(|(_, known, codes, _)| *known == lower || codes.contains(&lower.as_str()))
            .map(|(language, ..)| *language)
            .ok_or_else(|| {
                Error::new(ErrorCode::BAD_VALUE, format!("'{name}' is no language that text search knows"))
            })
    }

    fn row(self) -> Option<&'static Row> {
        LANGUAGES.iter().find(|(language, ..)| *language == self)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.row().map_or("none", |(_, name, ..)| name)
    }

    pub(super) fn stemmer(self) -> Option<Stemmer> {
        let (.., algorithm) = self.row()?;
        (*algorithm).map(Stemmer::create)
    }

    /// Whether a word in lower case says nothing in this language.
    pub(super) fn is_stop_word(self, word: &str) -> bool {
        let code = self.row().and_then(|(_, _, codes, _)| codes.first());
        code.and_then(stop_words::lookup).is_some_and(|words| words.contains(&word))
    }
}
