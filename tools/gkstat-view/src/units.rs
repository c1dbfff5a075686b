//! Numbers as people read them, in few columns.

/// A rate or a count: `0`, `12.3`, `1,234`, `56.7k`, `8.9M`.
pub(crate) fn count(value: f64) -> String {
    match value {
        value if value < 0.05 => "0".to_owned(),
        value if value < 99.95 => format!("{value:.1}"),
        value if value < 9_999.5 => thousands(value.round() as u64),
        value if value < 999_950.0 => format!("{:.1}k", value / 1_000.0),
        value if value < 999_950_000.0 => format!("{:.1}M", value / 1_000_000.0),
        value => format!("{:.1}G", value / 1_000_000_000.0),
    }
}

fn thousands(value: u64) -> String {
    if value < 1_000 { value.to_string() } else { format!("{},{:03}", value / 1_000, value % 1_000) }
}

/// Bytes per second.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = usize::from(value < 99.95 && unit > 0);
    format!("{value:.digits$} {}/s", UNITS[unit])
}

/// A duration: `950 µs`, `1.23 ms`, `45 ms`, `1.2 s`; a dash where there is none.
pub(crate) fn duration(us: Option<u64>) -> String {
    let Some(us) = us else { return "–".to_owned() };
    let value = us as f64;
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.2} ms", value / 1_000.0),
        10_000..100_000 => format!("{:.1} ms", value / 1_000.0),
        100_000..1_000_000 => format!("{:.0} ms", value / 1_000.0),
        _ => format!("{:.1} s", value / 1_000_000.0),
    }
}

/// A time span in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        let shown: Vec<String> = [0.0, 3.21, 99.94, 99.96, 9_999.0, 12_345.0, 1_234_567.0].map(count).into();
        assert_eq!(shown, ["0", "3.2", "99.9", "100", "9,999", "12.3k", "1.2M"]);
        assert_eq!([12.0, 2_048.0, 5e6, 3e10].map(bytes), ["12 B/s", "2.0 KiB/s", "4.8 MiB/s", "27.9 GiB/s"]);
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        let shown = [Some(999), Some(1_234), Some(45_000), Some(450_000), Some(1_234_567), None].map(duration);
        assert_eq!(shown, ["999 µs", "1.23 ms", "45.0 ms", "450 ms", "1.2 s", "–"]);
        assert_eq!([59, 61, 3_700, 90_000].map(span), ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
