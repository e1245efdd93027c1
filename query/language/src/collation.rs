//! Collation: how strings compare in a language, by ICU's data (crate `icu_collator`).
//!
//! A collation document names a locale and refines it; what it leaves out comes from the locale. [`Collation`] keeps
//! the resolved specification (it is stored with collections and indexes and shown by `listCollections`) beside the
//! collator that does the work. The locale `simple` is the binary order and has no collator.
//!
//! What ICU4X cannot do is refused: `backwards` other than the locale's own default, in locales whose data is not
//! the root's (only `fr_CA` sorts accents from the back by itself, and French uses the root's data, so there both
//! directions can be had).

mod locale;
mod parse;

use std::cmp::Ordering;
use std::sync::Arc;

use icu_collator::CollatorBorrowed;
use sheaf_document::{Collate, DocumentBuilder, RawDocument, RawDocumentBuf};

use crate::Result;

/// Version of the ordering data, as clients of MongoDB know it; stored with every collation so that an index is never
/// read with another order than it was written with.
pub const COLLATION_VERSION: &str = "57.1";

/// A resolved collation.
#[derive(Clone)]
pub struct Collation {
    specification: Specification,
    collator: Option<Arc<IcuCollator>>,
}

/// Every option of a collation, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Specification {
    locale: String,
    case_level: bool,
    case_first: CaseFirst,
    strength: u8,
    numeric_ordering: bool,
    alternate: Alternate,
    max_variable: MaxVariable,
    normalization: bool,
    backwards: bool,
}

/// Which case comes first where case decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaseFirst {
    Off,
    Upper,
    Lower,
}

/// Whether white space and punctuation count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alternate {
    NonIgnorable,
    Shifted,
}

/// What `alternate: shifted` passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MaxVariable {
    Punct,
    Space,
}

impl Collation {
    /// Reads a collation document. Errors: unknown or missing fields, wrong types, values out of range, unknown
    /// locales, combinations that mean nothing.
    pub fn parse(document: RawDocument<'_>) -> Result<Self> {
        parse::parse(document)
    }

    /// The collator; nothing for the locale `simple`, whose order is that of the bytes.
    pub fn collator(&self) -> Option<&dyn Collate> {
        self.collator.as_deref().map(|collator| collator as &dyn Collate)
    }

    /// As [`Collation::collator`], shared: what a scope and an environment take.
    pub fn shared(&self) -> Option<Arc<dyn Collate>> {
        self.collator.clone().map(|collator| collator as Arc<dyn Collate>)
    }

    /// Whether this is the binary order.
    pub const fn is_simple(&self) -> bool {
        self.collator.is_none()
    }

    /// The resolved specification with every field, as `listCollections` and `listIndexes` show it; only the locale
    /// for `simple`.
    pub fn to_document(&self) -> RawDocumentBuf {
        let own = &self.specification;
        let mut document = DocumentBuilder::new();
        document.append("locale", own.locale.as_str());
        if self.is_simple() {
            return document.build();
        }
        document
            .append("caseLevel", own.case_level)
            .append("caseFirst", own.case_first.name())
            .append("strength", i32::from(own.strength))
            .append("numericOrdering", own.numeric_ordering)
            .append("alternate", own.alternate.name())
            .append("maxVariable", own.max_variable.name())
            .append("normalization", own.normalization)
            .append("backwards", own.backwards)
            .append("version", COLLATION_VERSION);
        document.build()
    }
}

impl PartialEq for Collation {
    /// Equal collations order strings alike: an index may serve a query only if theirs are equal.
    fn eq(&self, other: &Self) -> bool {
        (self.is_simple() && other.is_simple()) || self.specification == other.specification
    }
}

impl std::fmt::Debug for Collation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.specification.fmt(f)
    }
}

impl CaseFirst {
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Upper => "upper",
            Self::Lower => "lower",
        }
    }
}

impl Alternate {
    const fn name(self) -> &'static str {
        match self {
            Self::NonIgnorable => "non-ignorable",
            Self::Shifted => "shifted",
        }
    }
}

impl MaxVariable {
    const fn name(self) -> &'static str {
        match self {
            Self::Punct => "punct",
            Self::Space => "space",
        }
    }
}

/// The ICU collator behind our seam.
struct IcuCollator {
    inner: CollatorBorrowed<'static>,
}

impl Collate for IcuCollator {
    fn compare(&self, left: &str, right: &str) -> Ordering {
        self.inner.compare(left, right)
    }

    fn sort_key(&self, text: &str, out: &mut Vec<u8>) {
        let Ok(()) = self.inner.write_sort_key_to(text, out);
    }
}

#[cfg(test)]
mod tests;
