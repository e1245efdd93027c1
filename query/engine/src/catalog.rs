//! What exists: databases, collections and their indexes.

mod collection_options;
mod index_key;
mod index_specification;

pub use collection_options::{CollectionOptions, ValidationAction, ValidationLevel};
pub use index_key::{IndexField, IndexFieldKind, IndexKeyPattern};
pub use index_specification::IndexSpecification;
