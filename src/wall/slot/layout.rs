//! What stands where in the stats file, and the words for it.
//!
//! The tables here are the one place that says so: the writer's offsets follow from them, and so does the text at the
//! front of the file (`describe`), from which a reader learns names, units and offsets. Every value is a 64-bit word in the
//! machine's byte order. Out of scope: reading that text (`read`).

use super::buckets::{COARSE_BUCKETS, FINE_BUCKETS, coarse_bounds, fine_bounds};
use crate::end::End;
use crate::limits::{STATS_ENDPOINTS_MAX, STATS_SERVICES_MAX, STATS_TENANTS_MAX};

/// The first eight bytes of the file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"gkstats\n");
/// Of the front and of the form of the text; what is described may change without it.
pub const LAYOUT_VERSION: u64 = 1;
/// Words of the front: the magic word, the version, the length of the text in bytes, the text.
pub const FRONT_WORDS: usize = 8 * 1024;
/// Words before the text.
pub const TEXT_AT: usize = 3;
/// Words of a page, to which parts are rounded so that each can be backed by memory on its own.
pub const PAGE_WORDS: usize = 512;
/// Words of a name.
pub const NAME_WORDS: usize = 16;
/// Different reasons that are counted for one service on one core; further ones count as the last.
pub const REASONS: usize = 16;
/// A reason's count stands in the lower bits of its word, the reason's number plus one above.
pub const REASON_SHIFT: u32 = 56;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Words that each hold a label's number plus one in the upper 8 bits and a counter in the lower 56.
    Reasons,
    /// Counters of buckets.
    Histogram,
    /// UTF-8, ended by a zero byte where it is shorter than its place.
    Text,
}

impl Kind {
    /// As in the file.
    pub const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Counter, "counter"),
        (Self::Gauge, "gauge"),
        (Self::Reasons, "reasons"),
        (Self::Histogram, "histogram"),
        (Self::Text, "text"),
    ];
}

/// One value, or a row of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it counts.
    pub unit: String,
    /// The first word, from the beginning of its record.
    pub at: usize,
    /// How many words.
    pub words: usize,
    /// What each word counts, where they differ by name; of `Reasons`, what the numbers mean.
    pub labels: Vec<String>,
    /// Where buckets end, all but the last.
    pub bounds: Vec<u64>,
}

/// Records of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// The section of which each record holds such records; empty for none.
    pub inside: String,
    /// The first word: of the file, or of the record it is inside of.
    pub at: usize,
    /// How many records there is room for.
    pub rows: usize,
    /// Words from one to the next.
    pub stride: usize,
    /// What a record holds.
    pub fields: Vec<Field>,
}

/// Declares the words of a record.
macro_rules! record {
    ($(#[$doc:meta])* $record:ident { $(#[doc = $what:literal] $word:ident = $name:literal, $kind:ident, $unit:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $record { $(#[doc = $what] $word,)* }

        impl $record {
            /// How many.
            pub const COUNT: usize = [$(Self::$word),*].len();

            /// What the word of that name holds: its own documentation, for those who read its number elsewhere.
            #[must_use]
            pub fn what(name: &str) -> &'static str {
                match name {
                    $($name => $what.trim_ascii(),)*
                    _ => "",
                }
            }

            fn fields() -> Vec<Field> {
                vec![$(word($name, Kind::$kind, $unit, Self::$word as usize)),*]
            }
        }
    };
}

fn word(name: &str, kind: Kind, unit: &str, at: usize) -> Field {
    let (name, unit) = (name.to_owned(), unit.to_owned());
    Field { name, kind, unit, at, words: 1, labels: Vec::new(), bounds: Vec::new() }
}

