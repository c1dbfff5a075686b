//! base.toml: the tables of the four logs.

use super::{Key, Table, Zero, flag, int, list, text, word};

const LEVELS: &[&str] = &["trace", "debug", "info", "warning", "error", "fatal"];

pub(super) const LOG: Table = log(
    "log",
    &[LEVEL],
    "The request log: a line for each request, each tunnel and each connection that came to nothing. One that went \
     well is `info`; one that ended early, or was answered with 500 or more, is `warning`; where that was the \
     service's doing, `error`.",
);

pub(super) const SYSLOG: Table = log(
    "syslog",
    &[
        LEVEL,
        word("format", &["text", "json"], "text", "The form of a line of this log, of checklog and of statlog.").ours(),
        list(
            "rooms",
            "Rooms of the program that are to say more or less than `log_level`: `config`, `control`, `worker`, `run`. \
             The environment variable `GATEKEEPER_LOG` goes before this and before every level but `[log]`'s.",
        )
        .example("[\"control=debug\"]")
        .ours(),
    ],
    "The system log: what the gateway says of itself. Where no writer is on, it goes to standard error.",
);

pub(super) const CHECKLOG: Table = log(
    "checklog",
    &[LEVEL],
    "The log of health checks: endpoints that go up or down, and each probe at `debug`. Where no writer is on, it goes \
     where `[syslog]` goes.",
);

pub(super) const STATLOG: Table = log(
    "statlog",
    &[LEVEL, int("interval", 1, 86_400, 60, "Between two lines.").unit("s").ours()],
    "The log of statistics: a line of totals each `interval`. Where no writer is on, there is none.",
);

const fn log(name: &'static str, keys: &'static [Key], doc: &'static str) -> Table {
    Table::one(name, keys, doc).tables(WRITERS)
}

const LEVEL: Key = word("log_level", LEVELS, "info", "The least loud lines that are written.");

const WRITERS: &[Table] = &[
    Table::one("file_writer", FILE_WRITER, "Writing to files. A folder that is not there is made."),
    Table::one(
        "console_writer",
        CONSOLE_WRITER,
        "Writing to the console: requests to standard output, all else to standard error.",
    ),
];

const FILE_WRITER: &[Key] = &[
    flag("on", false, "Whether to write."),
    text("log_path", "", "The file; one that is not absolute is under the folder that the gateway was started in.")
        .example("./logs/gate.log"),
    text(
        "rotate_log_path",
        "",
        "What the file is called once its time is over: %Y year, %M month, %D day, %H hour, %m minute, %% a percent \
         sign. It is rotated when this name changes. A name that is taken gets `.1`, `.2` and so on. Empty leaves the \
         file as it is.",
    )
    .example("./logs/gate.log.%Y%M%D%H"),
    text("wf_log_path", "", "The file of warnings and louder. Empty, or the same as `log_path`, writes them there.")
        .example("./logs/gate.log.wf"),
    text("rotate_wf_log_path", "", "What that is called once its time is over.").example("./logs/gate.log.wf.%Y%M%D%H"),
    int(
        "rotate_bytes",
        1_024,
        1 << 50,
        0,
        "A file that would grow beyond this is rotated too. Its name is that of its time, or `log_path` where time does \
         not rotate it, and `.1`, `.2` and so on.",
    )
    .unit("bytes")
    .zero(Zero::Means("any size"))
    .ours(),
];

const CONSOLE_WRITER: &[Key] =
    &[flag("on", false, "Whether to write."), flag("color", false, "Lines of warnings and errors in colour.")];
