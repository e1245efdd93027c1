//! `$regex`: strings and symbols in which the pattern occurs, and regular expressions that are the very same.

use std::sync::Arc;

use sheaf_document::{RawDocument, ValueRef};

use crate::regex::{Regex, RegexError};
use crate::{Error, ErrorCode, Result};

/// A compiled `$regex`.
#[derive(Clone, Debug)]
pub struct RegexTest {
    regex: Arc<Regex>,
    options: Box<str>,
}

impl RegexTest {
    pub(crate) fn compile(pattern: &str, options: &str) -> Result<Self> {
        let regex = Regex::compile(pattern, options).map_err(|error| compile_error(&error))?;
        Ok(Self { regex: Arc::new(regex), options: options.into() })
    }

    /// The compiled pattern, for index bounds.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The option letters.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// Whether `value` (`None`: missing) fulfils it.
    pub fn matches(&self, value: Option<ValueRef<'_>>) -> Result<bool> {
        match value {
            Some(ValueRef::String(text) | ValueRef::Symbol(text)) => {
                self.regex.is_match(text).map_err(|error| {
                    Error::location(51156, format!("$regex '{}': {error}", self.regex.pattern()))
                })
            }
            Some(ValueRef::Regex(regex)) => {
                Ok(regex.pattern == self.regex.pattern() && regex.options == &*self.options)
            }
            _ => Ok(false),
        }
    }
}

fn compile_error(error: &RegexError) -> Error {
    match error {
        RegexError::Option(_) => Error::location(51108, error.to_string()),
        RegexError::Nul => Error::new(ErrorCode::BAD_VALUE, error.to_string()),
        RegexError::TooLong(_) | RegexError::Syntax(_) | RegexError::Limit(_) => {
            Error::location(51091, error.to_string())
        }
    }
}

/// Reads `$regex` with the `$options` beside it, whichever comes first.
pub(super) fn parse(operators: RawDocument<'_>) -> Result<RegexTest> {
    let invalid = |message: &str| Error::new(ErrorCode::BAD_VALUE, message);
    let options = match operators.get("$options") {
        None => None,
        Some(ValueRef::String(options)) => Some(options),
        Some(_) => return Err(invalid("$options must be a string")),
    };
    match operators.get("$regex") {
        None => Err(invalid("$options needs a $regex beside it")),
        Some(ValueRef::String(pattern)) => RegexTest::compile(pattern, options.unwrap_or_default()),
        Some(ValueRef::Regex(regex)) => match options {
            Some(_) if !regex.options.is_empty() => {
                Err(Error::location(51075, "options are given both in $regex and in $options"))
            }
            options => RegexTest::compile(regex.pattern, options.unwrap_or(regex.options)),
        },
        Some(_) => Err(invalid("$regex must be a string or a regular expression")),
    }
}
