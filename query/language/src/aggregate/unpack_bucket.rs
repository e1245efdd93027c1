//! From a bucket of a time series to its measurements.
//!
//! A bucket has its measurements column by column, under their numbers; a measurement without a field lacks the number:
//!
//! ```text
//! {_id, control: {..}, meta: "a", data: {time: {"0": t0, "1": t1}, _id: {"0": .., "1": ..}, temp: {"1": 20}}}
//! ```
//!
//! gives `{time: t0, meta: "a", _id: ..}` and `{time: t1, meta: "a", _id: .., temp: 20}`. The stage is not written by
//! users: it stands in front of every pipeline on a time series.

use sheaf_document::{DocumentBuilder, Element, RawDocument, RawDocumentBuf};

/// How measurements are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackBucket {
    /// The field with the time.
    pub time_field: String,
    /// The field with what all measurements of a bucket share.
    pub meta_field: Option<String>,
}

impl UnpackBucket {
    /// Hands the measurements of a bucket to `emit`, in the order of their numbers. What is no bucket has none.
    pub fn each<E>(
        &self,
        bucket: RawDocument<'_>,
        mut emit: impl FnMut(RawDocumentBuf) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(data) = bucket.get("data").and_then(|data| data.as_document()) else { return Ok(()) };
        let Some(times) = data.get(&self.time_field).and_then(|times| times.as_document()) else {
            return Ok(());
        };
        let meta = self.meta_field.as_deref().zip(bucket.get_element("meta"));
        let mut columns: Vec<Column<'_>> = Vec::new();
        for element in data.iter().filter(|element| element.key() != self.time_field) {
            if let Some(values) = element.value().as_document() {
                columns.push(Column { name: element.key(), values: values.iter().collect(), next: 0 });
            }
        }
        for time in times {
            let mut out = DocumentBuilder::new();
            out.append_element_as(&self.time_field, time);
            if let Some((name, meta)) = meta {
                out.append_element_as(name, meta);
            }
            for column in &mut columns {
                if let Some(value) = column.take(time.key()) {
                    out.append_element_as(column.name, value);
                }
            }
            emit(out.build())?;
        }
        Ok(())
    }
}

/// The values of a field, in the order of their numbers.
struct Column<'a> {
    name: &'a str,
    values: Vec<Element<'a>>,
    next: usize,
}

impl<'a> Column<'a> {
    /// The value under this number, which is never below the one asked for before.
    fn take(&mut self, number: &str) -> Option<Element<'a>> {
        let value = *self.values.get(self.next)?;
        if value.key() != number {
            return None;
        }
        self.next += 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(bucket: &RawDocumentBuf, meta_field: Option<&str>) -> Vec<String> {
        let unpack = UnpackBucket { time_field: "t".to_owned(), meta_field: meta_field.map(str::to_owned) };
        let mut found = Vec::new();
        let outcome: Result<(), ()> = unpack.each(bucket.as_raw(), |measurement| {
            found.push(format!("{measurement:?}"));
            Ok(())
        });
        outcome.expect("nothing fails");
        found
    }

    #[test]
    fn columns_become_documents() {
        let mut bucket = DocumentBuilder::new();
        bucket.append("meta", "m").document("data", |data| {
            data.document("t", |times| {
                times.append("0", 10).append("1", 11).append("2", 12);
            });
            data.document("a", |values| {
                values.append("1", "x");
            });
            data.document("b", |values| {
                values.append("0", true).append("2", false);
            });
        });
        let bucket = bucket.build();
        let expected: Vec<String> = [
            vec![("t", 10.into()), ("m", "m".into()), ("b", true.into())],
            vec![("t", 11.into()), ("m", "m".into()), ("a", "x".into())],
            vec![("t", 12.into()), ("m", "m".into()), ("b", false.into())],
        ]
        .into_iter()
        .map(|fields: Vec<(&str, sheaf_document::Value<'_>)>| {
            let mut out = DocumentBuilder::new();
            for (name, value) in fields {
                out.append_value(name, &value);
            }
            format!("{:?}", out.build())
        })
        .collect();
        assert_eq!(unpacked(&bucket, Some("m")), expected);
        assert_eq!(unpacked(&bucket, None).len(), 3);
    }

    #[test]
    fn what_is_no_bucket_has_no_measurements() {
        let mut strange = DocumentBuilder::new();
        strange.append("data", 5);
        assert!(unpacked(&strange.build(), None).is_empty());
        assert!(unpacked(&RawDocumentBuf::new(), None).is_empty());
    }
}
