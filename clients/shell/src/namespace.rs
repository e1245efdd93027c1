//! `database.collection`, as typed on the command line.

use std::str::FromStr;

/// A collection and the database it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The database.
    pub database: String,
    /// The collection; may contain dots itself.
    pub collection: String,
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
                Ok(Self { database: database.to_owned(), collection: collection.to_owned() })
            }
            _ => Err(format!("{text:?} is not of the form database.collection")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dot_divides() {
        let namespace: Namespace = "geo.cities.old".parse().unwrap();
        assert_eq!((namespace.database.as_str(), namespace.collection.as_str()), ("geo", "cities.old"));
        assert!("geo".parse::<Namespace>().is_err());
        assert!(".a".parse::<Namespace>().is_err());
        assert!("a.".parse::<Namespace>().is_err());
    }
}
