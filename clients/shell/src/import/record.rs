//! One record of an input file: where it stood, how it read, and what it means.

use sheaf_document::RawDocumentBuf;

/// A record of the input, good or bad.
pub struct Record {
    /// Line on which it starts, counted from 1.
    pub line: u64,
    /// Its text as it stood in the file; goes into the reject file if it is bad.
    pub text: Vec<u8>,
    /// The document, or why there is none.
    pub document: Result<RawDocumentBuf, String>,
}
