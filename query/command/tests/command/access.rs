//! Users and roles: kept, checked, shown without what is secret.

use crate::support::{code, commands, ok, run, text};

#[test]
fn users_are_kept_with_credentials_that_are_shown_on_request() {
    let session = commands().connect();
    ok(
        &session,
        "shop",
        r#"{"createUser": "ada", "pwd": "secret", "roles": ["read"], "customData": {"n": 1}}"#,
    );
    let twice = run(&session, "shop", r#"{"createUser": "ada", "pwd": "x", "roles": []}"#);
    assert_eq!(code(&twice), Some(51_003));
    let shown = text(&ok(&session, "shop", r#"{"usersInfo": "ada"}"#));
    assert!(shown.contains(r#""roles":[{"role":"read","db":"shop"}]"#), "{shown}");
    assert!(
        shown.contains("SCRAM-SHA-256") && !shown.contains("storedKey") && !shown.contains("secret"),
        "{shown}"
    );
    let all = text(&ok(&session, "shop", r#"{"usersInfo": 1, "showCredentials": true}"#));
    assert!(all.contains(r#""iterationCount":15000"#) && all.contains("storedKey"), "{all}");
    assert!(!text(&ok(&session, "other", r#"{"usersInfo": 1}"#)).contains("ada"));
    ok(&session, "shop", r#"{"grantRolesToUser": "ada", "roles": [{"role": "readWrite", "db": "other"}]}"#);
    ok(&session, "shop", r#"{"revokeRolesFromUser": "ada", "roles": ["read"]}"#);
    let shown = text(&ok(&session, "shop", r#"{"usersInfo": {"user": "ada", "db": "shop"}}"#));
    assert!(shown.contains(r#""roles":[{"role":"readWrite","db":"other"}]"#), "{shown}");
    ok(&session, "shop", r#"{"dropUser": "ada"}"#);
    assert_eq!(code(&run(&session, "shop", r#"{"dropUser": "ada"}"#)), Some(11));
}

#[test]
fn what_is_wrong_about_a_user_is_refused() {
    let session = commands().connect();
    for (command, expected) in [
        (r#"{"createUser": "", "pwd": "x", "roles": []}"#, 2),
        (r#"{"createUser": 1, "pwd": "x", "roles": []}"#, 14),
        (r#"{"createUser": "a", "roles": []}"#, 2),
        (r#"{"createUser": "a", "pwd": "", "roles": []}"#, 2),
        (r#"{"createUser": "a", "pwd": "x"}"#, 40_414),
        (r#"{"createUser": "a", "pwd": "x", "roles": ["nobodyHasThis"]}"#, 31),
        (r#"{"createUser": "a", "pwd": "x", "roles": [1]}"#, 2),
        (r#"{"createUser": "a", "pwd": "x", "roles": [], "mechanisms": ["SCRAM-SHA-1"]}"#, 2),
        (r#"{"createUser": "a", "pwd": "x", "roles": [], "other": 1}"#, 40_415),
        (r#"{"updateUser": "a"}"#, 2),
        (r#"{"updateUser": "a", "pwd": "x"}"#, 11),
    ] {
        assert_eq!(code(&run(&session, "shop", command)), Some(expected), "{command}");
    }
    assert!(text(&ok(&session, "shop", r#"{"usersInfo": 1}"#)).contains(r#""users":[]"#), "nobody was made");
}

#[test]
fn roles_contain_privileges_and_other_roles() {
    let session = commands().connect();
    let find = r#"{"resource": {"db": "shop", "collection": ""}, "actions": ["find"]}"#;
    ok(&session, "shop", &format!(r#"{{"createRole": "base", "privileges": [{find}], "roles": []}}"#));
    ok(&session, "shop", r#"{"createRole": "top", "privileges": [], "roles": ["base"]}"#);
    let circle = run(&session, "shop", r#"{"grantRolesToRole": "base", "roles": ["top"]}"#);
    assert_eq!(code(&circle), Some(93));
    let shown = text(&ok(&session, "shop", r#"{"rolesInfo": "top", "showPrivileges": true}"#));
    assert!(shown.contains(r#""inheritedPrivileges":[{"resource":{"db":"shop","collection":""}"#), "{shown}");
    ok(&session, "shop", &format!(r#"{{"revokePrivilegesFromRole": "base", "privileges": [{find}]}}"#));
    let shown = text(&ok(&session, "shop", r#"{"rolesInfo": "base", "showPrivileges": true}"#));
    assert!(shown.contains(r#""privileges":[]"#), "{shown}");
    ok(&session, "shop", r#"{"createUser": "ada", "pwd": "x", "roles": ["base", "top"]}"#);
    ok(&session, "shop", r#"{"dropRole": "base"}"#);
    let user = text(&ok(&session, "shop", r#"{"usersInfo": "ada"}"#));
    assert!(user.contains(r#""roles":[{"role":"top","db":"shop"}]"#), "{user}");
    let top = text(&ok(&session, "shop", r#"{"rolesInfo": "top"}"#));
    assert!(top.contains(r#""roles":[],"inheritedRoles":[]"#), "{top}");
    assert_eq!(code(&run(&session, "shop", r#"{"dropRole": "read"}"#)), Some(93));
    let bad =
        r#"{"createRole": "r", "privileges": [{"resource": {"x": 1}, "actions": ["find"]}], "roles": []}"#;
    assert_eq!(code(&run(&session, "shop", bad)), Some(2));
}
