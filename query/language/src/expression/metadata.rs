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
    ScoreDetails,
    SearchScore,
    SearchScoreDetails,
    SearchSequenceToken,
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
            "scoreDetails" => Self::ScoreDetails,
            "searchScore" => Self::SearchScore,
            "searchScoreDetails" => Self::SearchScoreDetails,
            "searchSequenceToken" => Self::SearchSequenceToken,
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
            Self::Score => double(metadata.score.or(metadata.text_score).or(metadata.geo_distance)),
            Self::ScoreDetails => metadata.score_details.clone().unwrap_or(Value::Missing),
            // The search service that would give these is not part of this database.
            Self::SearchScoreDetails | Self::SearchSequenceToken => Value::Missing,
            Self::SearchScore => double(metadata.search_score),
            Self::SortKey => metadata.sort_key.clone().unwrap_or(Value::Missing),
            Self::TextScore => double(metadata.text_score),
            Self::VectorSearchScore => double(metadata.vector_search_score),
        }
    }
}

/// Several kinds of metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataSet(u8);

impl MetadataSet {
    /// What a text search gives.
    pub const TEXT: Self = Self(TEXT_SCORE | SCORE);
    /// What a search by distance gives.
    pub const DISTANCE: Self = Self(GEO_DISTANCE | SCORE);
    /// The key in the index that was used.
    pub const INDEX_KEY: Self = Self(1 << 3);
    /// The number of the stored document.
    pub const RECORD_ID: Self = Self(1 << 4);
    /// Everything.
    pub const ALL: Self = Self(u8::MAX);

    /// What a stage that scores gives.
    pub const fn score(with_details: bool) -> Self {
        Self(if with_details { SCORE | SCORE_DETAILS } else { SCORE })
    }

    /// Adds another set to it.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// What is in it and not in the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the two have something in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Refuses what no stage gives. Only what a search computes is refused: the other kinds may be missing.
    pub fn check_given(self, given: Self) -> Result<()> {
        let missing = self.without(given);
        let names = [
            (TEXT_SCORE, "textScore"),
            (GEO_DISTANCE, "geoNearDistance or geoNearPoint"),
            (SCORE, "score"),
            (SCORE_DETAILS, "scoreDetails"),
        ];
        match names.into_iter().find(|(bit, _)| missing.0 & bit != 0) {
            None => Ok(()),
            Some((_, name)) => {
                Err(Error::location(40_218, format!("nothing in this query gives the metadata {name}")))
            }
        }
    }

    const fn of(field: MetaField) -> Self {
        Self(match field {
            MetaField::TextScore => TEXT_SCORE,
            MetaField::GeoNearDistance | MetaField::GeoNearPoint => GEO_DISTANCE,
            MetaField::Score => SCORE,
            MetaField::ScoreDetails => SCORE_DETAILS,
            MetaField::IndexKey => Self::INDEX_KEY.0,
            MetaField::RecordId => Self::RECORD_ID.0,
            MetaField::RandVal
            | MetaField::SearchScore
            | MetaField::SearchScoreDetails
            | MetaField::SearchSequenceToken
            | MetaField::SortKey
            | MetaField::VectorSearchScore => 0,
        })
    }
}

const TEXT_SCORE: u8 = 1 << 0;
const GEO_DISTANCE: u8 = 1 << 1;
const SCORE: u8 = 1 << 2;
const SCORE_DETAILS: u8 = 1 << 5;

fn parse_meta(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::String(name) = value else {
        let message = format!("$meta takes a string, found {}", value.kind().name());
        return Err(Error::location(17307, message));
    };
    match MetaField::from_name(name) {
        Some(field) => {
            scope.metadata.insert(MetadataSet::of(field));
            Ok(Node::Meta(field))
        }
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
