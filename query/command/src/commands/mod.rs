//! A file per command: reads the arguments, calls the engine, shapes the reply, and nothing else.

mod aggregate;
mod build_info;
mod count;
mod create;
mod create_indexes;
mod delete;
mod distinct;
mod drop;
mod drop_database;
mod drop_indexes;
mod explain;
mod find;
mod find_and_modify;
mod fsync;
mod get_more;
mod hello;
mod insert;
mod kill_cursors;
mod list_collections;
mod list_databases;
mod list_indexes;
mod ping;
mod server_status;
mod sessions;
mod update;

use crate::command::Command;
use crate::command::Flag::{
    AdminOnly, OwnMaxTime, ReadConcern, SnapshotRead, StableApi, Transaction, WriteConcern,
};

macro_rules! table {
    ($($name:literal [$($alias:literal),*] [$($flag:ident),*] $run:path, $help:literal;)*) => {
        /// Every command, by name.
        pub(crate) const TABLE: &[Command] =
            &[$(Command { name: $name, aliases: &[$($alias),*], flags: &[$($flag),*], run: $run, help: $help }),*];
    };
}

table! {
    "aggregate" [] [ReadConcern, SnapshotRead, StableApi, Transaction, WriteConcern] aggregate::run, "runs a pipeline";
    "buildInfo" ["buildinfo"] [] build_info::run, "what was built, and when";
    "count" [] [ReadConcern, StableApi] count::run, "counts documents";
    "create" [] [StableApi, Transaction, WriteConcern] create::run, "creates a collection or view";
    "createIndexes" [] [StableApi, Transaction, WriteConcern] create_indexes::run, "creates indexes";
    "delete" [] [StableApi, Transaction, WriteConcern] delete::run, "deletes documents";
    "distinct" [] [ReadConcern, SnapshotRead, StableApi, Transaction] distinct::run, "collects distinct values";
    "drop" [] [StableApi, WriteConcern] drop::run, "drops a collection or view";
    "dropDatabase" [] [StableApi, WriteConcern] drop_database::run, "drops a database";
    "dropIndexes" ["deleteIndexes"] [StableApi, WriteConcern] drop_indexes::run, "drops indexes";
    "endSessions" [] [StableApi] sessions::end, "ends sessions";
    "explain" [] [StableApi] explain::run, "says how a command would run";
    "find" [] [ReadConcern, SnapshotRead, StableApi, Transaction] find::run, "finds documents";
    "findAndModify" ["findandmodify"] [StableApi, Transaction, WriteConcern] find_and_modify::run, "changes one document and returns it";
    "fsync" [] [AdminOnly] fsync::run, "syncs to disk";
    "fsyncUnlock" [] [AdminOnly] fsync::unlock, "lets writes in again";
    "getMore" [] [OwnMaxTime, StableApi, Transaction] get_more::run, "the next batch of a cursor";
    "hello" ["isMaster", "ismaster"] [StableApi] hello::run, "who this server is";
    "insert" [] [StableApi, Transaction, WriteConcern] insert::run, "inserts documents";
    "killAllSessions" [] [] sessions::kill_all, "ends every session of users";
    "killAllSessionsByPattern" [] [] sessions::kill_all_by_pattern, "ends sessions that match";
    "killCursors" [] [StableApi, Transaction] kill_cursors::run, "closes cursors";
    "killSessions" [] [] sessions::kill, "ends sessions";
    "listCollections" [] [StableApi] list_collections::run, "lists collections and views";
    "listDatabases" [] [AdminOnly, StableApi] list_databases::run, "lists databases";
    "listIndexes" [] [StableApi] list_indexes::run, "lists the indexes of a collection";
    "ping" [] [StableApi] ping::run, "answers";
    "refreshSessions" [] [StableApi] sessions::refresh, "keeps sessions from ending";
    "serverStatus" [] [] server_status::run, "figures of the running server";
    "startSession" [] [] sessions::start, "begins a session";
    "update" [] [StableApi, Transaction, WriteConcern] update::run, "updates documents";
}
