//! What a service has against endpoints that fail, one line for each rule.

use super::Snapshot;
use super::story::Story;
use crate::wall::breaker::BreakerRules;
use crate::wall::mirror::MirrorRules;
use crate::wall::resilience::Resilience;
use crate::wall::retry::{Methods, RetryRules};
use crate::wall::snapshot::Service;

/// Says nothing where nothing is configured.
pub(super) fn tell(story: &mut Story, snapshot: &Snapshot, service: &Service) {
    if let Some(rules) = service.upstream.resilience.as_deref() {
        retry(story, rules);
        watched(story, rules);
    }
    if let Some(rules) = service.mirror.as_deref() {
        mirror(story, snapshot, rules);
    }
}

fn percent(millionths: u32) -> f64 {
    f64::from(millionths) / 1e4
}

fn retry(story: &mut Story, rules: &Resilience) {
    let Some(retry) = &rules.retry else { return };
    let RetryRules { attempts, pause_ms, budget_millionths, budget_min, attempt_timeout_ms, .. } = retry;
    let mut on: Vec<String> = retry.statuses.iter().map(u16::to_string).collect();
    on.extend(
        [(retry.on_closed, "closed"), (retry.on_timeout, "timeout")]
            .map(|(is_on, word)| if is_on { word.to_owned() } else { String::new() }),
    );
    on.retain(|word| !word.is_empty());
    let which = match &retry.methods {
        Methods::Idempotent => "idempotent requests".to_owned(),
        Methods::All => "every request".to_owned(),
        Methods::These(methods) => format!("{methods:?}").to_uppercase(),
    };
    let each = if *attempt_timeout_ms > 0 { format!(", each {attempt_timeout_ms} ms at most") } else { String::new() };
    let budget = percent(*budget_millionths);
    story.lines(
        "retry",
        &[
            format!("{which}: {attempts} attempts{each}, on {}; pause {pause_ms} ms", on.join(", ")),
            format!("further attempts: {budget} % of the requests and {budget_min} per second"),
        ],
    );
}

fn watched(story: &mut Story, rules: &Resilience) {
    if let Some(breaker) = &rules.breaker {
        let whose = match (rules.of_service, rules.of_endpoints) {
            (true, true) => "of the service and of each endpoint",
            (true, false) => "of the service",
            _ => "of each endpoint",
        };
        story.line("breaker", &format!("{whose}: {}", breaker_told(breaker)));
    }
    if let Some(ejection) = &rules.ejection {
        let (failures, from, to) = (ejection.failures, ejection.time_ms, ejection.time_max_ms);
        let panic = percent(ejection.panic_millionths);
        story.line(
            "ejection",
            &format!("after {failures} failures in a row for {from} ms, up to {to} ms; never below {panic} % of the endpoints"),
        );
    }
    if let Some(bound) = &rules.concurrency {
        let (max, queue, wait) = (bound.max, bound.queue_max, bound.queue_timeout_ms);
        story.line("at once", &format!("{max} requests; {queue} more wait for {wait} ms; then 503"));
    }
}

fn breaker_told(rules: &BreakerRules) -> String {
    let BreakerRules { failures, error_millionths, volume_min, window_ms, open_ms, probe_millionths, probes } = rules;
    let in_a_row = (*failures > 0).then(|| format!("{failures} failures in a row"));
    let rate = percent(*error_millionths);
    let share = (*error_millionths > 0).then(|| format!("{rate} % of {volume_min} or more in {window_ms} ms"));
    let opens: Vec<_> = in_a_row.into_iter().chain(share).collect();
    let probing = match probe_millionths {
        0 => "one probe at a time".to_owned(),
        share => format!("{} % as probes", percent(*share)),
    };
    format!("opens at {} for {open_ms} ms (503); then {probing}, {probes} good ones close it", opens.join(" or "))
}

fn mirror(story: &mut Story, snapshot: &Snapshot, rules: &MirrorRules) {
    let (name, share) = (&snapshot.service(rules.service).name, percent(rules.millionths));
    let told = format!("{share} % to {name}, {} at once, {} ms at most", rules.copies_max, rules.timeout_ms);
    story.line("copies", &told);
}
