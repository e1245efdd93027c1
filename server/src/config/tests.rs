use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use super::file::KEYS;
use super::{Config, ConfigError, DefaultDurability, FileSettings, Flags, LogFormat};

const EVERY_KEY: &str = r#"
data = "/srv/sheaf"
[listen]
grpc = "127.0.0.1:1"
http = "[::1]:2"
insecure = false
wire = "127.0.0.1:3"
[log]
format = "json"
filter = "debug"
[memory]
cache_bytes = 2097152
memtable_bytes = 3145728
query_bytes = 4194304
[server]
drain_seconds = 3
reflection = false
storage_threads_max = 7
[storage]
durability = "written"
history_seconds = 9
master_key_file = "/run/keys/sheaf"
master_key_id = "2026-11"
[wire]
replica_set = "rs0"
"#;

fn parse(text: &str) -> Result<FileSettings, ConfigError> {
    FileSettings::parse(text, Path::new("sheafd.toml"))
}

fn leaves(table: &toml::Table, section: &str, into: &mut Vec<String>) {
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match value {
            toml::Value::Table(nested) => leaves(nested, &key, into),
            _ => into.push(key),
        }
    }
}

#[test]
fn every_known_key_can_be_set_in_a_file() {
    let mut written = Vec::new();
    leaves(&EVERY_KEY.parse().unwrap(), "", &mut written);
    written.sort();
    assert_eq!(written, KEYS);
    let config = Config::resolve(Flags::default(), parse(EVERY_KEY).unwrap()).unwrap();
    assert_eq!(
        config,
        Config {
            data: PathBuf::from("/srv/sheaf"),
            grpc: "127.0.0.1:1".parse().unwrap(),
            http: "[::1]:2".parse().unwrap(),
            wire: Some("127.0.0.1:3".parse().unwrap()),
            replica_set: Some("rs0".to_owned()),
            log_format: LogFormat::Json,
            log_filter: "debug".to_owned(),
            reflection: false,
            drain: Duration::from_secs(3),
            storage_threads_max: 7,
            cache_bytes: 2 << 20,
            memtable_bytes: 3 << 20,
            query_bytes: 4 << 20,
            history: Duration::from_secs(9),
            master_key: Some((PathBuf::from("/run/keys/sheaf"), "2026-11".to_owned())),
            durability: DefaultDurability::Written,
        }
    );
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let flags = Flags::parse_from(["sheafd", "--grpc", "127.0.0.1:9", "--durability", "synced"]);
    let config = Config::resolve(flags, parse(EVERY_KEY).unwrap()).unwrap();
    assert_eq!(config.grpc.port(), 9);
    assert_eq!(config.durability, DefaultDurability::Synced);
    assert_eq!(config.http.port(), 2);

    let config = Config::resolve(Flags::default(), FileSettings::default()).unwrap();
    assert_eq!(config.grpc, "127.0.0.1:7070".parse().unwrap());
    assert_eq!(config.http, "127.0.0.1:7071".parse().unwrap());
    assert_eq!(config.wire, None);
    assert_eq!(config.durability, DefaultDurability::Synced);
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let unknown = |text: &str| match parse(text) {
        Err(ConfigError::UnknownKey { key, suggestion, .. }) => (key, suggestion),
        other => panic!("{other:?}"),
    };
    assert_eq!(unknown("[listen]\ngrcp = \"127.0.0.1:1\""), ("listen.grcp".to_owned(), Some("listen.grpc")));
    assert_eq!(unknown("[sever]\nreflection = true").1, None);
    assert_eq!(unknown("cache_bytes = 1"), ("cache_bytes".to_owned(), Some("memory.cache_bytes")));
}

#[test]
fn wrong_values_are_refused_with_their_place() {
    for text in
        ["data = 5", "listen = 5", "[listen]\ngrpc = \"nowhere\"", "[server]\ndrain_seconds = -1", "data ="]
    {
        let Err(ConfigError::Malformed { message, .. }) = parse(text) else { panic!("{text} was taken") };
        assert!(message.contains("line "), "{message}");
    }
    let file = parse("[server]\nstorage_threads_max = 0").unwrap();
    let refused = Config::resolve(Flags::default(), file).unwrap_err().to_string();
    assert_eq!(refused, "server.storage_threads_max: must be between 1 and 4096");
    let file = parse("[memory]\ncache_bytes = 10").unwrap();
    assert!(Config::resolve(Flags::default(), file).is_err());
}

#[test]
fn a_public_address_is_refused_unless_somebody_insists() {
    for address in ["0.0.0.0:7070", "192.168.1.5:7070", "[::]:7070"] {
        let flags = Flags::parse_from(["sheafd", "--grpc", address]);
        let refused = Config::resolve(flags, FileSettings::default()).unwrap_err().to_string();
        assert!(refused.contains("--insecure"), "{refused}");
        let flags = Flags::parse_from(["sheafd", "--grpc", address, "--insecure"]);
        assert!(Config::resolve(flags, FileSettings::default()).is_ok());
        let flags = Flags::parse_from(["sheafd", "--http", address]);
        assert!(Config::resolve(flags, FileSettings::default()).is_err());
    }
}

#[test]
fn the_wire_door_is_never_public() {
    for address in ["0.0.0.0:27017", "192.168.1.5:27017", "[::]:27017"] {
        let flags = Flags::parse_from(["sheafd", "--wire", address, "--insecure"]);
        let refused = Config::resolve(flags, FileSettings::default()).unwrap_err().to_string();
        assert!(refused.contains("no authentication") && refused.contains(address), "{refused}");
    }
    let flags = Flags::parse_from(["sheafd", "--wire", "[::1]:27017"]);
    assert_eq!(Config::resolve(flags, FileSettings::default()).unwrap().wire.unwrap().port(), 27017);
}

#[test]
fn a_replica_set_has_a_name_and_a_door() {
    let resolve = |arguments: &[&str]| {
        let flags = Flags::parse_from([&["sheafd"], arguments].concat());
        Config::resolve(flags, FileSettings::default()).map(|config| config.replica_set)
    };
    let wire = ["--wire", "127.0.0.1:0", "--replica-set"];
    assert_eq!(resolve(&[&wire[..], &["rs-0"]].concat()).unwrap().as_deref(), Some("rs-0"));
    for name in ["", "a/b", "a b", &"x".repeat(65)] {
        let refused = resolve(&[&wire[..], &[name]].concat()).unwrap_err().to_string();
        assert!(refused.starts_with("wire.replica_set: "), "{refused}");
    }
    assert!(resolve(&["--replica-set", "rs0"]).unwrap_err().to_string().contains("listen.wire"));
}

#[test]
fn every_setting_is_in_the_reference() {
    let reference = include_str!("../../CONFIGURATION.md");
    for key in KEYS {
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
    for argument in <Flags as clap::CommandFactory>::command().get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        assert!(reference.contains(&format!("`--{flag}")), "--{flag}");
        if let Some(variable) = argument.get_env() {
            assert!(reference.contains(&format!("`{}`", variable.display())), "{}", variable.display());
        }
    }
}

#[test]
fn a_master_key_has_a_file_and_an_id() {
    for half in ["master_key_file = \"/k\"", "master_key_id = \"k\""] {
        let file = parse(&format!("[storage]\n{half}")).unwrap();
        let error = Config::resolve(Flags::default(), file).unwrap_err();
        assert!(matches!(error, ConfigError::OutOfRange { name: "storage.master_key_file", .. }), "{error}");
    }
}
