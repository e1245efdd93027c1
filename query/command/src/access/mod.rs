//! Users and roles as they are stored: credentials, names of roles, privileges. Nobody is asked for them yet: a door
//! that authenticates reads them here.

pub(crate) mod built_in;
pub(crate) mod credentials;
pub(crate) mod privilege;
pub(crate) mod role_name;
