//! A file per command: reads the arguments, calls the engine, shapes the reply, and nothing else.

mod aggregate;
mod apply_ops;
mod build_info;
mod bulk_write;
mod capped;
mod coll_mod;
mod compact;
mod compatibility_version;
mod count;
mod create;
mod create_indexes;
mod database_hash;
mod default_concerns;
mod delete;
mod distinct;
mod drop;
mod drop_connections;
mod drop_database;
mod drop_indexes;
mod explain;
mod find;
mod find_and_modify;
mod fsync;
mod get_log;
mod get_more;
mod hello;
mod host_info;
mod insert;
mod kill_cursors;
mod kill_op;
mod list_collections;
mod list_databases;
mod list_indexes;
pub(crate) mod parameters;
mod ping;
pub(crate) mod plan_cache;
mod profile;
mod reindex;
mod rename_collection;
mod search_indexes;
mod server_info;
mod server_status;
mod sessions;
mod statistics;
mod top;
mod transactions;
mod update;
mod validate;
mod validate_metadata;
pub(crate) mod write_block;

use crate::command::Command;
use crate::command::Flag::{
    AdminOnly, OwnMaxTime, ReadConcern, Retryable, SnapshotRead, StableApi, Transaction, WriteConcern,
};

macro_rules! table {
    ($($name:literal [$($alias:literal),*] [$($flag:ident),*] $run:path, $help:literal;)*) => {
        /// Every command, by name.
        pub(crate) const TABLE: &[Command] =
            &[$(Command { name: $name, aliases: &[$($alias),*], flags: &[$($flag),*], run: $run, help: $help }),*];
    };
}

