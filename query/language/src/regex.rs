//! Regular expressions: PCRE2 with a step limit, so that no pattern hangs the server.
//!
//! PCRE2 (crate `pcre2`, the library built from its vendored source) is the dialect that MongoDB's users write. The
//! limits are given to it as verbs in front of the pattern (`(*LIMIT_MATCH=..)`), which PCRE2 honours in its
//! interpreter and in its JIT; a verb of the user's own can only lower them. A match that runs into the limit is an
//! error, never "no match".

use pcre2::bytes::{CaptureLocations, Regex as Pcre, RegexBuilder};

/// Steps that one search may take before it is given up. PCRE2's own default is ten times as many; at this one the
/// worst pattern costs some tens of milliseconds.
pub const MATCH_STEPS_MAX: u32 = 1_000_000;

/// Kibibytes of heap that one search may take.
pub const MATCH_HEAP_KIB_MAX: u32 = 16 * 1024;

/// Bytes a pattern may have, as in MongoDB.
pub const PATTERN_BYTES_MAX: usize = 16_384;

/// Why a regular expression cannot be used. The callers give it the code of the operator it stands in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// An option letter that does not exist.
    #[error("'{0}' is not an option of regular expressions (i, m, s, u, x are)")]
    Option(char),
    /// The pattern is longer than [`PATTERN_BYTES_MAX`].
    #[error("the regular expression is {0} bytes long, the limit is {PATTERN_BYTES_MAX}")]
    TooLong(usize),
    /// The pattern or the options contain a NUL.
    #[error("a regular expression cannot contain a zero byte")]
    Nul,
    /// The pattern is not well-formed.
    #[error("the regular expression is invalid: {0}")]
    Syntax(String),
    /// A search took too many steps or too much memory.
    #[error("the regular expression takes too long on this input: {0}")]
    Limit(String),
}

/// A compiled regular expression.
#[derive(Clone)]
pub struct Regex {
    pcre: Pcre,
    pattern: String,
    options: Options,
}

/// The option letters, read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    extended: bool,
}

/// Where a match and its groups are, in bytes; a group that took no part has no place.
pub struct Captures {
    locations: CaptureLocations,
}

impl Captures {
    /// Start and end of the whole match.
    pub fn whole(&self) -> (usize, usize) {
        self.locations.get(0).unwrap_or((0, 0))
    }

    /// Start and end of each group, from group 1 on.
    pub fn groups(&self) -> impl Iterator<Item = Option<(usize, usize)>> + '_ {
        (1..self.locations.len()).map(|group| self.locations.get(group))
    }
}

impl Regex {
    /// Compiles a pattern with its option letters.
    pub fn compile(pattern: &str, options: &str) -> Result<Self, RegexError> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(RegexError::TooLong(pattern.len()));
        }
        if pattern.contains('\0') || options.contains('\0') {
            return Err(RegexError::Nul);
        }
        let options = Options::read(options)?;
        let limited = format!("(*LIMIT_MATCH={MATCH_STEPS_MAX})(*LIMIT_HEAP={MATCH_HEAP_KIB_MAX}){pattern}");
        let pcre = RegexBuilder::new()
            .utf(true)
            .caseless(options.ignore_case)
            .multi_line(options.multi_line)
            .dotall(options.dot_all)
            .extended(options.extended)
            .jit_if_available(true)
            .build(&limited)
            .map_err(|error| RegexError::Syntax(describe(&error, limited.len() - pattern.len())))?;
        Ok(Self { pcre, pattern: pattern.to_owned(), options })
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> Result<bool, RegexError> {
        self.pcre.is_match(text.as_bytes()).map_err(limit)
    }

    /// The first match that starts at byte `start` or behind it. What lies before still counts for look-behind.
    pub fn find_at(&self, text: &str, start: usize) -> Result<Option<Captures>, RegexError> {
        let mut locations = self.pcre.capture_locations();
        let found = self.pcre.captures_read_at(&mut locations, text.as_bytes(), start).map_err(limit)?;
        Ok(found.map(|_| Captures { locations }))
    }

    /// The number of groups.
    pub fn group_count(&self) -> usize {
        self.pcre.captures_len().saturating_sub(1)
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The text every match starts with, for index bounds: of `^abc.*`, "abc". The second part says whether matching
    /// is exactly having this prefix. Nothing if the pattern is not anchored, ignores case, spans lines or branches.
    pub fn literal_prefix(&self) -> Option<(String, bool)> {
        let Options { ignore_case: false, multi_line: false, extended: false, .. } = self.options else {
            return None;
        };
        let rest = self.pattern.strip_prefix('^').or_else(|| self.pattern.strip_prefix("\\A"))?;
        // A branch outside the prefix could match without it.
        if rest.contains('|') {
            return None;
        }
        let (prefix, rest) = split_literal(rest);
        let exact = rest.is_empty() || (self.options.dot_all && rest == ".*");
        (!prefix.is_empty()).then_some((prefix, exact))
    }
}

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}/{:?}", self.pattern, self.options)
    }
}

