//! Writes a configuration in GateKeeper's files: what a test does not say has the harness's value.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::origin::{Origin, PROBE};

/// A value as TOML text.
pub(crate) trait Toml {
    fn toml(self) -> String;
}

impl Toml for &str {
    fn toml(self) -> String {
        format!("{self:?}")
    }
}

impl Toml for String {
    fn toml(self) -> String {
        format!("{self:?}")
    }
}

impl Toml for i64 {
    fn toml(self) -> String {
        self.to_string()
    }
}

impl Toml for f64 {
    fn toml(self) -> String {
        format!("{self:?}")
    }
}

impl Toml for bool {
    fn toml(self) -> String {
        self.to_string()
    }
}

impl<const N: usize> Toml for [&str; N] {
    fn toml(self) -> String {
        format!("{self:?}")
    }
}

type Table = BTreeMap<&'static str, String>;

fn write_table(text: &mut String, header: &str, table: &Table) {
    let _ = writeln!(text, "{header}");
    for (key, value) in table {
        let _ = writeln!(text, "    {key} = {value}");
    }
}

/// One `[[module]]` of load type http.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    base: Table,
    rules: Vec<(String, String, Table)>,
    splits: Vec<Table>,
    nodes: Vec<String>,
    weights: Vec<u32>,
    load_balance: Table,
    access: Table,
    tables: BTreeMap<&'static str, Table>,
    further: String,
    limits: Vec<Table>,
}

impl Service {
    /// Named after its prefix, which is cut off before the upstream sees the path.
    pub(crate) fn at(prefix: &str, origins: &[&Origin]) -> Self {
        Self::with_nodes(prefix, origins.iter().map(|origin| origin.node().to_owned()).collect())
    }

    pub(crate) fn with_nodes(prefix: &str, nodes: Vec<String>) -> Self {
        let name = prefix.trim_start_matches('/').replace('/', "_");
        let service = Self {
            base: Table::new(),
            rules: vec![(prefix.to_owned(), format!("^{prefix}(.*) $1"), Table::new())],
            splits: Vec::new(),
            nodes,
            weights: Vec::new(),
            load_balance: Table::new(),
            access: Table::new(),
            tables: BTreeMap::new(),
            further: String::new(),
            limits: Vec::new(),
        };
        let service = service.base("load_type", "http").base("name", name);
        let service = service.balance("check_method", "httpchk").balance("check_url", PROBE);
        let service = service.balance("check_timeout", 2_000).balance("check_interval", 60_000);
        let service = service.balance("type", "round-robin").balance("proxy_connect_timeout", 5_000);
        service.access("open", 0)
    }

    /// Replaces the endpoints.
    pub(crate) fn nodes(mut self, nodes: Vec<String>) -> Self {
        self.nodes = nodes;
        self
    }

    /// Replaces the rewrite of the first rule.
    pub(crate) fn rewrite(mut self, rewrite: &str) -> Self {
        rewrite.clone_into(&mut self.rules[0].1);
        self
    }

    /// Adds a rule.
    pub(crate) fn rule(mut self, prefix: &str, rewrite: &str) -> Self {
        self.rules.push((prefix.to_owned(), rewrite.to_owned(), Table::new()));
        self
    }

    /// A key of the last rule.
    pub(crate) fn rule_key(mut self, key: &'static str, value: impl Toml) -> Self {
        let (.., table) = self.rules.last_mut().expect("a service has a rule");
        table.insert(key, value.toml());
        self
    }

    /// A service of this name with one rule of this type, which leaves the path as it is.
    pub(crate) fn matching(name: &str, kind: &str, rule: &str, origin: &Origin) -> Self {
        let mut service = Self::at("/", &[origin]).base("name", name);
        service.rules = vec![(rule.to_owned(), String::new(), Table::new())];
        service.rule_key("type", kind)
    }

    /// No rule at all.
    pub(crate) fn without_rules(mut self) -> Self {
        self.rules.clear();
        self
    }

    /// A share of the requests goes to this service.
    pub(crate) fn split(mut self, service: &str, share: f64) -> Self {
        self.splits.push(Table::from([("service", service.toml()), ("share", share.toml())]));
        self
    }

    /// A key of the last split.
    pub(crate) fn split_key(mut self, key: &'static str, value: impl Toml) -> Self {
        self.splits.last_mut().expect("a split").insert(key, value.toml());
        self
    }

    pub(crate) fn weights(mut self, weights: &[u32]) -> Self {
        self.weights = weights.to_vec();
        self
    }

