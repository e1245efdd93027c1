//! `profile`: what the profiler of a database is told. Nothing is recorded yet: a level is kept and shown.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::{Error, Result};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::number::{to_double, to_integer};
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
    if (0..=2).contains(&level) {
        after.level = i32::try_from(level).unwrap_or(0);
    }
    read_options(arguments, &mut after)?;
    arguments.finish()?;
    if level > 0 {
        return Err(Error::new(
            crate::codes::COMMAND_NOT_SUPPORTED,
            "the profiler is not there yet: only the levels 0 and -1 (show) are taken",
        ));
    }
    request.commands().state().profiles.insert(request.database.to_owned(), after);
    let mut body = DocumentBuilder::new();
    body.append("was", before.level).append("slowms", before.slow_millis);
    body.append("sampleRate", before.sample_rate);
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
        None | Some(ValueRef::Document(_) | ValueRef::String("unset")) => Ok(()),
        Some(other) => Err(Error::new(
            BAD_VALUE,
            format!("profile.filter must be a document or \"unset\", not {other:?}"),
        )),
    }
}
