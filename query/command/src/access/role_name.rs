//! Names of roles: `"read"` of this database, or `{role: "read", db: "shop"}`.

use sheaf_document::{ArrayBuilder, RawArray, ValueRef};
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use super::built_in;
use crate::arguments::{Arguments, BAD_VALUE};
use crate::request::Request;
use crate::stored;

/// There is no such role.
pub(crate) const ROLE_NOT_FOUND: ErrorCode = ErrorCode(31);

/// A role of a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoleName {
    pub(crate) role: String,
    pub(crate) database: String,
}

impl RoleName {
    /// Under which it is stored.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.database, self.role)
    }

    /// Reads a name; one without a database is of `database`.
    pub(crate) fn read(scope: &str, value: ValueRef<'_>, database: &str) -> Result<Self> {
        match value {
            ValueRef::String(role) => Ok(Self { role: role.to_owned(), database: database.to_owned() }),
            ValueRef::Document(document) => {
                let arguments = Arguments::new(scope, document)?;
                let role = arguments.required("role", arguments.string("role")?)?;
                let database = arguments.required("db", arguments.string("db")?)?;
                arguments.finish()?;
                Ok(Self { role: role.to_owned(), database: database.to_owned() })
            }
            other => Err(Error::new(
                crate::arguments::BAD_VALUE,
                format!("{scope}: a role is a name or {{role, db}}, not of type {}", other.kind().name()),
            )),
        }
    }

    /// Appends `{role, db}`.
    pub(crate) fn append_to(&self, list: &mut ArrayBuilder) {
        list.document(|out| {
            out.append("role", self.role.as_str()).append("db", self.database.as_str());
        });
    }
}

/// Where roles are kept.
pub(crate) fn store() -> Result<Namespace> {
    Namespace::new("admin", "system.roles")
}

/// Reads names.
pub(crate) fn read_all(scope: &str, names: RawArray<'_>, database: &str) -> Result<Vec<RoleName>> {
    names.iter().map(|name| RoleName::read(scope, name, database)).collect()
}

/// The roles that a command gives or takes.
pub(crate) fn given(request: &Request<'_>) -> Result<Vec<RoleName>> {
    let arguments = &request.arguments;
    let roles = arguments.required("roles", arguments.array("roles")?)?;
    arguments.finish()?;
    let roles = read_all(request.name, roles, request.database)?;
    if roles.is_empty() {
        return Err(Error::new(BAD_VALUE, format!("{} needs at least one role", request.name)));
    }
    Ok(roles)
}

/// The names that a stored document lists under `roles`.
pub(crate) fn stored_names(roles: Option<ValueRef<'_>>) -> Vec<RoleName> {
    let Some(ValueRef::Array(roles)) = roles else { return Vec::new() };
    let names = roles.iter().filter_map(|role| {
        let role = role.as_document()?;
        let text = |key: &str| role.get(key).and_then(ValueRef::as_str).map(str::to_owned);
        Some(RoleName { role: text("role")?, database: text("db")? })
    });
    names.collect()
}

/// Refuses names of roles that do not exist.
pub(crate) fn check(request: &Request<'_>, names: &[RoleName]) -> Result<()> {
    for name in names {
        if built_in::exists(&name.role, &name.database) {
            continue;
        }
        if stored::read_one(request.session.engine(), &store()?, &name.id())?.is_none() {
            return Err(Error::new(
                ROLE_NOT_FOUND,
                format!("there is no role {:?} in the database {:?}", name.role, name.database),
            ));
        }
    }
    Ok(())
}

/// Adds names that are not there yet.
pub(crate) fn add(known: &mut Vec<RoleName>, names: Vec<RoleName>) {
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
}
