//! A bucket as a list of measurements, and its document.

use std::collections::HashMap;

use sheaf_document::{DocumentBuilder, Element, RawDocument, RawDocumentBuf, Value, ValueRef, compare_refs};

use crate::catalog::TimeSeries;

/// The version of a bucket's form: columns of plain values.
const VERSION: i32 = 1;

/// A measurement, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    /// Its time in milliseconds since 1970.
    pub(super) time: i64,
    /// `{meta: value}`, or nothing in it.
    pub(super) meta: RawDocumentBuf,
    /// The other fields.
    pub(super) fields: RawDocumentBuf,
}

impl Measurement {
    /// Takes one apart; none if its time is missing or no date.
    pub(super) fn new(series: &TimeSeries, document: RawDocument<'_>) -> Option<Self> {
        let Some(ValueRef::DateTime(time)) = document.get(&series.time_field) else { return None };
        let mut meta = DocumentBuilder::new();
        let mut fields = DocumentBuilder::with_capacity(document.len_bytes());
        for element in document {
            if element.key() == series.time_field {
                continue;
            }
            if Some(element.key()) == series.meta_field.as_deref() {
                put_sorted(&mut meta, "meta", element);
            } else {
                fields.append_element(element);
            }
        }
        Some(Self { time, meta: meta.build(), fields: fields.build() })
    }

    /// Bytes it takes in a bucket, about.
    pub(super) fn bytes(&self) -> usize {
        self.fields.as_bytes().len() + size_of::<i64>()
    }
}

/// Puts a value with the fields of its documents in order, so that equal metas are the same bytes.
fn put_sorted(out: &mut DocumentBuilder, key: &str, element: Element<'_>) {
    match element.value() {
        ValueRef::Document(nested) => {
            let mut sorted: Vec<Element<'_>> = nested.iter().collect();
            sorted.sort_by(|left, right| left.key().cmp(right.key()));
            out.document(key, |inner| {
                for element in sorted {
                    put_sorted(inner, element.key(), element);
                }
            });
        }
        ValueRef::Array(items) => {
            let mut inner = DocumentBuilder::new();
            for element in items.elements() {
                put_sorted(&mut inner, element.key(), element);
            }
            out.append_value(key, &Value::Array(sheaf_document::ArrayValue::Owned(inner.build())));
        }
        _ => {
            out.append_element_as(key, element);
        }
    }
}

/// The measurements of a bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub(super) measurements: Vec<Measurement>,
    /// The sum of their sizes.
    pub(super) bytes: usize,
}

impl Bucket {
    /// Reads a bucket's document.
    pub(super) fn decode(series: &TimeSeries, document: RawDocument<'_>) -> Self {
        let mut bucket = Self::default();
        let outcome: Result<(), std::convert::Infallible> = series.unpack().each(document, |measurement| {
            if let Some(measurement) = Measurement::new(series, measurement.as_raw()) {
                bucket.push(measurement);
            }
            Ok(())
        });
        match outcome {
            Ok(()) => bucket,
            Err(never) => match never {},
        }
    }

    pub(super) fn push(&mut self, measurement: Measurement) {
        self.bytes = self.bytes.saturating_add(measurement.bytes());
        self.measurements.push(measurement);
    }

    /// The bucket's document: measurements sorted by time, those of the same time as they came.
    pub(super) fn encode(
        &mut self,
        series: &TimeSeries,
        id: ValueRef<'_>,
        begin_millis: i64,
    ) -> RawDocumentBuf {
        self.measurements.sort_by_key(|measurement| measurement.time);
        let columns = columns(&self.measurements);
        let last = self.measurements.last().map_or(begin_millis, |measurement| measurement.time);
        let mut out = DocumentBuilder::with_capacity(self.bytes.saturating_mul(2));
        out.append_ref("_id", id);
        out.document("control", |control| {
            control.append("version", VERSION);
            control.document("min", |min| {
                min.append_value(&series.time_field, &Value::DateTime(begin_millis));
                for column in &columns {
                    min.append_ref(column.name, column.min);
                }
            });
            control.document("max", |max| {
                max.append_value(&series.time_field, &Value::DateTime(last));
                for column in &columns {
                    max.append_ref(column.name, column.max);
                }
            });
            control.append("count", i32::try_from(self.measurements.len()).unwrap_or(i32::MAX));
        });
        if let Some(meta) =
            self.measurements.first().and_then(|measurement| measurement.meta.as_raw().get_element("meta"))
        {
            out.append_element(meta);
        }
        out.document("data", |data| {
            data.document(&series.time_field, |times| {
                for (number, measurement) in self.measurements.iter().enumerate() {
                    times.append_value(&number.to_string(), &Value::DateTime(measurement.time));
                }
            });
            for column in &columns {
                data.document(column.name, |values| {
                    for (number, element) in &column.values {
                        values.append_element_as(&number.to_string(), *element);
                    }
                });
            }
        });
        out.build()
    }
}

/// One field of all measurements that have it.
struct Column<'a> {
    name: &'a str,
    values: Vec<(usize, Element<'a>)>,
    min: ValueRef<'a>,
    max: ValueRef<'a>,
}

fn columns(measurements: &[Measurement]) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (number, measurement) in measurements.iter().enumerate() {
        for element in measurement.fields.as_raw() {
            let (name, value) = (element.key(), element.value());
            let place = *places.entry(name).or_insert_with(|| {
                columns.push(Column { name, values: Vec::new(), min: value, max: value });
                columns.len() - 1
            });
            let Some(column) = columns.get_mut(place) else { continue };
            // A field that a document has twice counts once: its first value.
            if column.values.last().is_some_and(|(last, _)| *last == number) {
                continue;
            }
            column.values.push((number, element));
            if compare_refs(value, column.min, None).is_lt() {
                column.min = value;
            }
            if compare_refs(value, column.max, None).is_gt() {
                column.max = value;
            }
        }
    }
    columns
}
