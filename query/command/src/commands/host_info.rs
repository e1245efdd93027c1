//! `hostInfo`: the machine.

use sheaf_document::{DocumentBuilder, Value};
use sheaf_engine::Result;

use crate::clock::now_millis;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = i32::try_from(cores).unwrap_or(i32::MAX);
    let memory_megabytes = memory_megabytes();
    let mut body = DocumentBuilder::new();
    body.document("system", |system| {
        system
            .append_value("currentTime", &Value::DateTime(now_millis()))
            .append("hostname", request.commands().identity().address.as_str())
            .append("cpuAddrSize", i32::try_from(usize::BITS).unwrap_or(64))
            .append("memSizeMB", memory_megabytes)
            .append("memLimitMB", memory_megabytes)
            .append("numCores", cores)
            .append("numCoresAvailableToProcess", cores)
            .append("numPhysicalCores", cores)
            .append("numCpuSockets", 1)
            .append("cpuArch", std::env::consts::ARCH)
            .append("numaEnabled", false)
            .append("numNumaNodes", 1);
    });
    body.document("os", |os| {
        let name = match std::env::consts::OS {
            "linux" => "Linux",
            "macos" => "Darwin",
            "windows" => "Microsoft Windows",
            other => other,
        };
        os.append("type", name).append("name", std::env::consts::OS).append("version", "unknown");
    });
    body.document("extra", |extra| {
        extra.append("versionString", kernel_version());
        extra.append("pageSize", 4096_i64);
    });
    Ok(body)
}

/// Memory of the machine in MiB; 0 where the system does not say.
#[cfg(target_os = "linux")]
fn memory_megabytes() -> i64 {
    let info = rustix::system::sysinfo();
    let bytes = info.totalram.saturating_mul(u64::from(info.mem_unit));
    i64::try_from(bytes >> 20).unwrap_or(i64::MAX)
}

#[cfg(not(target_os = "linux"))]
fn memory_megabytes() -> i64 {
    0
}

/// The kernel and its version, as the system names itself.
#[cfg(target_os = "linux")]
fn kernel_version() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.release(), name.version()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}

#[cfg(not(target_os = "linux"))]
fn kernel_version() -> String {
    std::env::consts::OS.to_owned()
}
