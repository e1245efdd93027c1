//! The plan in an explain reply, in one line: `LIMIT <- FETCH <- IXSCAN country_population {...}`.

use sheaf_document::{RawDocument, ValueRef, json};

/// The winning plan's stages from the last to the first, with the index and bounds of a scan.
pub fn outline(explain: RawDocument<'_>) -> Result<String, String> {
    let plan = find_plan(explain).ok_or("the explain reply has no winning plan")?;
    let mut stages = pipeline_stages(explain);
    describe(plan, &mut stages);
    Ok(stages.join(" <- "))
}

/// The stages of a pipeline that run behind the plan, last to first.
fn pipeline_stages(explain: RawDocument<'_>) -> Vec<String> {
    let stages = explain.get("stages").and_then(ValueRef::as_array);
    let mut names: Vec<String> = stages
        .iter()
        .flat_map(|stages| stages.iter())
        .filter_map(ValueRef::as_document)
        .filter_map(|stage| stage.first().map(|first| first.key().to_owned()))
        .filter(|name| name != "$cursor")
        .collect();
    names.reverse();
    names
}

/// `queryPlanner.winningPlan`, at the top or inside the first stage of an aggregation.
fn find_plan(explain: RawDocument<'_>) -> Option<RawDocument<'_>> {
    if let Some(planner) = explain.get("queryPlanner").and_then(ValueRef::as_document) {
        return planner.get("winningPlan")?.as_document();
    }
    let first = explain.get("stages")?.as_array()?.get(0)?.as_document()?;
    find_plan(first.get("$cursor")?.as_document()?)
}

fn describe(stage: RawDocument<'_>, stages: &mut Vec<String>) {
    let name = stage.get("stage").and_then(ValueRef::as_str).unwrap_or("?");
    let mut text = name.to_owned();
    if let Some(index) = stage.get("indexName").and_then(ValueRef::as_str) {
        text.push_str(&format!(" {index}"));
    }
    if let Some(bounds) = stage.get("indexBounds").and_then(ValueRef::as_document) {
        text.push_str(&format!(" {}", json::to_relaxed(bounds)));
    }
    stages.push(text);
    if let Some(input) = stage.get("inputStage").and_then(ValueRef::as_document) {
        describe(input, stages);
    }
    let inputs = stage.get("inputStages").and_then(ValueRef::as_array);
    for input in inputs.iter().flat_map(|inputs| inputs.iter()).filter_map(ValueRef::as_document) {
        describe(input, stages);
    }
}
