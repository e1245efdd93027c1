//! A disk without room.

use std::path::Path;
use std::sync::Arc;

use sheaf_engine::Database;
use sheaf_storage::{FaultVfs, Vfs};

use crate::fixture::{DIRECTORY, connect, contents, fill, memory, options, reply, run};

#[test]
fn a_full_disk_is_named_and_what_was_acknowledged_stays() {
    for room in ["full 0", "full 4KiB", "full 40KiB"] {
        let (_, base) = memory();
        let faults = FaultVfs::new(base);
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let database = Database::open_with(Arc::clone(&vfs), Path::new(DIRECTORY), options()).unwrap();
        let session = connect(&database);
        fill(&session);
        faults.add_rule(room).unwrap();
        let insert = format!(r#"{{"insert":"load","documents":[{{"text":"{}"}}]}}"#, "x".repeat(3000));
        let mut acknowledged = 0;
        let code = loop {
            match run(&session, &insert) {
                None => acknowledged += 1,
                Some(code) => break code,
            }
        };
        assert!(acknowledged < 20, "{room} is no limit");
        assert_eq!(code, sheaf_engine::error_code::OUT_OF_DISK_SPACE.0, "{room}");
        let before = contents(&session);
        drop((session, database));

        faults.clear_rules();
        let session = connect(&Database::open_with(vfs, Path::new(DIRECTORY), options()).unwrap());
        assert_eq!(contents(&session), before, "{room}");
        let count = reply(&session, r#"{"count":"load"}"#);
        let whole = [acknowledged, acknowledged + 1];
        assert!(
            whole.iter().any(|n| count.contains(&format!(r#""n":{{"$numberInt":"{n}"}}"#))),
            "{room}: {acknowledged} were acknowledged, {count}"
        );
        assert_eq!(run(&session, &insert), None, "there is room again");
    }
}
