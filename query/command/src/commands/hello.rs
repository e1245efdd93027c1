//! `hello`, and the legacy `isMaster`: who this server is and what it can do.

use sheaf_document::{DocumentBuilder, ObjectId, Value};
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
        version.append("processId", process_id(commands.started_millis())).append("counter", 0_i64);
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

/// An identity of this run of the server: its start in milliseconds.
fn process_id(started_millis: i64) -> ObjectId {
    let [a, b, c, d, e, f, g, h] = started_millis.to_be_bytes();
    ObjectId([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}
