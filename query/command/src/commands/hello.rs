//! `hello`, and the legacy `isMaster`: who this server is and what it can do.

use sheaf_document::{DocumentBuilder, Value};
use sheaf_engine::Result;

use crate::clock::now_millis;
use crate::logical_session::SESSION_IDLE_MINUTES_MAX;
use crate::request::Request;
use crate::version::{
    DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX, WIRE_VERSION_MAX, WIRE_VERSION_MIN, WRITE_BATCH_MAX,
};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    // Clients of every age attach something here; what is not known is left alone, as the handshake must not fail.
    let commands = request.commands();
    let identity = commands.identity();
    let mut body = DocumentBuilder::new();
    if request.arguments.flag("helloOk")? == Some(true) {
        body.append("helloOk", true);
    }
    body.document("topologyVersion", |version| {
        let (process, counter) = commands.topology_version();
        version.append("processId", process).append("counter", counter);
    });
    let primary_field = if request.name == "hello" { "isWritablePrimary" } else { "ismaster" };
    if let Some(name) = &identity.replica_set {
        let address = identity.address.as_str();
        body.array("hosts", |hosts| {
            hosts.push(address);
        });
        body.append("setName", name.as_str()).append("setVersion", 1);
        body.append(primary_field, true).append("secondary", false);
        body.append("primary", address).append("me", address);
    } else {
        body.append(primary_field, true);
    }
    body.append("maxBsonObjectSize", DOCUMENT_BYTES_MAX)
        .append("maxMessageSizeBytes", MESSAGE_BYTES_MAX)
        .append("maxWriteBatchSize", i32::try_from(WRITE_BATCH_MAX).unwrap_or(i32::MAX))
        .append_value("localTime", &Value::DateTime(now_millis()))
        .append("logicalSessionTimeoutMinutes", SESSION_IDLE_MINUTES_MAX)
        .append("connectionId", i32::try_from(request.session.connection_id()).unwrap_or(i32::MAX))
        .append("minWireVersion", WIRE_VERSION_MIN)
        .append("maxWireVersion", WIRE_VERSION_MAX)
        .append("readOnly", false);
    Ok(body)
}