table! {
    "abortTransaction" [] [AdminOnly, StableApi, Transaction, WriteConcern] transactions::abort, "ends a transaction without a trace";
    "aggregate" [] [ReadConcern, SnapshotRead, StableApi, Transaction, WriteConcern] aggregate::run, "runs a pipeline";
    "applyOps" [] [AdminOnly, WriteConcern] apply_ops::run, "applies entries of an oplog";
    "autoCompact" [] [AdminOnly] compact::automatic, "compacts by itself";
    "buildInfo" ["buildinfo"] [] build_info::run, "what was built, and when";
    "bulkWrite" [] [AdminOnly, Retryable, StableApi, Transaction, WriteConcern] bulk_write::run, "writes into several collections";
    "cloneCollectionAsCapped" [] [WriteConcern] capped::clone, "copies a collection into a capped one";
    "collMod" [] [StableApi, WriteConcern] coll_mod::run, "changes options of a collection";
    "collStats" ["collstats"] [] statistics::collection, "figures of a collection";
    "commitTransaction" [] [AdminOnly, StableApi, Transaction, WriteConcern] transactions::commit, "commits a transaction";
    "compact" [] [] compact::run, "compacts a collection";
    "connectionStatus" [] [StableApi] server_info::connection_status, "who is authenticated";
    "connPoolStats" [] [] server_info::connection_pools, "connections to other servers";
    "convertToCapped" [] [WriteConcern] capped::convert, "makes a collection capped";
    "count" [] [ReadConcern, StableApi] count::run, "counts documents";
    "create" [] [StableApi, Transaction, WriteConcern] create::run, "creates a collection or view";
    "createIndexes" [] [StableApi, Transaction, WriteConcern] create_indexes::run, "creates indexes";
    "createSearchIndexes" [] [WriteConcern] search_indexes::run, "refused: a service of Atlas";
    "dataSize" ["datasize"] [] statistics::data_size, "size of documents";
    "dbHash" ["dbhash"] [] database_hash::run, "hashes of collections";
    "dbStats" ["dbstats"] [] statistics::database, "figures of a database";
    "delete" [] [Retryable, StableApi, Transaction, WriteConcern] delete::run, "deletes documents";
    "distinct" [] [ReadConcern, SnapshotRead, Transaction] distinct::run, "collects distinct values";
    "drop" [] [StableApi, WriteConcern] drop::run, "drops a collection or view";
    "dropConnections" [] [AdminOnly] drop_connections::run, "closes connections to other servers";
    "dropDatabase" [] [StableApi, WriteConcern] drop_database::run, "drops a database";
    "dropIndexes" ["deleteIndexes"] [StableApi, WriteConcern] drop_indexes::run, "drops indexes";
    "dropSearchIndex" [] [WriteConcern] search_indexes::run, "refused: a service of Atlas";
    "endSessions" [] [StableApi] sessions::end, "ends sessions";
    "explain" [] [StableApi] explain::run, "says how a command would run";
    "features" [] [] server_info::features, "what the server was built with";
    "find" [] [ReadConcern, SnapshotRead, StableApi, Transaction] find::run, "finds documents";
    "findAndModify" ["findandmodify"] [Retryable, StableApi, Transaction, WriteConcern] find_and_modify::run, "changes one document and returns it";
    "fsync" [] [AdminOnly] fsync::run, "syncs to disk";
    "fsyncUnlock" [] [AdminOnly] fsync::unlock, "lets writes in again";
    "getCmdLineOpts" [] [AdminOnly] server_info::command_line, "the server's arguments";
    "getDefaultRWConcern" [] [AdminOnly] default_concerns::get, "concerns of commands that send none";
    "getLog" [] [AdminOnly] get_log::run, "lines of the log";
    "getMore" [] [OwnMaxTime, StableApi, Transaction] get_more::run, "the next batch of a cursor";
    "getParameter" [] [AdminOnly] parameters::get, "the server's parameters";
    "hello" ["isMaster", "ismaster"] [StableApi] hello::run, "who this server is";
    "hostInfo" [] [] host_info::run, "the machine";
    "insert" [] [Retryable, StableApi, Transaction, WriteConcern] insert::run, "inserts documents";
    "killAllSessions" [] [] sessions::kill_all, "ends every session of users";
    "killAllSessionsByPattern" [] [] sessions::kill_all_by_pattern, "ends sessions that match";
    "killCursors" [] [StableApi, Transaction] kill_cursors::run, "closes cursors";
    "killOp" [] [AdminOnly] kill_op::run, "ends an operation";
    "killSessions" [] [] sessions::kill, "ends sessions";
    "listCollections" [] [StableApi] list_collections::run, "lists collections and views";
    "listCommands" [] [] server_info::commands, "lists commands";
    "listDatabases" [] [AdminOnly, StableApi] list_databases::run, "lists databases";
    "listIndexes" [] [StableApi] list_indexes::run, "lists the indexes of a collection";
    "lockInfo" [] [AdminOnly] server_info::locks, "locks that are held";
    "logout" [] [] server_info::logout, "ends authentication";
    "logRotate" [] [AdminOnly] server_info::rotate_log, "begins a new log";
    "ping" [] [StableApi] ping::run, "answers";
    "planCacheClear" [] [] plan_cache::clear, "forgets plans";
    "planCacheClearFilters" [] [] plan_cache::clear_filters, "forgets index filters";
    "planCacheListFilters" [] [] plan_cache::list_filters, "lists index filters";
    "planCacheSetFilter" [] [] plan_cache::set_filter, "keeps an index filter";
    "profile" [] [] profile::run, "the profiler of a database";
    "refreshSessions" [] [StableApi] sessions::refresh, "keeps sessions from ending";
    "reIndex" [] [WriteConcern] reindex::run, "builds the indexes of a collection again";
    "renameCollection" [] [AdminOnly, WriteConcern] rename_collection::run, "renames a collection";
    "serverStatus" [] [] server_status::run, "figures of the running server";
    "setDefaultRWConcern" [] [AdminOnly, WriteConcern] default_concerns::set, "sets concerns of commands that send none";
    "setFeatureCompatibilityVersion" [] [AdminOnly, WriteConcern] compatibility_version::set, "which features may be used";
    "setParameter" [] [AdminOnly] parameters::set, "sets parameters of the server";
    "setUserWriteBlockMode" [] [AdminOnly] write_block::set, "refuses writes of users";
    "startSession" [] [] sessions::start, "begins a session";
    "top" [] [AdminOnly] top::run, "how often collections are used";
    "update" [] [Retryable, StableApi, Transaction, WriteConcern] update::run, "updates documents";
    "updateSearchIndex" [] [WriteConcern] search_indexes::run, "refused: a service of Atlas";
    "validate" [] [] validate::run, "checks a collection";
    "validateDBMetadata" [] [] validate_metadata::run, "what is not part of the stable API";
    "whatsmyuri" [] [] server_info::connection_name, "names this connection";
}
