//! Which cases are about the server, and why the others are not run here.

use std::fmt;

use bson::{Bson, Document};

use super::file::{Case, File};

/// The version of MongoDB whose behaviour is spoken, and how the server presents itself.
const VERSION: [i64; 3] = [8, 2, 4];
const TOPOLOGY: &str = "replicaset";

/// Operations of the format that look into the driver.
const DRIVER_OPERATIONS: [&str; 8] = [
    "assertDifferentLsidOnLastTwoCommands",
    "assertNumberConnectionsCheckedOut",
    "assertSameLsidOnLastTwoCommands",
    "assertSessionDirty",
    "assertSessionNotDirty",
    "assertSessionPinned",
    "assertSessionTransactionState",
    "assertSessionUnpinned",
];

/// Why a case is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It makes the server fail on purpose, to see what the driver does about it.
    FailPoint,
    /// It expects the driver to refuse before anything is sent.
    RefusedByDriver,
    /// It asks the driver about its sessions or connections.
    StateOfDriver,
    /// It is for servers of another version.
    OtherVersion,
    /// It is for a server alone, or for a cluster behind a router or load balancer.
    OtherTopology,
    /// It needs a parameter that only builds for testing have.
    TestParameter,
    /// Server-side JavaScript, which is refused here.
    JavaScript,
    /// The suite itself leaves it out.
    LeftOut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailPoint => "fail point",
            Self::RefusedByDriver => "refused by the driver",
            Self::StateOfDriver => "state of the driver",
            Self::OtherVersion => "other version",
            Self::OtherTopology => "other topology",
            Self::TestParameter => "test parameter",
            Self::JavaScript => "server-side JavaScript",
            Self::LeftOut => "left out by the suite",
        })
    }
}

/// Why a case is not run here; `None` for those whose outcome is the server's.
pub fn not_run(file: &File, case: &Case) -> Option<Reason> {
    if case.skip_reason.is_some() {
        return Some(Reason::LeftOut);
    }
    if let Some(reason) = unmet(&file.requirements).or_else(|| unmet(&case.requirements)) {
        return Some(reason);
    }
    case.operations.iter().find_map(|operation| {
        let name = operation.get_str("name").unwrap_or_default();
        if name == "failPoint" {
            return Some(Reason::FailPoint);
        }
        if DRIVER_OPERATIONS.contains(&name) {
            return Some(Reason::StateOfDriver);
        }
        if name == "mapReduce" {
            return Some(Reason::JavaScript);
        }
        // GridFS is made of operations that the small client makes itself, so it knows its refusals.
        let is_refused = operation
            .get_document("expectError")
            .is_ok_and(|error| error.get_bool("isClientError").unwrap_or(false));
        let is_own = file.name.starts_with("gridfs/") || name == "createCommandCursor";
        (is_refused && !is_own).then_some(Reason::RefusedByDriver)
    })
}

/// Why none of the requirements is met; one that is met is enough, and none at all is fine.
fn unmet(requirements: &[Document]) -> Option<Reason> {
    let mut reasons = requirements.iter().map(check);
    let first = reasons.next()?;
    std::iter::once(first)
        .chain(reasons)
        .try_fold(None, |known, reason| match reason {
            None => Err(()),
            Some(reason) => Ok(known.or(Some(reason))),
        })
        .unwrap_or(None)
}

fn check(requirement: &Document) -> Option<Reason> {
    let bound = |key: &str| requirement.get_str(key).ok().map(version);
    if bound("minServerVersion").is_some_and(|least| VERSION < least)
        || bound("maxServerVersion").is_some_and(|most| VERSION > most)
    {
        return Some(Reason::OtherVersion);
    }
    if let Ok(topologies) = requirement.get_array("topologies")
        && !topologies.iter().any(|topology| topology.as_str() == Some(TOPOLOGY))
    {
        return Some(Reason::OtherTopology);
    }
    let parameters = requirement.get_document("serverParameters");
    let asks_for_test_build = parameters
        .is_ok_and(|parameters| parameters.iter().any(|(_, value)| matches!(value, Bson::Boolean(true))));
    if asks_for_test_build {
        return Some(Reason::TestParameter);
    }
    None
}

fn version(text: &str) -> [i64; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
