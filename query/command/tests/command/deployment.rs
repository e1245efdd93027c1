//! Cluster parameters and query settings.

use sheaf_command::{Commands, Identity};

use crate::support::{batch, code, commands, ok, run, text};

#[test]
fn cluster_parameters_survive_their_server() {
    let first = commands();
    let session = first.connect();
    let shown = text(&ok(&session, "admin", r#"{"getClusterParameter": "changeStreams"}"#));
    assert!(shown.contains(r#""expireAfterSeconds":3600"#), "{shown}");
    ok(&session, "admin", r#"{"setClusterParameter": {"changeStreams": {"expireAfterSeconds": 60}}}"#);
    let again = Commands::new(first.database().clone(), Identity::default()).connect();
    let shown = text(&ok(&again, "admin", r#"{"getClusterParameter": ["changeStreams"]}"#));
    assert!(shown.contains(r#""expireAfterSeconds":60"#), "{shown}");
    for (command, expected) in [
        (r#"{"setClusterParameter": {"changeStreams": {"expireAfterSeconds": 0}}}"#, 2),
        (r#"{"setClusterParameter": {"changeStreams": {"other": 1}}}"#, 40_415),
        (r#"{"setClusterParameter": {"nobodyHasThis": {}}}"#, 4),
        (r#"{"getClusterParameter": []}"#, 2),
    ] {
        assert_eq!(code(&run(&again, "admin", command)), Some(expected), "{command}");
    }
}

#[test]
fn reads_that_bring_no_time_limit_get_the_default() {
    let session = commands().connect();
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1}]}"#);
    let slow = r#"{"aggregate": 1, "cursor": {}, "pipeline": [
        {"$documents": {"$map": {"input": {"$range": [0, 2000]}, "in": {"a": 1}}}},
        {"$lookup": {"as": "b", "let": {"v": "$a"}, "pipeline": [
            {"$documents": {"$map": {"input": {"$range": [0, 2000]}, "in": {"c": 1}}}},
            {"$match": {"$expr": {"$lte": ["$c", "$$v"]}}},
            {"$group": {"_id": null, "n": {"$sum": "$c"}}}]}},
        {"$group": {"_id": null, "n": {"$sum": 1}}}]}"#;
    ok(&session, "admin", r#"{"setClusterParameter": {"defaultMaxTimeMS": {"readOperations": 20}}}"#);
    assert_eq!(code(&run(&session, "shop", slow)), Some(50));
    ok(&session, "shop", r#"{"find": "a"}"#);
}

#[test]
fn settings_refuse_queries_of_a_shape() {
    let first = commands();
    let session = first.connect();
    let query = r#"{"find": "a", "filter": {"x": 1}, "$db": "shop"}"#;
    ok(&session, "admin", &format!(r#"{{"setQuerySettings": {query}, "settings": {{"reject": true}}}}"#));
    let find = r#"{"find": "a", "filter": {"x": 77}}"#;
    assert_eq!(code(&run(&session, "shop", find)), Some(411));
    ok(&session, "shop", r#"{"find": "a", "filter": {"x": "77"}}"#);
    ok(&session, "other", find);
    let again = Commands::new(first.database().clone(), Identity::default()).connect();
    assert_eq!(code(&run(&again, "shop", find)), Some(411), "settings survive their server");
    let listed =
        ok(&again, "admin", r#"{"aggregate": 1, "cursor": {}, "pipeline": [{"$querySettings": {}}]}"#);
    assert!(batch(&listed)[0].contains(r#""reject":true"#));
    ok(&again, "admin", &format!(r#"{{"removeQuerySettings": {query}}}"#));
    ok(&again, "shop", find);
}

#[test]
fn settings_name_the_index_of_a_shape() {
    let session = commands().connect();
    ok(&session, "shop", r#"{"insert": "a", "documents": [{"_id": 1, "x": 1, "y": 1}]}"#);
    ok(
        &session,
        "shop",
        r#"{"createIndexes": "a", "indexes": [{"key": {"x": 1}, "name": "x_1"}, {"key": {"y": 1}, "name": "y_1"},
            {"key": {"y": -1}, "name": "sparse", "sparse": true}]}"#,
    );
    let used = |session: &_, index: &str| -> String {
        let stats = r#"{"aggregate": "a", "cursor": {}, "pipeline": [{"$indexStats": {}}, {"$match": {"name": "@"}}]}"#;
        batch(&ok(session, "shop", &stats.replace('@', index))).remove(0)
    };
    for index in ["y_1", "sparse", "nobodyHasThis"] {
        let set = format!(
            r#"{{"setQuerySettings": {{"find": "a", "filter": {{"x": 1, "y": 1}}, "$db": "shop"}}, "settings":
                {{"indexHints": {{"ns": {{"db": "shop", "coll": "a"}}, "allowedIndexes": ["{index}"]}}}}}}"#
        );
        ok(&session, "admin", &set);
        let found = ok(&session, "shop", r#"{"find": "a", "filter": {"x": 1, "y": 1}}"#);
        assert_eq!(batch(&found).len(), 1, "{index}");
    }
    assert!(used(&session, "y_1").contains("y_1"));
}
