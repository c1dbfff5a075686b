//! Nobody gets in with what a log says.

use super::{Folder, expect_lines, logged};
use crate::support::conf::App;
use crate::support::{Conf, Gateway, Origin, Service, eventually};

/// In each place where a secret may be.
const SECRET: &str = "hunter2-";

#[test]
fn no_log_in_no_form_has_a_secret() {
    for form in ["json", "gatekeeper", "combined", "$request $request_uri $args $http_referer $host"] {
        let (origin, folder) = (Origin::ok(), Folder::new());
        let service = Service::at("/svc", &[&origin]).access("open", 1);
        let conf = Conf::new().service(service).app(App::new("shop", &format!("{SECRET}1")));
        let conf = conf.base("log_redact", ["phone"]).log("syslog", "log_level", "trace");
        let conf = conf.log("syslog.file_writer", "on", true).log("syslog.file_writer", "log_path", folder.text("sys"));
        let gateway = Gateway::start(&logged(conf, &folder, form));
        let mut client = gateway.connect();
        let request = |query: &str| {
            format!(
                "GET /svc/a?{query} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}2\r\nCookie: sid={SECRET}3\r\n\
                 X-Api-Key: {SECRET}4\r\nReferer: https://me:{SECRET}5@shop.test/?access_token={SECRET}6#id_token={SECRET}7\r\n\r\n"
            )
        };
        let query = format!("app_id=shop&sign={SECRET}1&Pass%77ord={SECRET}8&phone={SECRET}9&kept=1");
        assert_eq!(client.ask(request(&query)).status(), 200);
        assert_eq!(client.ask(request(&format!("app_id=shop&sign={SECRET}wrong"))).status(), 401);
        let broken = format!("GET /svc/a?token={SECRET}b HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\n");
        assert_eq!(client.ask(broken).status(), 400);
        let found = expect_lines(&folder.path("access.log"), 3);
        assert!(found.iter().any(|line| line.contains("kept=1")), "{found:#?}");
        assert!(eventually(|| !super::lines(&folder.path("sys")).is_empty()));
        let everything = folder.lines_of_all("").join("\n") + &gateway.stderr() + &gateway.stdout();
        assert!(!everything.contains(SECRET), "{form}: {everything}");
    }
}

#[test]
fn no_body_is_logged() {
    let origin = Origin::echoing();
    let folder = Folder::new();
    let gateway = Gateway::start(&logged(Conf::of(&origin), &folder, "json"));
    let body = "a-body-of-its-own";
    let request = format!("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(gateway.connect().ask(request).text(), body);
    let line = expect_lines(&folder.path("access.log"), 1).remove(0);
    assert!(!line.contains(body), "{line}");
}
