//! `$geoNear`: documents by their distance from a place.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};

use super::put_field::{Path, parse_path, put_field};
use crate::expression::{Expression, Scope};
use crate::filter::Filter;
use crate::geometry::Near;
use crate::numeric::as_f64;
use crate::{Error, ErrorCode, Result};

/// Names in the path of a result: one less than documents may be deep.
const RESULT_PATH_MAX: usize = 199;

/// Where from, how far, and where the distance goes.
#[derive(Clone)]
pub struct GeoNear {
    /// From where and how far.
    pub near: Near,
    /// Whether distances are on the sphere.
    pub spherical: bool,
    /// Which documents.
    pub query: Filter,
    /// The path of the place; the one geo index says it if absent.
    pub key: Option<String>,
    multiplier: f64,
    distance_path: Option<Path>,
    place_path: Option<Path>,
}

/// The argument, field by field.
#[derive(Default)]
struct Fields<'a> {
    near: Option<ValueRef<'a>>,
    spherical: bool,
    query: Option<RawDocument<'a>>,
    key: Option<&'a str>,
    distance_min: Option<f64>,
    distance_max: Option<f64>,
    multiplier: Option<f64>,
    distance_path: Option<Path>,
    place_path: Option<Path>,
}

fn wrong_type(name: &str, value: ValueRef<'_>) -> Error {
    let reason = format!("the '{name}' of $geoNear cannot be of type {}", value.kind().name());
    Error::new(ErrorCode::TYPE_MISMATCH, reason)
}

impl GeoNear {
    /// Reads the argument of the stage.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let document = match value {
            ValueRef::Document(document) => document,
            ValueRef::Array(_) => return Err(missing_near()),
            other => {
                let reason =
                    format!("$geoNear needs a document, not a value of type {}", other.kind().name());
                return Err(Error::location(10_065, reason));
            }
        };
        let mut fields = Fields::default();
        for element in document {
            fields.read(element.key(), element.value(), scope)?;
        }
        let spherical = fields.spherical;
        let near = fields.near.ok_or_else(missing_near)?;
        let mut near = parse_near(near, spherical, scope)?;
        near.distance_min = fields.distance_min.unwrap_or(near.distance_min);
        near.distance_max = fields.distance_max.unwrap_or(near.distance_max);
        let query = Filter::parse(fields.query.unwrap_or(RawDocument::EMPTY), scope)?;
        if query.text().is_some() {
            return Err(Error::new(ErrorCode::BAD_VALUE, "the 'query' of $geoNear cannot search for words"));
        }
        if query.near().is_some() {
            return Err(Error::location(5_626_500, "the 'query' of $geoNear cannot have a $near of its own"));
        }
        Ok(Self {
            near,
            spherical,
            query,
            key: fields.key.map(str::to_owned),
            multiplier: fields.multiplier.unwrap_or(1.0),
            distance_path: fields.distance_path,
            place_path: fields.place_path,
        })
    }

    /// The document with its distance and, if that was asked for, the place it was measured to.
    pub fn attach(
        &self,
        document: RawDocument<'_>,
        distance: f64,
        place: Option<&Value<'_>>,
    ) -> RawDocumentBuf {
        let mut made = document.to_buf();
        if let Some(path) = &self.distance_path {
            made = put_field(made.as_raw(), path, Some(&Value::Double(distance * self.multiplier)));
        }
        if let (Some(path), Some(place)) = (&self.place_path, place) {
            made = put_field(made.as_raw(), path, Some(place));
        }
        made
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &str, value: ValueRef<'a>, scope: &mut Scope) -> Result<()> {
        match name {
            "near" => self.near = Some(value),
            "spherical" => self.spherical = truth(value),
            "query" => self.query = Some(value.as_document().ok_or_else(|| wrong_type(name, value))?),
            "key" => {
                let key = value.as_str().ok_or_else(|| wrong_type(name, value))?;
                if key.is_empty() {
                    return Err(Error::new(
                        ErrorCode::BAD_VALUE,
                        "the 'key' of $geoNear is the path of a field",
                    ));
                }
                if parse_path(key)?.len() > 180 {
                    return Err(Error::location(5_729_100, "the 'key' of $geoNear is nested too deep"));
                }
                self.key = Some(key);
            }
            "minDistance" => self.distance_min = Some(distance(name, value, 7_555_701, scope)?),
            "maxDistance" => self.distance_max = Some(distance(name, value, 7_555_702, scope)?),
            "distanceMultiplier" => {
                let number = as_f64(value).ok_or_else(|| wrong_type(name, value))?;
                self.multiplier = Some(not_negative(name, number)?);
            }
            "distanceField" => self.distance_path = Some(result_path(name, value, 16_606)?),
            "includeLocs" => self.place_path = Some(result_path(name, value, 16_607)?),
            // Documents come once each; what this option turned off is gone.
            "uniqueDocs" => {}
            other => {
                return Err(Error::new(ErrorCode::BAD_VALUE, format!("$geoNear has no argument '{other}'")));
            }
        }
        Ok(())
    }
}

fn missing_near() -> Error {
    Error::location(5_860_400, "$geoNear needs 'near', the place that distances are measured from")
}

fn truth(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Boolean(truth) => truth,
        ValueRef::Null | ValueRef::Undefined => false,
        other => as_f64(other).is_none_or(|number| number != 0.0),
    }
}

fn parse_near(value: ValueRef<'_>, spherical: bool, scope: &mut Scope) -> Result<Near> {
    let expression = Expression::parse(value, scope)?;
    let Some(constant) = expression.as_constant() else {
        return Err(Error::location(5_860_402, "the 'near' of $geoNear is a constant place"));
    };
    let constant = constant.clone().to_bytes_form();
    match constant.as_ref() {
        Some(place @ (ValueRef::Document(_) | ValueRef::Array(_))) => {
            Near::parse(place, RawDocument::EMPTY, spherical)
        }
        _ => {
            let reason =
                format!("the 'near' of $geoNear is a place, not a value of type {}", constant.type_name());
            Err(Error::location(5_860_401, reason))
        }
    }
}

fn distance(name: &str, value: ValueRef<'_>, not_constant: i32, scope: &mut Scope) -> Result<f64> {
    let expression = Expression::parse(value, scope)?;
    let Some(constant) = expression.as_constant() else {
        return Err(Error::location(not_constant, format!("the '{name}' of $geoNear is a constant")));
    };
    let number = constant.as_ref().and_then(as_f64).ok_or_else(|| {
        let reason =
            format!("the '{name}' of $geoNear is a number, not a value of type {}", constant.type_name());
        Error::new(ErrorCode::TYPE_MISMATCH, reason)
    })?;
    not_negative(name, number)
}

fn not_negative(name: &str, number: f64) -> Result<f64> {
    if number >= 0.0 {
        return Ok(number);
    }
    let reason = format!("the '{name}' of $geoNear is a number that is not negative, not {number}");
    Err(Error::new(ErrorCode::BAD_VALUE, reason))
}

fn result_path(name: &str, value: ValueRef<'_>, wrong_type: i32) -> Result<Path> {
    let text = value.as_str().ok_or_else(|| {
        let reason =
            format!("the '{name}' of $geoNear is the path of a field, not of type {}", value.kind().name());
        Error::location(wrong_type, reason)
    })?;
    let path = parse_path(text)?;
    if path.len() > RESULT_PATH_MAX {
        return Err(Error::location(
            5_984_700,
            format!("the '{name}' of $geoNear would nest a document too deep"),
        ));
    }
    Ok(path)
}
