//! `$meta` and `$rand`: what is known besides the document, and chance.

use sheaf_document::{Value, ValueRef};

use super::environment::{Environment, Metadata};
use super::operator::Operator;
use super::{Node, Scope};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] =
    &[Operator::volatile("$meta", parse_meta), Operator::volatile("$rand", parse_rand)];

/// What `$meta` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaField {
    GeoNearDistance,
    GeoNearPoint,
    IndexKey,
    RandVal,
    RecordId,
    Score,
    SearchScore,
    SortKey,
    TextScore,
    VectorSearchScore,
}

impl MetaField {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "geoNearDistance" => Self::GeoNearDistance,
            "geoNearPoint" => Self::GeoNearPoint,
            "indexKey" => Self::IndexKey,
            "randVal" => Self::RandVal,
            "recordId" => Self::RecordId,
            "score" => Self::Score,
            "searchScore" => Self::SearchScore,
            "sortKey" => Self::SortKey,
            "textScore" => Self::TextScore,
            "vectorSearchScore" => Self::VectorSearchScore,
            _ => return None,
        })
    }

    /// The value; missing where the plan does not know it.
    pub(super) fn read(self, metadata: &Metadata) -> Value<'static> {
        let double = |number: Option<f64>| number.map_or(Value::Missing, Value::Double);
        match self {
            Self::GeoNearDistance => double(metadata.geo_distance),
            Self::GeoNearPoint => metadata.geo_point.clone().unwrap_or(Value::Missing),
            Self::IndexKey => metadata.index_key.clone().map_or(Value::Missing, Value::from),
            Self::RandVal => double(metadata.random),
            Self::RecordId => metadata.record_id.map_or(Value::Missing, Value::Int64),
            Self::Score => double(metadata.score),
            Self::SearchScore => double(metadata.search_score),
            Self::SortKey => metadata.sort_key.clone().unwrap_or(Value::Missing),
            Self::TextScore => double(metadata.text_score),
            Self::VectorSearchScore => double(metadata.vector_search_score),
        }
    }
}

fn parse_meta(value: ValueRef<'_>, _: &mut Scope) -> Result<Node> {
    let ValueRef::String(name) = value else {
        let message = format!("$meta takes a string, found {}", value.kind().name());
        return Err(Error::location(17307, message));
    };
    match MetaField::from_name(name) {
        Some(field) => Ok(Node::Meta(field)),
        None => Err(Error::location(17308, format!("'{name}' is nothing that $meta knows"))),
    }
}

fn parse_rand(value: ValueRef<'_>, _: &mut Scope) -> Result<Node> {
    let empty = match value {
        ValueRef::Document(document) => document.is_empty(),
        ValueRef::Array(array) => array.is_empty(),
        other => {
            let message = format!("$rand takes an empty document, found {}", other.kind().name());
            return Err(Error::location(10065, message));
        }
    };
    if empty { Ok(Node::Random) } else { Err(Error::location(3_040_501, "$rand takes no arguments")) }
}

/// The next random number.
pub(super) fn random(environment: &mut Environment) -> Value<'static> {
    Value::Double(environment.next_random())
}