record! {
    /// Of the process, written by control.
    Process {
        /// Its number.
        Pid = "pid", Gauge, "pid";
        /// When it started.
        StartedMs = "started_unix_ms", Gauge, "ms";
        /// Of how many workers.
        Workers = "workers", Gauge, "workers";
        /// The epoch published last.
        Epoch = "epoch", Gauge, "epoch";
        /// When it was.
        ChangedMs = "changed_unix_ms", Gauge, "ms";
        /// Configurations that a reload put in force.
        Reloads = "reloads_total", Counter, "reloads";
        /// Reloads that put none in force.
        ReloadFailures = "reload_failures_total", Counter, "reloads";
        /// When the last reload ended, either way.
        ReloadedMs = "reloaded_unix_ms", Gauge, "ms";
        /// Services, endpoints and tenants for which there was no row or no memory.
        Uncounted = "uncounted", Gauge, "rows";
        /// Titles of services to look at.
        ServiceRows = "services_rows", Gauge, "rows";
        /// Likewise.
        EndpointRows = "endpoints_rows", Gauge, "rows";
        /// Likewise.
        TenantRows = "tenants_rows", Gauge, "rows";
    }
}

record! {
    /// Of one service, endpoint or tenant, written by control: whose row this is. A name follows.
    Title {
        /// 0 is nobody's.
        Generation = "generation", Gauge, "generation";
        /// An endpoint's service: its row.
        Service = "service_row", Gauge, "row";
        /// An endpoint's: 0 not probed, 1 up, 2 down.
        Health = "health", Gauge, "verdict";
        /// An endpoint's.
        Weight = "weight", Gauge, "weight";
        /// An endpoint's: on `forbid_list`.
        Forbidden = "forbidden", Gauge, "bool";
        /// An endpoint's: when its health changed.
        ChangedMs = "changed_unix_ms", Gauge, "ms";
        /// A service's: 1 for tcp.
        Tcp = "tcp", Gauge, "bool";
        /// Bytes of the whole name, which may be longer than its place.
        NameBytes = "name_bytes", Gauge, "bytes";
    }
}

record! {
    /// Of one core, written by its worker. Ends and histograms follow.
    Core {
        /// The epoch that new requests run on.
        Epoch = "epoch", Gauge, "epoch";
        /// The processor that it is pinned to, plus one; 0 is none.
        Pinned = "pinned_cpu_plus_1", Gauge, "cpu";
        /// Processor time of the worker's thread.
        Cpu = "cpu_us_total", Counter, "us";
        /// Client connections served here.
        Connections = "connections_total", Counter, "connections";
        /// Client connections accepted here and given to another worker.
        HandedOver = "handed_over_total", Counter, "connections";
        /// Panics, each of which cost a connection.
        Panics = "panics_total", Counter, "panics";
        /// Sessions of clients that wait for a request of theirs.
        Idle = "idle", Gauge, "connections";
        /// Sessions of clients with a request in hand.
        InFlight = "in_flight", Gauge, "requests";
        /// Tunnels and tcp connections that are open.
        Tunnels = "tunnels", Gauge, "tunnels";
        /// Tunnels and tcp connections opened.
        TunnelsOpened = "tunnels_total", Counter, "tunnels";
        /// Requests without an answer.
        Unanswered = "requests_unanswered_total", Counter, "requests";
        /// Requests answered with a status of 100 to 199: those that became tunnels.
        Status1 = "requests_1xx_total", Counter, "requests";
        /// Requests answered with a status of 200 to 299.
        Status2 = "requests_2xx_total", Counter, "requests";
        /// Requests answered with a status of 300 to 399.
        Status3 = "requests_3xx_total", Counter, "requests";
        /// Requests answered with a status of 400 to 499.
        Status4 = "requests_4xx_total", Counter, "requests";
        /// Requests answered with a status of 500 or more.
        Status5 = "requests_5xx_total", Counter, "requests";
        /// Bytes from clients.
        BytesIn = "bytes_in_total", Counter, "bytes";
        /// Bytes to clients.
        BytesOut = "bytes_out_total", Counter, "bytes";
        /// Attempts that ended early and were followed by another.
        Retries = "retries_total", Counter, "attempts";
        /// Time from a request's first byte to the end of its answer.
        Duration = "duration_us_sum", Counter, "us";
        /// Time from a request's first byte to the end of its head.
        ClientHead = "client_head_us_sum", Counter, "us";
        /// Time in which requests waited for a connection to an endpoint.
        QueueTime = "queue_us_sum", Counter, "us";
        /// Time in which requests waited for connections to endpoints to be made.
        ConnectTime = "connect_us_sum", Counter, "us";
        /// Time from a request handed over to an endpoint to its answer's head.
        ResponseTime = "response_us_sum", Counter, "us";
        /// Answers that came from endpoints.
        Responses = "responses_total", Counter, "responses";
        /// Kept connections to endpoints that were used again.
        PoolHits = "pool_hits_total", Counter, "connections";
        /// Connections to endpoints that were dialled because none was kept.
        PoolMisses = "pool_misses_total", Counter, "connections";
        /// Kept connections to endpoints that were closed or old when they were wanted.
        PoolStale = "pool_stale_total", Counter, "connections";
        /// Connections to endpoints that are kept and idle.
        PoolIdle = "pool_idle", Gauge, "connections";
        /// Connections to endpoints in use.
        PoolBusy = "pool_busy", Gauge, "connections";
        /// Requests that wait for a connection.
        Queued = "queued", Gauge, "requests";
        /// Requests that had to wait for a connection.
        QueuedEver = "queued_total", Counter, "requests";
        /// Requests that waited for a connection in vain.
        QueueTimeouts = "queue_timeouts_total", Counter, "requests";
        /// Requests copied to another service.
        Copies = "copies_total", Counter, "copies";
        /// Requests that were to be copied to another service and were not.
        CopiesDropped = "copies_dropped_total", Counter, "copies";
        /// Copies without a whole answer in time.
        CopiesFailed = "copies_failed_total", Counter, "copies";
        /// Looks at how late the loop is.
        LagLooks = "lag_total", Counter, "looks";
        /// How late the loop was in all, over those looks.
        Lag = "lag_us_sum", Counter, "us";
        /// How late the loop was at most.
        LagMax = "lag_us_max", Gauge, "us";
    }
}

