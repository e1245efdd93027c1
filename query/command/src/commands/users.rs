//! The commands about users. They are kept in `admin.system.users` as MongoDB keeps them; doors do not ask for them yet.

use sheaf_document::{
    ArrayBuilder, Binary, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, Value, ValueRef,
};
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use crate::access::credentials::{self, MECHANISM, SALT_BYTES};
use crate::access::role_name::{self, RoleName};
use crate::arguments::{Arguments, BAD_VALUE};
use crate::listing::filtered;
use crate::request::Request;
use crate::stored;

/// There is no such user.
const USER_NOT_FOUND: ErrorCode = ErrorCode(11);
/// There is such a user already.
const USER_EXISTS: ErrorCode = ErrorCode(51_003);

/// Longest name of a user, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

fn store() -> Result<Namespace> {
    Namespace::new("admin", "system.users")
}

/// The name that the first field gives.
fn name<'a>(request: &Request<'a>) -> Result<&'a str> {
    let subject = request.subject();
    let ValueRef::String(name) = subject else {
        return Err(request.arguments.wrong_type(request.name, subject, "a string"));
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(Error::new(
            BAD_VALUE,
            format!("the name of a user has from 1 to {NAME_BYTES_MAX} bytes and no NUL character"),
        ));
    }
    Ok(name)
}

fn id(database: &str, name: &str) -> String {
    format!("{database}.{name}")
}

/// The stored user, who must exist.
fn existing(request: &Request<'_>, name: &str) -> Result<RawDocumentBuf> {
    let found = stored::read_one(request.session.engine(), &store()?, &id(request.database, name))?;
    found.ok_or_else(|| {
        Error::new(
            USER_NOT_FOUND,
            format!("there is no user {name:?} in the database {:?}", request.database),
        )
    })
}

fn random_bytes<const N: usize>(request: &Request<'_>) -> [u8; N] {
    let mut out = [0u8; N];
    for part in out.chunks_mut(8) {
        let random = request.commands().random().to_be_bytes();
        for (byte, random) in part.iter_mut().zip(random) {
            *byte = random;
        }
    }
    out
}

/// What `createUser` and `updateUser` may both give.
struct Given<'a> {
    credentials: Option<RawDocumentBuf>,
    custom_data: Option<RawDocument<'a>>,
    roles: Option<Vec<RoleName>>,
    restrictions: Option<RawArray<'a>>,
}

fn read<'a>(request: &Request<'a>) -> Result<Given<'a>> {
    let arguments = &request.arguments;
    let password = arguments.string("pwd")?;
    let custom_data = arguments.document("customData")?;
    let roles = arguments.array("roles")?;
    let restrictions = arguments.array("authenticationRestrictions")?;
    let mechanisms = arguments.array("mechanisms")?;
    if arguments.boolean("digestPassword")? == Some(false) {
        return Err(Error::new(BAD_VALUE, "SCRAM-SHA-256 needs the password itself, not its digest"));
    }
    arguments.finish()?;
    if let Some(mechanisms) = mechanisms {
        let only = mechanisms.iter().all(|mechanism| mechanism == ValueRef::String(MECHANISM));
        if mechanisms.is_empty() || !only {
            return Err(Error::new(BAD_VALUE, format!("the one mechanism is {MECHANISM}")));
        }
    }
    let roles = roles.map(|roles| role_name::read_all(request.name, roles, request.database)).transpose()?;
    role_name::check(request, roles.as_deref().unwrap_or_default())?;
    let credentials = password
        .map(|password| credentials::of_password(password, random_bytes::<SALT_BYTES>(request)))
        .transpose()?;
    Ok(Given { credentials, custom_data, roles, restrictions })
}