    /// A key of `[module.base]`.
    pub(crate) fn base(mut self, key: &'static str, value: impl Toml) -> Self {
        self.base.insert(key, value.toml());
        self
    }

    /// A key of `[module.load_balance]`.
    pub(crate) fn balance(mut self, key: &'static str, value: impl Toml) -> Self {
        self.load_balance.insert(key, value.toml());
        self
    }

    /// Tables of the module as they stand in the file.
    pub(crate) fn further(mut self, tables: &str) -> Self {
        self.further.push_str(tables);
        self.further.push('\n');
        self
    }

    /// A key of `[module.access_control]`.
    pub(crate) fn access(mut self, key: &'static str, value: impl Toml) -> Self {
        self.access.insert(key, value.toml());
        self
    }

    /// A key of a table of its own, such as `retry` for `[module.retry]`.
    pub(crate) fn table(mut self, table: &'static str, key: &'static str, value: impl Toml) -> Self {
        self.tables.entry(table).or_default().insert(key, value.toml());
        self
    }

    /// A `[[module.filter]]` of this name, with the lines of its `options`.
    pub(crate) fn filter(self, name: &str, options: &str) -> Self {
        self.bounded_filter(name, 1_048_576, options)
    }

    /// The same, which may read a body of so many bytes.
    pub(crate) fn bounded_filter(self, name: &str, body_bytes_max: usize, options: &str) -> Self {
        let head = format!("name = {}\n    body_bytes_max = {body_bytes_max}", name.toml());
        self.further(&format!("  [[module.filter]]\n    {head}\n  [module.filter.options]\n{options}"))
    }

    /// A `[[module.limit]]`, as the lines of its table.
    pub(crate) fn limit(mut self, lines: &'static str) -> Self {
        let pairs = lines.split(';').filter_map(|line| line.split_once('='));
        self.limits.push(pairs.map(|(key, value)| (key.trim(), value.trim().to_owned())).collect());
        self
    }

    fn write(&self, text: &mut String) {
        text.push_str("[[module]]\n");
        write_table(text, "  [module.base]", &self.base);
        for (rule, rewrite, table) in &self.rules {
            let mut table = table.clone();
            table.entry("type").or_insert_with(|| "url_prefix".toml());
            table.extend([("rule", rule.as_str().toml()), ("url_rewrite", rewrite.as_str().toml())]);
            write_table(text, "  [[module.match_rule]]", &table);
        }
        for split in &self.splits {
            write_table(text, "  [[module.split]]", split);
        }
        let mut balance = self.load_balance.clone();
        balance.insert("ip_list", self.nodes.join(",").toml());
        if !self.weights.is_empty() {
            let weights: Vec<_> = self.weights.iter().map(u32::to_string).collect();
            balance.insert("weight_list", weights.join(",").toml());
        }
        write_table(text, "  [module.load_balance]", &balance);
        write_table(text, "  [module.access_control]", &self.access);
        for (name, table) in &self.tables {
            write_table(text, &format!("  [module.{name}]"), table);
        }
        text.push_str(&self.further);
        for limit in &self.limits {
            write_table(text, "  [[module.limit]]", limit);
        }
    }
}

/// One tenant of app.toml.
#[derive(Clone, Debug)]
pub(crate) struct App(Table);

impl App {
    pub(crate) fn new(app_id: &str, secret: &str) -> Self {
        let app = Self(Table::new()).set("app_id", app_id).set("name", app_id).set("secret", secret);
        app.set("open_api", "/").set("white_ips", "").set("total_query_daily", 0).set("qps", 0).set("group_id", 0)
    }

    pub(crate) fn set(mut self, key: &'static str, value: impl Toml) -> Self {
        self.0.insert(key, value.toml());
        self
    }
}

/// What is in the files beside each other, and how the gateway is started.
#[derive(Clone, Debug)]
pub(crate) struct Conf {
    base: Table,
    http: Table,
    cluster: Table,
    admin: Table,
    store: Table,
    trace: Table,
    oauth: Table,
    request_id: Table,
    logs: BTreeMap<&'static str, Table>,
    services: Vec<Service>,
    apps: Vec<App>,
    cores: Option<usize>,
    driver: Option<String>,
    program: Option<PathBuf>,
}