record! {
    /// Of one service on one core. A histogram, its two outer sums and reasons follow.
    Service {
        /// Whose these numbers are.
        Generation = "generation", Gauge, "generation";
        /// Requests without an answer.
        Unanswered = "requests_unanswered_total", Counter, "requests";
        /// By the class of the answer's status.
        Status1 = "requests_1xx_total", Counter, "requests";
        /// Likewise.
        Status2 = "requests_2xx_total", Counter, "requests";
        /// Likewise.
        Status3 = "requests_3xx_total", Counter, "requests";
        /// Likewise.
        Status4 = "requests_4xx_total", Counter, "requests";
        /// Likewise.
        Status5 = "requests_5xx_total", Counter, "requests";
        /// From clients.
        BytesIn = "bytes_in_total", Counter, "bytes";
        /// To clients.
        BytesOut = "bytes_out_total", Counter, "bytes";
        /// Tunnels and tcp connections that are over.
        Tunnels = "tunnels_ended_total", Counter, "tunnels";
        /// As of a core.
        Retries = "retries_total", Counter, "attempts";
        /// Likewise.
        Duration = "duration_us_sum", Counter, "us";
        /// Likewise.
        QueueTime = "queue_us_sum", Counter, "us";
        /// Likewise.
        ConnectTime = "connect_us_sum", Counter, "us";
        /// Likewise.
        ResponseTime = "response_us_sum", Counter, "us";
        /// Likewise.
        Responses = "responses_total", Counter, "responses";
        /// Of the durations in the first bucket.
        ShortSum = "duration_first_bucket_us_sum", Counter, "us";
        /// Of the durations in the last.
        LongSum = "duration_last_bucket_us_sum", Counter, "us";
    }
}

