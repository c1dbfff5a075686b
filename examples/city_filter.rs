//! GateKeeper's city filter: of the goods in an answer only those of allowed cities reach the client.
//!
//! An answer `{"data": {"list": [{"city_id": 12, …}, …], …}, …}` at one of the `paths` keeps the items of `data.list`
//! whose `city_id` is among `city_ids`. What is not such an answer is refused: nothing passes unfiltered.
//!
//! ```text
//! [[module.filter]]
//! name = "city"
//! [module.filter.options]
//! city_ids = [12]
//! paths = ["/gatekeeper/tester_filter/goods_list"]
//! ```

use std::process::ExitCode;

use gatekeeper::Gateway;
use gatekeeper::filter::{HttpFilter, Refusal, Request, Response, Verdict};
use serde_json::Value;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct City {
    city_ids: Vec<i64>,
    paths: Vec<String>,
}

impl City {
    fn is_allowed(&self, item: &Value) -> bool {
        item["city_id"].as_i64().is_some_and(|city| self.city_ids.contains(&city))
    }
}

impl HttpFilter for City {
    fn on_response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        // An error of the service holds no goods.
        if response.status() < 400 && self.paths.iter().any(|path| path.as_bytes() == request.path()) {
            response.read_body();
        }
        Ok(())
    }

    fn on_body(&self, _request: &Request<'_>, body: &mut Vec<u8>) -> Verdict {
        let unlike = |_| Refusal::new(502, "the list of goods is not as expected");
        let mut answer: Value = serde_json::from_slice(body).map_err(unlike)?;
        let list = answer
            .pointer_mut("/data/list")
            .and_then(Value::as_array_mut)
            .ok_or(())
            .map_err(|()| Refusal::new(502, "the answer holds no list of goods"))?;
        list.retain(|item| self.is_allowed(item));
        body.clear();
        serde_json::to_writer(body, &answer).map_err(unlike)
    }
}

fn city(options: City) -> Result<City, String> {
    if options.paths.is_empty() {
        return Err("`paths` is empty: it would filter nothing".into());
    }
    Ok(options)
}

fn main() -> ExitCode {
    Gateway::new().http_filter("city", city).main()
}
