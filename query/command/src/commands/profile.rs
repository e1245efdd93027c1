//! `profile`: what the profiler of a database is told: 0 records nothing, 1 slow operations, 2 all of them.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::{Error, Namespace, Result};
use sheaf_language::expression::Scope;
use sheaf_language::filter::Filter;

use crate::arguments::{Arguments, BAD_VALUE};
use crate::number::{to_double, to_integer};
use crate::profiler;
use crate::request::Request;
use crate::server_state::Profile;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let subject = request.subject();
    let Some(level) = to_integer(subject) else {
        return Err(arguments.wrong_type("profile", subject, "a number"));
    };
    let before = request.commands().state().profiles.get(request.database).cloned().unwrap_or_default();
    let mut after = before.clone();
    // Any other level shows what is set.
    if (0..=2).contains(&level) {
        after.level = i32::try_from(level).unwrap_or(0);
    }
    read_options(arguments, &mut after)?;
    arguments.finish()?;
    if after.level > 0 {
        profiler::create(request.session, &Namespace::new(request.database, profiler::COLLECTION)?)?;
    }
    request.commands().state().profiles.insert(request.database.to_owned(), after);
    let mut body = DocumentBuilder::new();
    body.append("was", before.level).append("slowms", before.slow_millis);
    body.append("sampleRate", before.sample_rate);
    if let Some(filter) = before.filter {
        body.append("filter", filter);
        body.append("note", "with a filter, slowms and sampleRate decide nothing");
    }
    Ok(body)
}

fn read_options(arguments: &Arguments<'_>, profile: &mut Profile) -> Result<()> {
    if let Some(slow) = arguments.integer("slowms")? {
        profile.slow_millis = i32::try_from(slow).unwrap_or(i32::MAX);
    }
    if let Some(rate) = arguments.present("sampleRate") {
        let Some(number) = to_double(rate) else {
            return Err(arguments.wrong_type("sampleRate", rate, "a number"));
        };
        if !(0.0..=1.0).contains(&number) {
            return Err(Error::new(
                BAD_VALUE,
                format!("profile.sampleRate must be from 0 to 1, but is {number}"),
            ));
        }
        profile.sample_rate = number;
    }
    match arguments.value("filter") {
        None => Ok(()),
        Some(ValueRef::String("unset")) => {
            profile.filter = None;
            Ok(())
        }
        Some(ValueRef::Document(filter)) => {
            Filter::parse(filter, &mut Scope::new())?;
            profile.filter = Some(spelled_out(filter));
            Ok(())
        }
        Some(other) => Err(Error::new(
            BAD_VALUE,
            format!("profile.filter must be a document or \"unset\", not {other:?}"),
        )),
    }
}

/// The filter with `{field: value}` written as `{field: {$eq: value}}`.
fn spelled_out(filter: RawDocument<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    for element in filter {
        let is_condition = match element.value() {
            ValueRef::Document(document) => {
                document.first().is_some_and(|first| first.key().starts_with('$'))
            }
            ValueRef::Regex { .. } => true,
            _ => false,
        };
        if is_condition || element.key().starts_with('$') {
            out.append_element(element);
        } else {
            out.document(element.key(), |equal| {
                equal.append_element_as("$eq", element);
            });
        }
    }
    out.build()
}
