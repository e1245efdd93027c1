//! Names of collections: a database and a collection in it, checked once.

use std::fmt;

use crate::{Error, Result, error_code};

/// Longest name of a database, in bytes: one less than 64, as in MongoDB.
pub const DATABASE_NAME_BYTES_MAX: usize = 63;

/// Longest namespace (`database.collection`), in bytes, as in MongoDB.
pub const NAMESPACE_BYTES_MAX: usize = 255;

/// A validated pair of database and collection name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    database: String,
    collection: String,
}

impl Namespace {
    /// Checks both names; `InvalidNamespace` names the one that is not allowed, and why.
    pub fn new(database: &str, collection: &str) -> Result<Self> {
        validate_database_name(database)?;
        validate_collection_name(database, collection)?;
        Ok(Self { database: database.to_owned(), collection: collection.to_owned() })
    }

    /// Splits `database.collection` at the first dot and checks both.
    pub fn parse(text: &str) -> Result<Self> {
        let (database, collection) = text.split_once('.').ok_or_else(|| {
            invalid(format!("namespace \"{text}\" needs a database and a collection name joined by a dot"))
        })?;
        Self::new(database, collection)
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The collection's name.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Whether this is one of the collections the system keeps for itself.
    pub fn is_system(&self) -> bool {
        self.collection.starts_with("system.")
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

fn invalid(message: String) -> Error {
    Error::new(error_code::INVALID_NAMESPACE, message)
}

/// Checks the name of a database.
pub fn validate_database_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid("the name of a database must not be empty".to_owned()));
    }
    if name.len() > DATABASE_NAME_BYTES_MAX {
        return Err(invalid(format!(
            "the name of a database may have {DATABASE_NAME_BYTES_MAX} bytes, \"{name}\" has {}",
            name.len()
        )));
    }
    if let Some(found) = name.chars().find(|c| matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$' | '\0')) {
        return Err(invalid(format!("the name of a database must not contain {found:?}: \"{name}\"")));
    }
    Ok(())
}

fn validate_collection_name(database: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(format!("the name of a collection must not be empty (database \"{database}\")")));
    }
    if name.contains('\0') {
        return Err(invalid("the name of a collection must not contain a NUL character".to_owned()));
    }
    if name.starts_with('.') {
        return Err(invalid(format!("the name of a collection must not start with a dot: \"{name}\"")));
    }
    let is_oplog = database == "local" && name.starts_with("oplog.$");
    let is_command_namespace = name.starts_with("$cmd");
    if name.contains('$') && !is_oplog && !is_command_namespace {
        return Err(invalid(format!("the name of a collection must not contain '$': \"{name}\"")));
    }
    let len = database.len() + 1 + name.len();
    if len > NAMESPACE_BYTES_MAX {
        return Err(invalid(format!("a namespace may have {NAMESPACE_BYTES_MAX} bytes, this one has {len}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let namespace = Namespace::parse("shop.orders.2024").expect("valid");
        assert_eq!((namespace.database(), namespace.collection()), ("shop", "orders.2024"));
        assert_eq!(namespace.to_string(), "shop.orders.2024");
        for bad in ["", "shop", "shop.", ".orders", "a b.c", "a$.c", "shop.a$b", "shop..a", "s\0.c", "s.c\0d"]
        {
            let error = Namespace::parse(bad).expect_err(bad);
            assert_eq!(error.code, error_code::INVALID_NAMESPACE, "{bad}");
        }
        assert!(Namespace::new(&"d".repeat(63), "c").is_ok());
        assert!(Namespace::new(&"d".repeat(64), "c").is_err());
        assert!(Namespace::new("d", &"c".repeat(253)).is_ok());
        assert!(Namespace::new("d", &"c".repeat(254)).is_err());
    }
}