record! {
    /// Of one endpoint on one core: one cache line.
    Endpoint {
        /// Whose these numbers are.
        Generation = "generation", Gauge, "generation";
        /// Requests that went there, tcp connections among them.
        Attempts = "attempts_total", Counter, "attempts";
        /// Those that failed by its doing.
        Failures = "failures_total", Counter, "attempts";
        /// Answers.
        Responses = "responses_total", Counter, "responses";
        /// From the request handed over to the answer's head.
        ResponseTime = "response_us_sum", Counter, "us";
        /// Connections in use.
        Busy = "in_flight", Gauge, "connections";
        /// Connections kept.
        Idle = "idle", Gauge, "connections";
        /// Requests that wait for one.
        Queued = "queued", Gauge, "requests";
    }
}

record! {
    /// Of one tenant on one core: one cache line.
    Tenant {
        /// Whose these numbers are.
        Generation = "generation", Gauge, "generation";
        /// Requests in its name.
        Requests = "requests_total", Counter, "requests";
        /// Those that ended early.
        Ended = "requests_ended_early_total", Counter, "requests";
        /// From clients.
        BytesIn = "bytes_in_total", Counter, "bytes";
        /// To clients.
        BytesOut = "bytes_out_total", Counter, "bytes";
        /// Reserved.
        Spare1 = "spare_1", Gauge, "none";
        /// Reserved.
        Spare2 = "spare_2", Gauge, "none";
        /// Reserved.
        Spare3 = "spare_3", Gauge, "none";
    }
}

/// What there are rows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Services.
    Services,
    /// Endpoints.
    Endpoints,
    /// Tenants.
    Tenants,
}

const fn round(words: usize, to: usize) -> usize {
    words.div_ceil(to) * to
}

const LINE_WORDS: usize = 8;
const END_COUNT: usize = End::ALL.len();

/// Words from one title to the next.
pub const TITLE_STRIDE: usize = Title::COUNT + NAME_WORDS;
/// Where a core's ends of exchanges and connections are counted.
pub const CORE_ENDS_AT: usize = round(Core::COUNT, LINE_WORDS);
/// Where a core's ends of tunnels are.
pub const CORE_TUNNEL_ENDS_AT: usize = CORE_ENDS_AT + END_COUNT;
/// Where a core's lags are, coarsely.
pub const CORE_LAG_AT: usize = round(CORE_TUNNEL_ENDS_AT + END_COUNT, LINE_WORDS);
/// Where a core's durations are, finely.
pub const CORE_DURATION_AT: usize = CORE_LAG_AT + COARSE_BUCKETS;
/// Words of a core without its rows.
pub const CORE_OWN_WORDS: usize = round(CORE_DURATION_AT + FINE_BUCKETS, PAGE_WORDS);
/// Where a service's durations are, coarsely.
pub const SERVICE_DURATION_AT: usize = Service::COUNT;
/// Where a service's reasons are.
pub const SERVICE_REASONS_AT: usize = SERVICE_DURATION_AT + COARSE_BUCKETS;

const _: () = assert!(END_COUNT < 255, "a reason's number has eight bits");
const _: () = assert!(Endpoint::COUNT == LINE_WORDS && Tenant::COUNT == LINE_WORDS);

impl Rows {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Services, Self::Endpoints, Self::Tenants];

    /// How many there may be.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Self::Services => STATS_SERVICES_MAX,
            Self::Endpoints => STATS_ENDPOINTS_MAX,
            Self::Tenants => STATS_TENANTS_MAX,
        }
    }

    /// Words of one on each core.
    #[must_use]
    pub const fn stride(self) -> usize {
        match self {
            Self::Services => round(SERVICE_REASONS_AT + REASONS, LINE_WORDS),
            Self::Endpoints => Endpoint::COUNT,
            Self::Tenants => Tenant::COUNT,
        }
    }

    /// Words of all on each core.
    const fn room(self) -> usize {
        round(self.most() * self.stride(), PAGE_WORDS)
    }

    /// Words of all titles.
    const fn title_room(self) -> usize {
        round(self.most() * TITLE_STRIDE, PAGE_WORDS)
    }

    /// Where they begin in a core.
    #[must_use]
    pub const fn at(self) -> usize {
        match self {
            Self::Services => CORE_OWN_WORDS,
            Self::Endpoints => Self::Services.at() + Self::Services.room(),
            Self::Tenants => Self::Endpoints.at() + Self::Endpoints.room(),
        }
    }

    /// Where their titles begin in the file.
    #[must_use]
    pub const fn titles_at(self) -> usize {
        match self {
            Self::Services => PROCESS_AT + PAGE_WORDS,
            Self::Endpoints => Self::Services.titles_at() + Self::Services.title_room(),
            Self::Tenants => Self::Endpoints.titles_at() + Self::Endpoints.title_room(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Endpoints => "endpoints",
            Self::Tenants => "tenants",
        }
    }
}

