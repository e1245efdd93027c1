//! `$fill`: values for null and missing fields. Short for a window that carries values on and for `$addFields`.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use super::parse::document_argument;
use super::{PipelineContext, SetWindowFields, Stage};
use crate::projection::Projection;
use crate::{Error, ErrorCode, Result};

/// What `$fill` was given.
#[derive(Default)]
struct Fill<'a> {
    partition_by: Option<ValueRef<'a>>,
    partition_by_fields: Option<ValueRef<'a>>,
    sort_by: Option<ValueRef<'a>>,
    output: Option<RawDocument<'a>>,
}

/// Reads `{partitionBy: e, partitionByFields: [..], sortBy: {..}, output: {field: {value: e} or {method: name}}}`.
pub(super) fn parse(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let mut fill = Fill::default();
    for element in document_argument("$fill", ErrorCode::FAILED_TO_PARSE.0, value)? {
        match (element.key(), element.value()) {
            ("partitionBy", value) => fill.partition_by = Some(value),
            ("partitionByFields", value) => fill.partition_by_fields = Some(value),
            ("sortBy", value) => fill.sort_by = Some(value),
            ("output", ValueRef::Document(output)) => fill.output = Some(output),
            ("output", other) => {
                let reason =
                    format!("the 'output' of $fill is a document, not of type {}", other.kind().name());
                return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
            }
            (other, _) => return Err(Error::location(40_415, format!("$fill has no argument '{other}'"))),
        }
    }
    fill.into_stages(context)
}

impl Fill<'_> {
    fn into_stages(self, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
        let output =
            self.output.ok_or_else(|| Error::location(40_414, "$fill needs the argument 'output'"))?;
        let (mut carried, mut computed) = (DocumentBuilder::new(), DocumentBuilder::new());
        for element in output {
            let field = element.key();
            match filling(field, element.value())? {
                Filling::Method(function) => {
                    if function == "$linearFill" && self.sort_by.is_none() {
                        return Err(Error::location(605_001, "the method linear of $fill needs a 'sortBy'"));
                    }
                    carried.document(field, |window| {
                        window.append(function, format!("${field}"));
                    });
                }
                Filling::Value(value) => {
                    computed.document(field, |default| {
                        default.array("$ifNull", |operands| {
                            operands.push(format!("${field}")).push_ref(value);
                        });
                    });
                }
            }
        }
        let mut stages = Vec::new();
        if !carried.is_empty() {
            let window = self.window(carried.build())?;
            let window = SetWindowFields::parse(ValueRef::Document(window.as_raw()), context.scope)?;
            stages.push(Stage::SetWindowFields(Box::new(window)));
        }
        if !computed.is_empty() {
            let fields = computed.build();
            stages.push(Stage::AddFields(Projection::parse_added_fields(fields.as_raw(), context.scope)?));
        }
        Ok(stages)
    }

    /// The argument of the `$setWindowFields` that carries values on.
    fn window(&self, output: RawDocumentBuf) -> Result<RawDocumentBuf> {
        let mut window = DocumentBuilder::new();
        match (self.partition_by, self.partition_by_fields) {
            (Some(_), Some(_)) => {
                let reason = "$fill takes either 'partitionBy' or 'partitionByFields'";
                return Err(Error::location(6_050_204, reason));
            }
            (Some(by), None) => {
                window.append_ref("partitionBy", by);
            }
            (None, Some(fields)) => {
                window.append("partitionBy", partition_key(fields)?);
            }
            (None, None) => {}
        }
        if let Some(sort_by) = self.sort_by {
            window.append_ref("sortBy", sort_by);
        }
        window.append("output", output);
        Ok(window.build())
    }
}

/// `{a: "$a", ..}` of a list of fields.
fn partition_key(fields: ValueRef<'_>) -> Result<RawDocumentBuf> {
    let ValueRef::Array(fields) = fields else {
        let reason =
            format!("the 'partitionByFields' of $fill is an array, not of type {}", fields.kind().name());
        return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
    };
    let mut key = DocumentBuilder::new();
    for (place, field) in fields.iter().enumerate() {
        let ValueRef::String(field) = field else {
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, "the 'partitionByFields' of $fill are strings"));
        };
        if field.starts_with('$') {
            return Err(Error::location(
                6_050_202,
                format!("the partition field '{field}' starts with a dollar"),
            ));
        }
        // Paths may have dots, which the names of a key may not.
        key.append(&place.to_string(), format!("${field}"));
    }
    Ok(key.build())
}

/// How one field is filled.
enum Filling<'a> {
    /// By this window function.
    Method(&'static str),
    /// By an expression.
    Value(ValueRef<'a>),
}

fn filling<'a>(field: &str, value: ValueRef<'a>) -> Result<Filling<'a>> {
    let refused = |reason: String| Error::new(ErrorCode::FAILED_TO_PARSE, reason);
    let ValueRef::Document(document) = value else {
        let found = value.kind().name();
        return Err(refused(format!("the output '{field}' of $fill is a document, not of type {found}")));
    };
    let mut elements = document.iter();
    let (Some(element), None) = (elements.next(), elements.next()) else {
        return Err(refused(format!("the output '{field}' of $fill has either 'value' or 'method'")));
    };
    match (element.key(), element.value()) {
        ("value", value) => Ok(Filling::Value(value)),
        ("method", ValueRef::String("linear")) => Ok(Filling::Method("$linearFill")),
        ("method", ValueRef::String("locf")) => Ok(Filling::Method("$locf")),
        ("method", _) => Err(Error::location(6_050_202, "the method of $fill is 'linear' or 'locf'")),
        (other, _) => Err(refused(format!("the output '{field}' of $fill has no argument '{other}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Place;
    use crate::expression::Scope;

    fn names(write: impl FnOnce(&mut DocumentBuilder)) -> Result<Vec<&'static str>> {
        let mut output = DocumentBuilder::new();
        write(&mut output);
        let mut fill = DocumentBuilder::new();
        fill.document("sortBy", |sort| {
            sort.append("t", 1);
        });
        fill.append("output", output.build());
        let fill = fill.build();
        let mut scope = Scope::new();
        let mut context = PipelineContext { scope: &mut scope, depth: 0, place: Place::Top };
        let stages = parse(ValueRef::Document(fill.as_raw()), &mut context)?;
        Ok(stages.iter().map(Stage::name).collect())
    }

    #[test]
    fn methods_become_windows_and_values_fields() {
        let both = names(|output| {
            output.document("a", |a| {
                a.append("method", "linear");
            });
            output.document("b", |b| {
                b.append("value", 0);
            });
        });
        assert_eq!(both.unwrap(), ["$setWindowFields", "$addFields"]);
        let unknown = names(|output| {
            output.document("a", |a| {
                a.append("method", "guess");
            });
        });
        assert_eq!(unknown.unwrap_err().code.0, 6_050_202);
    }
}
