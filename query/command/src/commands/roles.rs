//! The commands about roles. Those that are made here are kept in `admin.system.roles` as MongoDB keeps them.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result};

use crate::access::built_in;
use crate::access::privilege::{self, Privilege};
use crate::access::role_name::{self, ROLE_NOT_FOUND, RoleName};
use crate::arguments::BAD_VALUE;
use crate::commands::users;
use crate::request::Request;
use crate::stored;

/// There is such a role already.
const ROLE_EXISTS: ErrorCode = ErrorCode(51_002);
/// A role that is always there cannot be changed, and none may contain itself.
const INVALID_ROLE_MODIFICATION: ErrorCode = ErrorCode(93);

/// Roles inside roles that are followed.
const DEPTH_MAX: usize = 100;

/// A role that was made here.
struct Role {
    name: RoleName,
    privileges: Vec<Privilege>,
    roles: Vec<RoleName>,
    restrictions: Option<RawDocumentBuf>,
}

impl Role {
    fn from_stored(document: RawDocument<'_>, name: RoleName) -> Result<Self> {
        let restrictions = document.get("authenticationRestrictions").and_then(ValueRef::as_array);
        Ok(Self {
            name,
            privileges: privilege::stored(document.get("privileges"))?,
            roles: role_name::stored_names(document.get("roles")),
            restrictions: restrictions.map(copied),
        })
    }

    fn put(&self, request: &Request<'_>) -> Result<()> {
        let mut out = DocumentBuilder::new();
        out.append("_id", self.name.id());
        self.append_to(&mut out);
        stored::put(request.session.engine(), &role_name::store()?, out.build().as_raw())
    }

    fn append_to(&self, out: &mut DocumentBuilder) {
        out.append("role", self.name.role.as_str()).append("db", self.name.database.as_str());
        out.array("privileges", |list| privilege::append_all(&self.privileges, list));
        out.array("roles", |list| self.roles.iter().for_each(|role| role.append_to(list)));
        if let Some(restrictions) = &self.restrictions {
            out.append_ref("authenticationRestrictions", ValueRef::Array(restrictions.as_raw_array()));
        }
    }
}

fn copied(array: RawArray<'_>) -> RawDocumentBuf {
    let mut list = ArrayBuilder::new();
    for item in array.iter() {
        list.push_ref(item);
    }
    list.build()
}

/// The name that the first field gives, of a role that may be changed.
fn name(request: &Request<'_>) -> Result<RoleName> {
    let subject = request.subject();
    let ValueRef::String(role) = subject else {
        return Err(request.arguments.wrong_type(request.name, subject, "a string"));
    };
    if role.is_empty() || role.contains('\0') {
        return Err(Error::new(BAD_VALUE, "the name of a role must not be empty, nor have a NUL character"));
    }
    if built_in::exists(role, request.database) {
        return Err(Error::new(
            INVALID_ROLE_MODIFICATION,
            format!("the role {role:?} of {:?} is always there and stays as it is", request.database),
        ));
    }
    Ok(RoleName { role: role.to_owned(), database: request.database.to_owned() })
}

fn find(request: &Request<'_>, name: &RoleName) -> Result<Option<Role>> {
    let found = stored::read_one(request.session.engine(), &role_name::store()?, &name.id())?;
    found.map(|document| Role::from_stored(document.as_raw(), name.clone())).transpose()
}

fn existing(request: &Request<'_>, name: &RoleName) -> Result<Role> {
    find(request, name)?.ok_or_else(|| {
        Error::new(
            ROLE_NOT_FOUND,
            format!("there is no role {:?} in the database {:?}", name.role, name.database),
        )
    })
}

/// What `createRole` and `updateRole` may both give.
struct Given {
    privileges: Option<Vec<Privilege>>,
    roles: Option<Vec<RoleName>>,
    restrictions: Option<RawDocumentBuf>,
}

fn read(request: &Request<'_>, name: &RoleName) -> Result<Given> {
    let arguments = &request.arguments;
    let privileges = arguments.array("privileges")?;
    let roles = arguments.array("roles")?;
    let restrictions = arguments.array("authenticationRestrictions")?.map(copied);
    arguments.finish()?;
    let privileges = privileges.map(|list| privilege::read_all(request.name, list)).transpose()?;
    let roles = roles.map(|list| role_name::read_all(request.name, list, request.database)).transpose()?;
    check_roles(request, name, roles.as_deref().unwrap_or_default())?;
    Ok(Given { privileges, roles, restrictions })
}

