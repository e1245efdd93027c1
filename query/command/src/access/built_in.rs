//! The roles that are always there, by the names that MongoDB gives them.

/// Roles of every database.
const OF_EVERY_DATABASE: [&str; 6] =
    ["dbAdmin", "dbOwner", "enableSharding", "read", "readWrite", "userAdmin"];

/// Roles of the database `admin` only.
const OF_ADMIN: [&str; 13] = [
    "__queryableBackup",
    "__system",
    "backup",
    "clusterAdmin",
    "clusterManager",
    "clusterMonitor",
    "dbAdminAnyDatabase",
    "directShardOperations",
    "hostManager",
    "readAnyDatabase",
    "readWriteAnyDatabase",
    "restore",
    "root",
];

/// Another role of `admin`, apart so that the lists stay in order.
const USER_ADMIN_ANY: &str = "userAdminAnyDatabase";

/// Whether a role of this database is always there.
pub(crate) fn exists(role: &str, database: &str) -> bool {
    OF_EVERY_DATABASE.contains(&role)
        || database == "admin" && (OF_ADMIN.contains(&role) || role == USER_ADMIN_ANY)
}

/// The roles that are always there in a database.
pub(crate) fn of_database(database: &str) -> Vec<&'static str> {
    let mut roles = OF_EVERY_DATABASE.to_vec();
    if database == "admin" {
        roles.extend(OF_ADMIN);
        roles.push(USER_ADMIN_ANY);
    }
    roles
}
