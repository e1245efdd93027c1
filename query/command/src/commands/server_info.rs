//! Small commands about the server and the connection: `getCmdLineOpts`, `whatsmyuri`, `connectionStatus`,
//! `listCommands`, `lockInfo`, `top`, `features`, `connPoolStats`, `logout`, `logRotate`.

use sheaf_document::{DocumentBuilder, Value, ValueRef};
use sheaf_engine::Result;

use crate::command::Flag;
use crate::request::Request;

fn nothing() -> Vec<Value<'static>> {
    Vec::new()
}

/// `getCmdLineOpts`: what the server was started with, as it was typed and by name.
pub(crate) fn command_line(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let arguments = &request.commands().identity().arguments;
    let mut body = DocumentBuilder::new();
    body.append("argv", arguments.iter().map(|argument| Value::from(argument.as_str())).collect::<Vec<_>>());
    body.document("parsed", |parsed| {
        let mut rest = arguments.iter().skip(1).peekable();
        while let Some(argument) = rest.next() {
            let Some(name) = argument.strip_prefix("--") else { continue };
            if let Some((name, value)) = name.split_once('=') {
                parsed.append(name, value);
            } else if let Some(value) = rest.next_if(|next| !next.starts_with("--")) {
                parsed.append(name, value.as_str());
            } else {
                parsed.append(name, true);
            }
        }
    });
    Ok(body)
}

/// `whatsmyuri`: where the client comes from, as the server sees it.
pub(crate) fn connection_name(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.append("you", request.session.peer());
    Ok(body)
}

/// `connectionStatus`: who is authenticated. Authentication belongs to the doors; here nobody is.
pub(crate) fn connection_status(request: &Request<'_>) -> Result<DocumentBuilder> {
    let show_privileges = request.arguments.flag("showPrivileges")?.unwrap_or(false);
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.document("authInfo", |info| {
        info.append("authenticatedUsers", nothing()).append("authenticatedUserRoles", nothing());
        if show_privileges {
            info.append("authenticatedUserPrivileges", nothing());
        }
    });
    let id = request.commands().started_millis().to_be_bytes();
    let mut uuid = [0u8; 16];
    for (byte, known) in uuid.iter_mut().rev().zip(id.iter().rev()) {
        *byte = *known;
    }
    body.append_ref("uuid", ValueRef::Binary(sheaf_document::Binary { subtype: 4, bytes: &uuid }));
    Ok(body)
}

/// `listCommands`: this very table.
pub(crate) fn commands(_: &Request<'_>) -> Result<DocumentBuilder> {
    let mut body = DocumentBuilder::new();
    body.document("commands", |list| {
        for command in crate::command::all() {
            list.document(command.name, |item| {
                let versions = if command.has(Flag::StableApi) { vec![Value::from("1")] } else { nothing() };
                item.append("help", command.help)
                    .append("requiresAuth", false)
                    .append("secondaryOk", !command.has(Flag::WriteConcern))
                    .append("adminOnly", command.has(Flag::AdminOnly))
                    .append("apiVersions", versions)
                    .append("deprecatedApiVersions", nothing());
            });
        }
    });
    Ok(body)
}

/// `lockInfo`: readers and writers take no lock that lasts.
pub(crate) fn locks(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.append("lockInfo", nothing());
    Ok(body)
}

/// `features`.
pub(crate) fn features(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.ignore(&["oidReset"]);
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.append("oidMachine", 0).append("js", false);
    Ok(body)
}

/// `connPoolStats`: connections to other servers, of which there are none.
pub(crate) fn connection_pools(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.append("numClientConnections", 0).append("numAScopedConnections", 0);
    for name in ["totalInUse", "totalAvailable", "totalLeased", "totalCreated", "totalRefreshing"] {
        body.append(name, 0);
    }
    body.append("totalRefreshed", 0).document("pools", |_| {}).document("hosts", |_| {});
    body.document("replicaSets", |_| {});
    Ok(body)
}

/// `logout`: there is nobody to log out.
pub(crate) fn logout(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    Ok(DocumentBuilder::new())
}

/// `logRotate`: the log goes to standard error, whose reader rotates it.
pub(crate) fn rotate_log(request: &Request<'_>) -> Result<DocumentBuilder> {
    let subject = request.subject();
    let known = match subject {
        ValueRef::Boolean(_) => true,
        ValueRef::String(kind) => {
            if !matches!(kind, "server" | "audit") {
                return Err(sheaf_engine::Error::new(
                    crate::arguments::BAD_VALUE,
                    format!("logRotate does not know the log {kind:?}"),
                ));
            }
            true
        }
        other => other.kind().is_number(),
    };
    if !known {
        return Err(request.arguments.wrong_type("logRotate", subject, "a number, a boolean or \"server\""));
    }
    request.arguments.finish()?;
    Ok(DocumentBuilder::new())
}
