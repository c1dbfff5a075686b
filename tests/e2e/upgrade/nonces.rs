//! What signed requests have spent stays spent in the process that follows, and between both while they serve.

use super::{Installed, upgrade};
use crate::support::conf::App;
use crate::support::sign::Signing;
use crate::support::{Conf, Gateway, Origin, Service, eventually};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn an_upgrade_forgets_no_nonce() {
    let (origin, installed) = (Origin::ok(), Installed::new());
    let app = App::new("shop", SECRET).set("sign_method", "hmac-sha256");
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app).program(&installed.path()));
    let before = Signing::of("shop", SECRET, "GET", "/svc/a", "").request();
    assert_eq!(gateway.connect().ask(&before).status(), 200);
    let first = upgrade(&gateway, &[]).expect("it takes over");
    gateway.connect().ask(&before).expect_end(401, "sign_replayed");
    let after = Signing::of("shop", SECRET, "GET", "/svc/a", "").request();
    assert_eq!(gateway.connect().ask(&after).status(), 200);
    let mut second = None;
    // Not as long as the process before the first still drains.
    assert!(eventually(|| {
        second = first.upgrade(&[]).ok();
        second.is_some()
    }));
    for request in [&before, &after] {
        gateway.connect().ask(request).expect_end(401, "sign_replayed");
    }
}