/// Where the process's record is.
pub const PROCESS_AT: usize = FRONT_WORDS;
/// Where the cores begin.
pub const CORES_AT: usize = Rows::Tenants.titles_at() + Rows::Tenants.title_room();
/// Words from one core to the next.
pub const CORE_STRIDE: usize = Rows::Tenants.at() + Rows::Tenants.room();

/// Words of the whole file; most of it is never touched and takes no memory.
#[must_use]
pub const fn file_words(workers: usize) -> usize {
    CORES_AT + workers * CORE_STRIDE
}

fn ends() -> Vec<String> {
    End::ALL.iter().map(|end| end.code().to_owned()).collect()
}

fn labelled(name: &str, kind: Kind, unit: &str, at: usize, words: usize) -> Field {
    Field { words, labels: ends(), ..word(name, kind, unit, at) }
}

fn histogram(name: &str, at: usize, bounds: Vec<u64>) -> Field {
    Field { words: bounds.len() + 1, bounds, ..word(name, Kind::Histogram, "us", at) }
}

fn titles(rows: Rows) -> Section {
    let mut fields = Title::fields();
    fields.push(Field { words: NAME_WORDS, ..word("name", Kind::Text, "utf8", Title::COUNT) });
    let name = format!("{}_titles", rows.name());
    Section { name, inside: String::new(), at: rows.titles_at(), rows: rows.most(), stride: TITLE_STRIDE, fields }
}

fn counts(rows: Rows) -> Section {
    let fields = match rows {
        Rows::Services => {
            let mut fields = Service::fields();
            fields.push(histogram("duration", SERVICE_DURATION_AT, coarse_bounds()));
            fields.push(labelled("ends", Kind::Reasons, "ends", SERVICE_REASONS_AT, REASONS));
            fields
        }
        Rows::Endpoints => Endpoint::fields(),
        Rows::Tenants => Tenant::fields(),
    };
    let (name, inside) = (rows.name().to_owned(), "cores".to_owned());
    Section { name, inside, at: rows.at(), rows: rows.most(), stride: rows.stride(), fields }
}

/// Everything that a file of so many workers holds.
#[must_use]
pub fn sections(workers: usize) -> Vec<Section> {
    let mut core = Core::fields();
    core.push(labelled("ends_total", Kind::Counter, "ends", CORE_ENDS_AT, END_COUNT));
    core.push(labelled("tunnel_ends_total", Kind::Counter, "ends", CORE_TUNNEL_ENDS_AT, END_COUNT));
    core.push(histogram("lag", CORE_LAG_AT, coarse_bounds()));
    core.push(histogram("duration", CORE_DURATION_AT, fine_bounds()));
    let only = |name: &str, at, rows, stride, fields| Section {
        name: name.to_owned(),
        inside: String::new(),
        at,
        rows,
        stride,
        fields,
    };
    let mut all = vec![only("process", PROCESS_AT, 1, PAGE_WORDS, Process::fields())];
    all.extend(Rows::ALL.map(titles));
    all.push(only("cores", CORES_AT, workers, CORE_STRIDE, core));
    all.extend(Rows::ALL.map(counts));
    all
}
