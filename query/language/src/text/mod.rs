//! Text search: what a text index says about a document, and what `$text` asks of it.
//!
//! Text is cut into words at everything that is neither letter nor digit, folded (case and diacritics), relieved of
//! the language's stop words and reduced to stems (Snowball). A search matches a document that has one of its words,
//! every one of its "phrases", and none of its -negated words. The score sums over the words of the search what
//! [`score`](TextIndex::terms) says of them.
//!
//! What this does not do: word breaking in languages that do not separate words, and languages per embedded document.

mod index;
mod language;
mod query;
mod search;
#[cfg(test)]
mod tests;
mod words;

pub use index::TextIndex;
pub use language::Language;
pub use query::TextQuery;
pub use search::TextSearch;
