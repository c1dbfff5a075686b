//! admin.toml, mysql_map.toml and redis_map.toml: known, checked and without effect so far.

use super::{Key, Shape, Status, Table, int, list, text};

const NO_PAGES: &str = "the administrator's pages are not built yet";
const NO_DATABASE: &str = "the configuration comes from files only";
const NO_STATISTICS: &str = "statistics are not kept in redis";

pub(super) const ADMIN_FILE: Table = Table::one("admin.toml", &[], "The administrator of GateKeeper's pages.")
    .status(Status::Ignored(NO_PAGES))
    .tables(&[Table::one("base", ADMIN, "The administrator.")]);

const ADMIN: &[Key] = &[
    text("admin_username", "", "The name.").ignored(NO_PAGES),
    text("admin_passport", "", "The password.").ignored(NO_PAGES),
];

pub(super) const MYSQL_FILE: Table = Table::one("mysql_map.toml", &[], "GateKeeper's database.")
    .status(Status::Ignored(NO_DATABASE))
    .tables(&[Table::one("list", MYSQL, "One database.").shape(Shape::Named)]);

const MYSQL: &[Key] = &[
    text("driver_name", "mysql", "The driver.").ignored(NO_DATABASE),
    text("data_source_name", "", "Where it is, with user and password.").ignored(NO_DATABASE),
    int("max_open_conn", 0, i64::MAX, 20, "Connections.").ignored(NO_DATABASE),
    int("max_idle_conn", 0, i64::MAX, 10, "Idle connections.").ignored(NO_DATABASE),
    int("max_conn_life_time", 0, i64::MAX, 100, "How long a connection is kept.").unit("s").ignored(NO_DATABASE),
];

pub(super) const REDIS_FILE: Table = Table::one("redis_map.toml", &[], "GateKeeper's counters.")
    .status(Status::Ignored(NO_STATISTICS))
    .tables(&[Table::one("list", REDIS, "One redis.").shape(Shape::Named)]);

const REDIS: &[Key] = &[
    list("proxy_list", "Its addresses.").ignored(NO_STATISTICS),
    int("conn_timeout", 0, i64::MAX, 50, "Opening a connection.").unit("ms").ignored(NO_STATISTICS),
    int("read_timeout", 0, i64::MAX, 100, "Reading.").unit("ms").ignored(NO_STATISTICS),
    int("write_timeout", 0, i64::MAX, 100, "Writing.").unit("ms").ignored(NO_STATISTICS),
];