impl Options {
    fn read(letters: &str) -> Result<Self, RegexError> {
        let mut options = Self::default();
        for letter in letters.chars() {
            match letter {
                'i' => options.ignore_case = true,
                'm' => options.multi_line = true,
                's' => options.dot_all = true,
                'x' => options.extended = true,
                // UTF-8 is always on.
                'u' => {}
                other => return Err(RegexError::Option(other)),
            }
        }
        Ok(options)
    }
}

/// Takes literal characters off the front of a pattern, up to the first that is special or is repeated.
fn split_literal(pattern: &str) -> (String, &str) {
    let mut prefix = String::new();
    let mut rest = pattern;
    loop {
        let mut letters = rest.chars();
        let (literal, after) = match letters.next() {
            Some('\\') => match letters.next() {
                // An escaped letter or digit is a class or an assertion; an escaped sign is itself.
                Some(sign) if !sign.is_alphanumeric() => (sign, letters.as_str()),
                _ => break,
            },
            Some(special) if "^$.[]|()?*+{}".contains(special) => break,
            Some(literal) => (literal, letters.as_str()),
            None => break,
        };
        if after.starts_with(['?', '*', '+', '{']) {
            break;
        }
        prefix.push(literal);
        rest = after;
    }
    (prefix, rest)
}

/// PCRE2's words, with the offset counted in the user's pattern.
fn describe(error: &pcre2::Error, verbs: usize) -> String {
    let text = error.to_string();
    let reason = text.rsplit_once(": ").map_or(text.as_str(), |(_, reason)| reason);
    match error.offset() {
        Some(offset) => format!("{reason} at byte {}", offset.saturating_sub(verbs)),
        None => reason.to_owned(),
    }
}

fn limit(error: pcre2::Error) -> RegexError {
    RegexError::Limit(describe(&error, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_change_what_matches() {
        let matches =
            |pattern, options, text| Regex::compile(pattern, options).unwrap().is_match(text).unwrap();
        assert!(matches("OSLO", "i", "oslo") && !matches("OSLO", "", "oslo"));
        assert!(matches("ÅS", "i", "ås"));
        assert!(matches("^b", "m", "a\nb") && !matches("^b", "", "a\nb"));
        assert!(matches("a.b", "s", "a\nb") && !matches("a.b", "", "a\nb"));
        assert!(matches("a b # words", "x", "ab"));
        assert_eq!(Regex::compile("a", "g").unwrap_err(), RegexError::Option('g'));
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        assert!(matches!(Regex::compile("(", "").unwrap_err(), RegexError::Syntax(_)));
        assert!(matches!(Regex::compile("a\0", "").unwrap_err(), RegexError::Nul));
        assert!(matches!(Regex::compile(&"a".repeat(40_000), "").unwrap_err(), RegexError::TooLong(40_000)));
        let RegexError::Syntax(reason) = Regex::compile("ab[", "").unwrap_err() else { panic!() };
        assert!(reason.ends_with("at byte 3"), "{reason}");
    }

    #[test]
    fn a_pattern_that_backtracks_is_stopped() {
        let text = "a".repeat(200);
        for pattern in ["^(a+)+$", "^(a|aa)+$", "(x+x+)+y|^(a*)*b"] {
            let result = Regex::compile(pattern, "").unwrap().is_match(&format!("{text}!"));
            assert!(matches!(result, Err(RegexError::Limit(_)) | Ok(false)), "{pattern}: {result:?}");
        }
        assert!(matches!(
            Regex::compile("^(a+)+$", "").unwrap().is_match(&format!("{text}!")),
            Err(RegexError::Limit(_))
        ));
    }

    #[test]
    fn groups_have_places() {
        let regex = Regex::compile("(b)(x)?", "").unwrap();
        let found = regex.find_at("abab", 2).unwrap().unwrap();
        assert_eq!(found.whole(), (3, 4));
        assert_eq!(found.groups().collect::<Vec<_>>(), [Some((3, 4)), None]);
        assert!(regex.find_at("aba", 2).unwrap().is_none());
    }

    #[test]
    fn anchored_literals_become_prefixes() {
        let prefix = |pattern, options| Regex::compile(pattern, options).unwrap().literal_prefix();
        assert_eq!(prefix("^abc", ""), Some(("abc".into(), true)));
        assert_eq!(prefix("^ab\\.c.*x", ""), Some(("ab.c".into(), false)));
        assert_eq!(prefix("^abc?", ""), Some(("ab".into(), false)));
        assert_eq!(prefix("\\Aab.*", "s"), Some(("ab".into(), true)));
        assert_eq!(prefix("^ab.*", ""), Some(("ab".into(), false)));
        for (pattern, options) in
            [("abc", ""), ("^abc", "i"), ("^abc", "m"), ("^abc|d", ""), ("^a*", ""), ("^\\d", "")]
        {
            assert_eq!(prefix(pattern, options), None, "{pattern}");
        }
    }
}
