//! `dropConnections`: closes connections to other servers, of which there are none.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::{Error, Result};

use crate::arguments::FAILED_TO_PARSE;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let hosts = arguments.required("hostAndPort", arguments.array("hostAndPort")?)?;
    for (index, host) in hosts.iter().enumerate() {
        if host.is_nullish() {
            continue;
        }
        let ValueRef::String(host) = host else {
            return Err(arguments.wrong_type(&format!("hostAndPort.{index}"), host, "a string"));
        };
        if !is_address(host) {
            return Err(Error::new(FAILED_TO_PARSE, format!("{host:?} is not a host and a port")));
        }
    }
    arguments.finish()?;
    Ok(DocumentBuilder::new())
}

/// A host, `host:port` or `[v6]:port`.
fn is_address(text: &str) -> bool {
    let port_fits = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, "")) => !host.is_empty(),
            Some((host, port)) => !host.is_empty() && port.strip_prefix(':').is_some_and(port_fits),
            None => false,
        };
    }
    match text.split_once(':') {
        None => !text.is_empty(),
        Some((host, port)) => !host.is_empty() && port_fits(port),
    }
}