pub(crate) fn create(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let given = read(request)?;
    let roles = request.arguments.required("roles", given.roles)?;
    let credentials = match given.credentials {
        Some(credentials) => credentials,
        None if request.database == "$external" => RawDocumentBuf::new(),
        None => return Err(Error::new(BAD_VALUE, "createUser needs the field \"pwd\"")),
    };
    let id = id(request.database, name);
    if stored::read_one(request.session.engine(), &store()?, &id)?.is_some() {
        return Err(Error::new(
            USER_EXISTS,
            format!("there is a user {name:?} in the database {:?} already", request.database),
        ));
    }
    let user_id: [u8; 16] = uuid(random_bytes(request));
    let mut user = DocumentBuilder::new();
    user.append("_id", id);
    user.append_ref("userId", ValueRef::Binary(Binary { subtype: 4, bytes: &user_id }));
    user.append("user", name).append("db", request.database).append("credentials", credentials);
    if let Some(data) = given.custom_data {
        user.append("customData", data);
    }
    user.array("roles", |list| roles.iter().for_each(|role| role.append_to(list)));
    if let Some(restrictions) = given.restrictions {
        user.append_ref("authenticationRestrictions", ValueRef::Array(restrictions));
    }
    stored::put(request.session.engine(), &store()?, user.build().as_raw())?;
    Ok(DocumentBuilder::new())
}

/// Marks random bytes as a random UUID.
fn uuid(mut bytes: [u8; 16]) -> [u8; 16] {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    bytes
}

