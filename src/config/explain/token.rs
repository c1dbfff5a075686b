//! What the service asks of tokens, and whether the request's would do.

use super::story::Story;
use crate::config::now_s;
use crate::end::End;
use crate::proto::authorization;
use crate::proto::head::RequestHead;
use crate::wall::jwt::Jwt;
use crate::wall::keys::Origin;
use crate::wall::snapshot::Service;

/// Tells it; what is done to the head on its way because of the token.
pub(super) fn tell(story: &mut Story, service: &Service, head: &RequestHead<'_>) -> Result<Vec<u8>, End> {
    let Some(jwt) = service.jwt.as_deref() else { return Ok(Vec::new()) };
    let mut lines = vec![asked(jwt)];
    let outcome = judge(jwt, head, &mut lines);
    story.lines("token", &lines);
    outcome
}

fn asked(jwt: &Jwt) -> String {
    let algorithms: Vec<_> = jwt.rules.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
    let keys = match jwt.kept.as_ref().map(|kept| &kept.origin) {
        None => "a secret".to_owned(),
        Some(Origin::File(path) | Origin::Pem(path)) => path.display().to_string(),
        Some(Origin::Url(url)) => url.split('?').next().unwrap_or_default().to_owned(),
    };
    let how = if jwt.rules.required { "asked for" } else { "may be there" };
    format!("{how}: {} with the keys of {keys}", algorithms.join(", "))
}

fn judge(jwt: &Jwt, head: &RequestHead<'_>, lines: &mut Vec<String>) -> Result<Vec<u8>, End> {
    let Some(token) = authorization::of_scheme(head.fields, "Bearer") else {
        lines.push("the request bears none".into());
        return if jwt.rules.required { Err(End::TokenMissing) } else { Ok(jwt.anonymous.to_vec()) };
    };
    let place = jwt.place.look();
    let Some(keys) = place.as_ref() else {
        lines.push("its keys are fetched while the gateway runs: the token was not looked at".into());
        return Ok(jwt.anonymous.to_vec());
    };
    let verified = jwt.rules.verify(token, keys, now_s());
    lines.push(match &verified {
        Ok(verified) => format!("valid, of `{}`", verified.subject.escape_debug()),
        Err(end) => end.meaning().text.to_owned(),
    });
    Ok(verified?.edits.into_vec())
}
