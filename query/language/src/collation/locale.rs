//! Locale names: ICU's form (`de_AT@collation=phonebook`) into BCP 47 (`de-AT-u-co-phonebk`).

use icu_locale_core::Locale;

/// Languages that collation knows; any region may follow.
const LANGUAGES: &[&str] = &[
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "bo", "br", "bs", "ca", "ceb", "chr", "cs", "cy", "da",
    "de", "dsb", "dz", "ee", "el", "en", "eo", "es", "et", "fa", "fi", "fil", "fo", "fr", "ga", "gl", "gu",
    "ha", "haw", "he", "hi", "hr", "hsb", "hu", "hy", "id", "ig", "is", "it", "ja", "ka", "kk", "kl", "km",
    "kn", "ko", "kok", "ky", "lb", "lkt", "ln", "lo", "lt", "lv", "mk", "ml", "mn", "mr", "ms", "mt", "my",
    "nb", "ne", "nl", "nn", "no", "om", "or", "pa", "pl", "ps", "pt", "ro", "ru", "se", "si", "sk", "sl",
    "smn", "sq", "sr", "sv", "sw", "ta", "te", "th", "to", "tr", "ug", "uk", "ur", "uz", "vi", "wae", "xh",
    "yi", "yo", "zh", "zu",
];

/// ICU's long names of collation types and their BCP 47 keys.
const TYPES: &[(&str, &str)] = &[
    ("compat", "compat"),
    ("dictionary", "dict"),
    ("eor", "eor"),
    ("gb2312han", "gb2312"),
    ("phonebook", "phonebk"),
    ("phonetic", "phonetic"),
    ("pinyin", "pinyin"),
    ("reformed", "reformed"),
    ("search", "search"),
    ("searchjl", "searchjl"),
    ("standard", "standard"),
    ("stroke", "stroke"),
    ("traditional", "trad"),
    ("unihan", "unihan"),
    ("zhuyin", "zhuyin"),
];

/// The locale that this name means, or nothing if the name is of no known language, script or type.
pub fn parse(name: &str) -> Option<Locale> {
    let (base, keywords) = match name.split_once('@') {
        Some((base, keywords)) => (base, Some(keywords)),
        None => (name, None),
    };
    if base == "en_US_POSIX" {
        return "en-US-u-va-posix".parse().ok();
    }
    let language = base.split('_').next()?;
    if !LANGUAGES.contains(&language) {
        return None;
    }
    let mut text = base.replace('_', "-");
    if let Some(keywords) = keywords {
        let kind = keywords.strip_prefix("collation=")?;
        let key = TYPES.iter().find(|(long, _)| *long == kind)?.1;
        text.push_str("-u-co-");
        text.push_str(key);
    }
    text.parse().ok()
}