pub(crate) fn update(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let given = read(request)?;
    let nothing = given.credentials.is_none()
        && given.custom_data.is_none()
        && given.roles.is_none()
        && given.restrictions.is_none();
    if nothing {
        return Err(Error::new(BAD_VALUE, "updateUser needs something to change"));
    }
    let user = existing(request, name)?;
    let roles = given.roles.as_deref().map(list_of_roles);
    let mut changes: Vec<(&str, ValueRef<'_>)> = Vec::new();
    if let Some(credentials) = &given.credentials {
        changes.push(("credentials", ValueRef::Document(credentials.as_raw())));
    }
    if let Some(data) = given.custom_data {
        changes.push(("customData", ValueRef::Document(data)));
    }
    if let Some(roles) = &roles {
        changes.push(("roles", ValueRef::Array(roles.as_raw_array())));
    }
    if let Some(restrictions) = given.restrictions {
        changes.push(("authenticationRestrictions", ValueRef::Array(restrictions)));
    }
    put_changed(request, user.as_raw(), &changes)?;
    Ok(DocumentBuilder::new())
}

fn list_of_roles(roles: &[RoleName]) -> RawDocumentBuf {
    let mut list = ArrayBuilder::new();
    roles.iter().for_each(|role| role.append_to(&mut list));
    list.build()
}

/// Stores a user with other values of some fields.
fn put_changed(request: &Request<'_>, user: RawDocument<'_>, changes: &[(&str, ValueRef<'_>)]) -> Result<()> {
    let mut out = DocumentBuilder::new();
    for element in user {
        if changes.iter().all(|(key, _)| *key != element.key()) {
            out.append_element(element);
        }
    }
    for (key, value) in changes {
        out.append_ref(key, *value);
    }
    stored::put(request.session.engine(), &store()?, out.build().as_raw())
}

fn put_roles(request: &Request<'_>, user: RawDocument<'_>, roles: &[RoleName]) -> Result<()> {
    let list = list_of_roles(roles);
    put_changed(request, user, &[("roles", ValueRef::Array(list.as_raw_array()))])
}

pub(crate) fn drop_one(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    request.arguments.finish()?;
    existing(request, name)?;
    let filter = stored::by_id(&id(request.database, name));
    stored::delete(request.session.engine(), &store()?, filter.as_raw())?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn drop_all(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    let filter = stored::equal("db", &Value::from(request.database));
    let dropped = stored::delete(request.session.engine(), &store()?, filter.as_raw())?;
    let mut body = DocumentBuilder::new();
    body.append("n", i32::try_from(dropped).unwrap_or(i32::MAX));
    Ok(body)
}

pub(crate) fn grant_roles(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let granted = role_name::given(request)?;
    role_name::check(request, &granted)?;
    let user = existing(request, name)?;
    let mut roles = role_name::stored_names(user.as_raw().get("roles"));
    role_name::add(&mut roles, granted);
    put_roles(request, user.as_raw(), &roles)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn revoke_roles(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = name(request)?;
    let revoked = role_name::given(request)?;
    role_name::check(request, &revoked)?;
    let user = existing(request, name)?;
    let mut roles = role_name::stored_names(user.as_raw().get("roles"));
    roles.retain(|role| !revoked.contains(role));
    put_roles(request, user.as_raw(), &roles)?;
    Ok(DocumentBuilder::new())
}

/// Takes roles that are gone from every user.
pub(crate) fn forget_roles(request: &Request<'_>, gone: &[RoleName]) -> Result<()> {
    for user in stored::read(request.session.engine(), &store()?, RawDocument::EMPTY)? {
        let mut roles = role_name::stored_names(user.as_raw().get("roles"));
        let before = roles.len();
        roles.retain(|role| !gone.contains(role));
        if roles.len() < before {
            put_roles(request, user.as_raw(), &roles)?;
        }
    }
    Ok(())
}

/// Nothing is remembered between two commands.
pub(crate) fn invalidate_cache(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    Ok(DocumentBuilder::new())
}

/// `{usersInfo: 1 | name | {user, db} | [..] | {forAllDBs: true}, showCredentials, showCustomData, filter, ..}`.
pub(crate) fn info(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let show_credentials = arguments.flag("showCredentials")?.unwrap_or(false);
    let show_custom_data = arguments.flag("showCustomData")?.unwrap_or(true);
    let show_restrictions = arguments.flag("showAuthenticationRestrictions")?.unwrap_or(false);
    let filter = arguments.document("filter")?;
    if arguments.flag("showPrivileges")? == Some(true) {
        return Err(Error::new(
            sheaf_engine::error_code::NOT_IMPLEMENTED,
            "usersInfo does not say what roles allow; rolesInfo lists the privileges of roles",
        ));
    }
    arguments.finish()?;
    let shown = wanted(request)?
        .into_iter()
        .map(|user| show(user.as_raw(), show_credentials, show_custom_data, show_restrictions))
        .collect();
    let shown = filtered(request, shown, filter)?;
    let mut body = DocumentBuilder::new();
    body.array("users", |list| {
        for user in &shown {
            list.push_ref(ValueRef::Document(user.as_raw()));
        }
    });
    Ok(body)
}

/// The stored users that `usersInfo` is about.
fn wanted(request: &Request<'_>) -> Result<Vec<RawDocumentBuf>> {
    let engine = request.session.engine();
    let one = |value: ValueRef<'_>| -> Result<Option<RawDocumentBuf>> {
        let id = match value {
            ValueRef::String(name) => id(request.database, name),
            ValueRef::Document(document) => {
                let arguments = Arguments::new("usersInfo", document)?;
                let user = arguments.required("user", arguments.string("user")?)?;
                let database = arguments.required("db", arguments.string("db")?)?;
                arguments.finish()?;
                id(database, user)
            }
            other => {
                return Err(request.arguments.wrong_type(request.name, other, "a name or {user, db}"));
            }
        };
        stored::read_one(engine, &store()?, &id)
    };
    match request.subject() {
        number if number.kind().is_number() => {
            let filter = stored::equal("db", &Value::from(request.database));
            stored::read(engine, &store()?, filter.as_raw())
        }
        ValueRef::Document(document) if document.get("forAllDBs").is_some() => {
            stored::read(engine, &store()?, RawDocument::EMPTY)
        }
        ValueRef::Array(users) => {
            Ok(users.iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        }
        other => Ok(one(other)?.into_iter().collect()),
    }
}

fn show(
    user: RawDocument<'_>,
    show_credentials: bool,
    show_custom_data: bool,
    show_restrictions: bool,
) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    for element in user {
        let is_shown = match element.key() {
            "credentials" => show_credentials,
            "customData" => show_custom_data,
            "authenticationRestrictions" => show_restrictions,
            _ => true,
        };
        if is_shown {
            out.append_element(element);
        }
    }
    if user.get("credentials").and_then(ValueRef::as_document).is_some_and(|own| !own.is_empty()) {
        out.array("mechanisms", |mechanisms| {
            mechanisms.push(MECHANISM);
        });
    }
    out.build()
}