/// The roles must exist, and the role must not be reached from them.
fn check_roles(request: &Request<'_>, name: &RoleName, roles: &[RoleName]) -> Result<()> {
    role_name::check(request, roles)?;
    let reached = inherited(request, roles)?;
    if roles.contains(name) || reached.contains(name) {
        return Err(Error::new(
            INVALID_ROLE_MODIFICATION,
            format!("the role {:?} would contain itself", name.role),
        ));
    }
    Ok(())
}

/// Every role that these contain, themselves included.
fn inherited(request: &Request<'_>, roles: &[RoleName]) -> Result<Vec<RoleName>> {
    let mut all: Vec<RoleName> = Vec::new();
    let mut next = roles.to_vec();
    for _ in 0..DEPTH_MAX {
        let mut further = Vec::new();
        for role in std::mem::take(&mut next) {
            if all.contains(&role) {
                continue;
            }
            if let Some(found) = find(request, &role)? {
                further.extend(found.roles);
            }
            all.push(role);
        }
        if further.is_empty() {
            return Ok(all);
        }
        next = further;
    }
    Err(Error::new(INVALID_ROLE_MODIFICATION, format!("roles contain roles more than {DEPTH_MAX} deep")))
}

pub(crate) fn create(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let given = read(request, &name)?;
    let arguments = &request.arguments;
    let privileges = arguments.required("privileges", given.privileges)?;
    let roles = arguments.required("roles", given.roles)?;
    if find(request, &name)?.is_some() {
        return Err(Error::new(
            ROLE_EXISTS,
            format!("there is a role {:?} in the database {:?} already", name.role, name.database),
        ));
    }
    Role { name, privileges, roles, restrictions: given.restrictions }.put(request)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn update(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let given = read(request, &name)?;
    if given.privileges.is_none() && given.roles.is_none() && given.restrictions.is_none() {
        return Err(Error::new(BAD_VALUE, "updateRole needs something to change"));
    }
    let before = existing(request, &name)?;
    let after = Role {
        name,
        privileges: given.privileges.unwrap_or(before.privileges),
        roles: given.roles.unwrap_or(before.roles),
        restrictions: given.restrictions.or(before.restrictions),
    };
    after.put(request)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn drop_one(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    request.arguments.finish()?;
    existing(request, &name)?;
    drop_roles(request, &[name])?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn drop_all(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let names: Vec<RoleName> = of_database(request)?.into_iter().map(|role| role.name).collect();
    drop_roles(request, &names)?;
    let mut body = DocumentBuilder::new();
    body.append("n", i32::try_from(names.len()).unwrap_or(i32::MAX));
    Ok(body)
}

/// The roles of the database that were made here.
fn of_database(request: &Request<'_>) -> Result<Vec<Role>> {
    let filter = stored::equal("db", &Value::from(request.database));
    let found = stored::read(request.session.engine(), &role_name::store()?, filter.as_raw())?;
    found.iter().map(|document| from_document(document.as_raw())).collect()
}

fn from_document(document: RawDocument<'_>) -> Result<Role> {
    let text = |key: &str| document.get(key).and_then(ValueRef::as_str).unwrap_or_default().to_owned();
    Role::from_stored(document, RoleName { role: text("role"), database: text("db") })
}

/// Drops roles; they go from the users and roles that have them, before they go themselves.
fn drop_roles(request: &Request<'_>, names: &[RoleName]) -> Result<()> {
    users::forget_roles(request, names)?;
    let engine = request.session.engine();
    for document in stored::read(engine, &role_name::store()?, RawDocument::EMPTY)? {
        let mut role = from_document(document.as_raw())?;
        let before = role.roles.len();
        role.roles.retain(|inner| !names.contains(inner));
        if role.roles.len() < before {
            role.put(request)?;
        }
    }
    for name in names {
        stored::delete(engine, &role_name::store()?, stored::by_id(&name.id()).as_raw())?;
    }
    Ok(())
}

/// The privileges that a command gives or takes.
fn named_privileges(request: &Request<'_>) -> Result<Vec<Privilege>> {
    let arguments = &request.arguments;
    let privileges = arguments.required("privileges", arguments.array("privileges")?)?;
    arguments.finish()?;
    let privileges = privilege::read_all(request.name, privileges)?;
    if privileges.is_empty() {
        return Err(Error::new(BAD_VALUE, format!("{} needs at least one privilege", request.name)));
    }
    Ok(privileges)
}

pub(crate) fn grant_privileges(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let privileges = named_privileges(request)?;
    let mut role = existing(request, &name)?;
    privilege::add(&mut role.privileges, privileges);
    role.put(request)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn revoke_privileges(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let privileges = named_privileges(request)?;
    let mut role = existing(request, &name)?;
    privilege::take(&mut role.privileges, &privileges);
    role.put(request)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn grant_roles(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let roles = role_name::given(request)?;
    check_roles(request, &name, &roles)?;
    let mut role = existing(request, &name)?;
    role_name::add(&mut role.roles, roles);
    role.put(request)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn revoke_roles(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let roles = role_name::given(request)?;
    let mut role = existing(request, &name)?;
    role.roles.retain(|inner| !roles.contains(inner));
    role.put(request)?;
    Ok(DocumentBuilder::new())
}

/// `{rolesInfo: 1 | name | {role, db} | [..], showPrivileges, showBuiltinRoles, showAuthenticationRestrictions}`.
pub(crate) fn info(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let show_privileges = arguments.flag("showPrivileges")?.unwrap_or(false);
    let show_built_in = arguments.flag("showBuiltinRoles")?.unwrap_or(false);
    let show_restrictions = arguments.flag("showAuthenticationRestrictions")?.unwrap_or(false);
    arguments.finish()?;
    let shown = wanted(request, show_built_in)?
        .iter()
        .map(|role| show(request, role, show_privileges, show_restrictions))
        .collect::<Result<Vec<_>>>()?;
    let mut body = DocumentBuilder::new();
    body.array("roles", |list| {
        for role in &shown {
            list.push_ref(ValueRef::Document(role.as_raw()));
        }
    });
    Ok(body)
}

/// The roles that `rolesInfo` is about.
fn wanted(request: &Request<'_>, show_built_in: bool) -> Result<Vec<Role>> {
    let always_there =
        |name: RoleName| Role { name, privileges: Vec::new(), roles: Vec::new(), restrictions: None };
    let one = |value: ValueRef<'_>| -> Result<Option<Role>> {
        let name = RoleName::read(request.name, value, request.database)?;
        if built_in::exists(&name.role, &name.database) {
            return Ok(Some(always_there(name)));
        }
        find(request, &name)
    };
    match request.subject() {
        number if number.kind().is_number() => {
            let mut roles = of_database(request)?;
            if show_built_in {
                roles.extend(built_in::of_database(request.database).into_iter().map(|role| {
                    always_there(RoleName { role: role.to_owned(), database: request.database.to_owned() })
                }));
            }
            Ok(roles)
        }
        ValueRef::Array(names) => {
            Ok(names.iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        }
        other => Ok(one(other)?.into_iter().collect()),
    }
}

fn show(
    request: &Request<'_>,
    role: &Role,
    show_privileges: bool,
    show_restrictions: bool,
) -> Result<RawDocumentBuf> {
    let is_built_in = built_in::exists(&role.name.role, &role.name.database);
    let inherited = inherited(request, &role.roles)?;
    let mut out = DocumentBuilder::new();
    if !is_built_in {
        out.append("_id", role.name.id());
    }
    out.append("role", role.name.role.as_str()).append("db", role.name.database.as_str());
    out.append("isBuiltin", is_built_in);
    out.array("roles", |list| role.roles.iter().for_each(|inner| inner.append_to(list)));
    out.array("inheritedRoles", |list| inherited.iter().for_each(|inner| inner.append_to(list)));
    if show_privileges && !is_built_in {
        let mut all = role.privileges.clone();
        for inner in &inherited {
            if let Some(inner) = find(request, inner)? {
                privilege::add(&mut all, inner.privileges);
            }
        }
        out.array("privileges", |list| privilege::append_all(&role.privileges, list));
        out.array("inheritedPrivileges", |list| privilege::append_all(&all, list));
    }
    if let Some(restrictions) = role.restrictions.as_ref().filter(|_| show_restrictions) {
        out.append_ref("authenticationRestrictions", ValueRef::Array(restrictions.as_raw_array()));
    }
    Ok(out.build())
}
