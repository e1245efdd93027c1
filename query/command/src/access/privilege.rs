//! Privileges: actions on a resource.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::{Error, Result};

use crate::arguments::{Arguments, BAD_VALUE};

/// Actions on a resource.
#[derive(Clone, Debug)]
pub(crate) struct Privilege {
    pub(crate) resource: RawDocumentBuf,
    /// In their order, each once.
    pub(crate) actions: Vec<String>,
}

impl Privilege {
    fn read(scope: &str, value: ValueRef<'_>) -> Result<Self> {
        let ValueRef::Document(document) = value else {
            return Err(Error::new(
                BAD_VALUE,
                format!("{scope}: a privilege is a document, not of type {}", value.kind().name()),
            ));
        };
        let arguments = Arguments::new(scope, document)?;
        let resource = arguments.required("resource", arguments.document("resource")?)?;
        let actions = arguments.required("actions", arguments.array("actions")?)?;
        arguments.finish()?;
        check_resource(scope, resource)?;
        let mut names = Vec::new();
        for action in actions.iter() {
            let name = action.as_str().filter(|name| !name.is_empty()).ok_or_else(|| {
                Error::new(BAD_VALUE, format!("{scope}.actions: an action is a name, not {action:?}"))
            })?;
            names.push(name.to_owned());
        }
        if names.is_empty() {
            return Err(Error::new(BAD_VALUE, format!("{scope}: a privilege needs at least one action")));
        }
        names.sort();
        names.dedup();
        Ok(Self { resource: resource.to_buf(), actions: names })
    }

    fn append_to(&self, list: &mut ArrayBuilder) {
        list.document(|out: &mut DocumentBuilder| {
            out.append("resource", self.resource.clone());
            out.array("actions", |actions| {
                for action in &self.actions {
                    actions.push(action.as_str());
                }
            });
        });
    }
}

/// `{cluster: true}`, `{anyResource: true}`, or a database and a collection of which either may be empty for any.
fn check_resource(scope: &str, resource: RawDocument<'_>) -> Result<()> {
    let fields: Vec<(&str, ValueRef<'_>)> =
        resource.iter().map(|element| (element.key(), element.value())).collect();
    let is_known = match fields.as_slice() {
        [("cluster" | "anyResource", ValueRef::Boolean(true))] => true,
        fields => {
            let named = |name: &str| fields.iter().any(|(key, _)| *key == name);
            let texts = fields.iter().all(|(key, value)| {
                matches!(*key, "db" | "collection" | "system_buckets") && value.as_str().is_some()
            });
            texts && (named("db") && named("collection") || named("system_buckets"))
        }
    };
    if is_known {
        return Ok(());
    }
    Err(Error::new(
        BAD_VALUE,
        format!("{scope}.resource is {{db, collection}}, {{cluster: true}} or {{anyResource: true}}"),
    ))
}

/// Reads privileges; those on one resource become one.
pub(crate) fn read_all(scope: &str, values: RawArray<'_>) -> Result<Vec<Privilege>> {
    let mut all = Vec::new();
    for value in values.iter() {
        add(&mut all, vec![Privilege::read(scope, value)?]);
    }
    Ok(all)
}

/// The privileges of a stored role.
pub(crate) fn stored(privileges: Option<ValueRef<'_>>) -> Result<Vec<Privilege>> {
    match privileges {
        Some(ValueRef::Array(privileges)) => read_all("privileges", privileges),
        _ => Ok(Vec::new()),
    }
}

/// Adds actions, to a resource that is there or with it.
pub(crate) fn add(known: &mut Vec<Privilege>, privileges: Vec<Privilege>) {
    for privilege in privileges {
        match known.iter_mut().find(|known| known.resource == privilege.resource) {
            Some(known) => {
                known.actions.extend(privilege.actions);
                known.actions.sort();
                known.actions.dedup();
            }
            None => known.push(privilege),
        }
    }
}

/// Takes actions away; a resource goes with its last one.
pub(crate) fn take(known: &mut Vec<Privilege>, privileges: &[Privilege]) {
    for privilege in privileges {
        for known in known.iter_mut().filter(|known| known.resource == privilege.resource) {
            known.actions.retain(|action| !privilege.actions.contains(action));
        }
    }
    known.retain(|privilege| !privilege.actions.is_empty());
}

/// Writes privileges.
pub(crate) fn append_all(privileges: &[Privilege], list: &mut ArrayBuilder) {
    for privilege in privileges {
        privilege.append_to(list);
    }
}