impl Conf {
    pub(crate) fn new() -> Self {
        let conf = Self {
            base: Table::new(),
            http: Table::new(),
            cluster: Table::new(),
            admin: Table::new(),
            store: Table::new(),
            trace: Table::new(),
            oauth: Table::new(),
            request_id: Table::new(),
            logs: BTreeMap::new(),
            services: Vec::new(),
            apps: Vec::new(),
            cores: None,
            driver: None,
            program: None,
        };
        let conf = conf.base("conf_load_interval", 0).base("watch", false).base("drain_window", 5);
        // Tests run side by side, and most look at neither.
        let conf = conf.admin("addr", "off").store("path", "off");
        conf.http("route_prefix", "").http("read_timeout", 30).http("write_timeout", 30)
    }

    /// With one service at `/svc` in front of the origin.
    pub(crate) fn of(origin: &Origin) -> Self {
        Self::new().service(Service::at("/svc", &[origin]))
    }

    pub(crate) fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    pub(crate) fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// A key of base.toml's `[base]`.
    pub(crate) fn base(mut self, key: &'static str, value: impl Toml) -> Self {
        self.base.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[http]`.
    pub(crate) fn http(mut self, key: &'static str, value: impl Toml) -> Self {
        self.http.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[admin]`.
    pub(crate) fn admin(mut self, key: &'static str, value: impl Toml) -> Self {
        self.admin.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[store]`.
    pub(crate) fn store(mut self, key: &'static str, value: impl Toml) -> Self {
        self.store.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[oauth]`.
    pub(crate) fn oauth(mut self, key: &'static str, value: impl Toml) -> Self {
        self.oauth.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[trace]`.
    pub(crate) fn trace(mut self, key: &'static str, value: impl Toml) -> Self {
        self.trace.insert(key, value.toml());
        self
    }

    /// A key of base.toml's `[request_id]`.
    pub(crate) fn request_id(mut self, key: &'static str, value: impl Toml) -> Self {
        self.request_id.insert(key, value.toml());
        self
    }

    /// A key of one of base.toml's tables of logs, such as `log.file_writer`.
    pub(crate) fn log(mut self, table: &'static str, key: &'static str, value: impl Toml) -> Self {
        self.logs.entry(table).or_default().insert(key, value.toml());
        self
    }

    /// `cluster_list`: who may ask for a reload.
    pub(crate) fn cluster(mut self, list: &str) -> Self {
        self.cluster.insert("cluster_list", list.toml());
        self
    }

    /// A fixed number of workers where the behaviour under test needs it.
    pub(crate) fn cores(mut self, cores: usize) -> Self {
        self.cores = Some(cores);
        self
    }

    /// A fixed rung of the driver ladder.
    pub(crate) fn driver(mut self, driver: &str) -> Self {
        self.driver = Some(driver.to_owned());
        self
    }

    /// Another name of the program, which a test may replace.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// What is run.
    pub(crate) fn program_path(&self) -> &Path {
        self.program.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_gatekeeper")))
    }

    /// The number of workers: the test's, else `GK_CORES`, else 4.
    pub(crate) fn workers(&self) -> usize {
        let asked = || std::env::var("GK_CORES").ok()?.parse().ok();
        self.cores.or_else(asked).unwrap_or(4)
    }

    /// The rung: the test's, else `GK_DRIVER`, else the gateway's own choice.
    pub(crate) fn driver_name(&self) -> Option<String> {
        self.driver.clone().or_else(|| std::env::var("GK_DRIVER").ok())
    }

    /// Writes the three files; each is replaced in one step, as an editor does.
    pub(crate) fn write(&self, directory: &Path, port: u16) {
        let mut base = String::new();
        write_table(&mut base, "[base]", &self.base);
        let mut http = self.http.clone();
        http.entry("addr").or_insert_with(|| format!("127.0.0.1:{port}").toml());
        write_table(&mut base, "[http]", &http);
        write_table(&mut base, "[cluster]", &self.cluster);
        write_table(&mut base, "[admin]", &self.admin);
        write_table(&mut base, "[store]", &self.store);
        write_table(&mut base, "[trace]", &self.trace);
        write_table(&mut base, "[oauth]", &self.oauth);
        write_table(&mut base, "[request_id]", &self.request_id);
        for (name, table) in &self.logs {
            write_table(&mut base, &format!("[{name}]"), table);
        }
        let mut module = String::new();
        for service in &self.services {
            service.write(&mut module);
        }
        let mut app = String::new();
        for tenant in &self.apps {
            write_table(&mut app, "[[authirized_apps]]", &tenant.0);
        }
        for (name, text) in [("base.toml", base), ("app.toml", app), ("module.toml", module)] {
            replace(&directory.join(name), &text);
        }
    }
}

/// Replaces a file in one step.
pub(crate) fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).expect("a writable directory");
    std::fs::rename(&fresh, path).expect("the same directory");
}
