//! A power cut right behind an acknowledgement.

use std::path::Path;
use std::sync::Arc;

use sheaf_engine::{Database, Durability};
use sheaf_storage::MemoryVfs;

use crate::fixture::{DIRECTORY, connect, options, reply, run};

#[test]
fn what_was_to_be_on_disk_is_there_afterwards() {
    for concern in [r#"{"j":true}"#, r#"{"w":"majority"}"#] {
        let disk = MemoryVfs::new();
        // By itself a commit is only handed to the operating system.
        let mut options = options();
        options.store.durability = Durability::Async;
        let open = |disk: MemoryVfs| {
            Database::open_with(Arc::new(disk), Path::new(DIRECTORY), options.clone()).unwrap()
        };
        let session = connect(&open(disk.clone()));
        let insert = format!(r#"{{"insert":"load","documents":[{{"_id":1}}],"writeConcern":{concern}}}"#);
        assert_eq!(run(&session, &insert), None);
        let session = connect(&open(disk.crash_clone(1, 0)));
        let count = reply(&session, r#"{"count":"load"}"#);
        assert!(count.contains(r#""n":{"$numberInt":"1"}"#), "{concern}: {count}");
    }
}
