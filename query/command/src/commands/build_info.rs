//! `buildInfo`: which server this is.

use sheaf_document::{DocumentBuilder, Value};
use sheaf_engine::Result;

use crate::request::Request;
use crate::version::{DOCUMENT_BYTES_MAX, SPOKEN_VERSION, SPOKEN_VERSION_PARTS};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    body.append("version", SPOKEN_VERSION)
        .append("gitVersion", "unknown")
        .append("sheafdb", env!("CARGO_PKG_VERSION"))
        .append("modules", Vec::<Value<'_>>::new())
        .append("allocator", "system")
        .append("javascriptEngine", "none")
        .append("sysInfo", "deprecated")
        .append("versionArray", SPOKEN_VERSION_PARTS.into_iter().map(Value::Int32).collect::<Vec<_>>())
        .document("openssl", |openssl| {
            openssl.append("running", "none").append("compiled", "none");
        })
        .document("buildEnvironment", |environment| {
            environment
                .append("distmod", "")
                .append("distarch", std::env::consts::ARCH)
                .append("cc", "")
                .append("ccflags", "")
                .append("cxx", "")
                .append("cxxflags", "")
                .append("linkflags", "")
                .append("target_arch", std::env::consts::ARCH)
                .append("target_os", std::env::consts::OS);
        })
        .append("bits", 64)
        .append("debug", cfg!(debug_assertions))
        .append("maxBsonObjectSize", DOCUMENT_BYTES_MAX)
        .array("storageEngines", |engines| {
            engines.push("sheaf");
        });
    Ok(body)
}
