//! gkstat's screen in a terminal (tmux): what it shows, and what its keys do.

mod support;

use std::process::Command;

use crate::support::{busy, eventually};

/// A terminal of that size with gkstat in it.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(name: &str, columns: u16, lines: u16) -> Self {
        let terminal = Self { socket: format!("gkstat-{name}-{}", std::process::id()) };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let program = format!("{} --interval 0.2 --dir {}", env!("CARGO_BIN_EXE_gkstat"), busy().display());
        let size = ["-x", &columns, "-y", &lines];
        terminal.tmux(&[&["new-session", "-d"], &size[..], &["-s", "it", &program]].concat());
        terminal
    }

    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env("LC_ALL", "C.UTF-8").args(["-u", "-f", "/dev/null", "-L", &self.socket]).args(words);
        let output = command.output().expect("tmux: tools/test-needs installs it");
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "it"])
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.comes_to(|screen| screen.contains(text), text);
    }

    #[track_caller]
    fn comes_to(&self, wanted: impl Fn(&str) -> bool, told: &str) {
        let start = std::time::Instant::now();
        while !wanted(&self.screen()) {
            assert!(start.elapsed().as_secs() < 30, "no {told} on:\n{}", self.screen());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "it"], keys].concat());
    }

    fn is_open(&self) -> bool {
        let mut command = Command::new("tmux");
        let status = command.args(["-L", &self.socket, "has-session", "-t", "it"]).output().expect("tmux").status;
        status.success()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

/// The number behind the name of a service.
fn qps(screen: &str, service: &str) -> Option<f64> {
    let line = screen.lines().find(|line| line.trim_start_matches('│').starts_with(&format!("{service} ")))?;
    line.trim_start_matches('│').split_whitespace().nth(1)?.replace(',', "").parse().ok()
}

#[test]
fn eighty_by_twenty_four_has_room_for_everything() {
    let terminal = Terminal::open("small", 80, 24);
    terminal.comes_to(|screen| qps(screen, "orders").is_some_and(|qps| qps > 0.0), "rate of orders");
    let screen = terminal.screen();
    for text in [
        "gatekeeper ",
        " req/s",
        "Cores: 2",
        "Services: 3 of 3",
        "payments",
        "Endpoints: 3 of 3",
        "Reasons",
        "no_route",
    ] {
        assert!(screen.contains(text), "no {text} on:\n{screen}");
    }
    assert!(screen.lines().any(|line| line.contains("127.0.0.1:") && line.contains(" up ")), "{screen}");
    let core =
        |number: &str| screen.lines().any(|line| line.contains(number) && line.contains("/s") && line.contains('%'));
    assert!(core(" 0 ") && core(" 1 "), "{screen}");
    assert!(screen.lines().count() <= 24 && screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[test]
fn keys_sort_and_turn_round() {
    let terminal = Terminal::open("sort", 80, 24);
    let order = |first: &str, second: &str| {
        let (first, second) = (first.to_owned(), second.to_owned());
        move |screen: &str| {
            let at = |name: &str| screen.lines().position(|line| line.trim_start_matches('│').starts_with(name));
            at(&first).is_some() && at(&first) < at(&second)
        }
    };
    terminal.shows("sort:qps↓");
    terminal.comes_to(order("orders ", "payments "), "orders above payments");
    terminal.press(&["r"]);
    terminal.shows("sort:qps↑");
    terminal.comes_to(order("payments ", "orders "), "payments above orders");
    terminal.press(&["r", "s", "s"]);
    terminal.shows("sort:p50↓");
}

#[test]
fn a_filter_leaves_what_holds_its_text() {
    let terminal = Terminal::open("filter", 80, 24);
    terminal.shows("Services: 3 of 3");
    terminal.press(&["/", "p", "a", "y", "Enter"]);
    terminal.shows("Services: 1 of 3");
    terminal.shows("filter:pay");
    let screen = terminal.screen();
    assert!(screen.contains("payments") && !screen.contains("orders"), "{screen}");
    terminal.press(&["Escape"]);
    terminal.shows("Services: 3 of 3");
}

#[test]
fn paused_it_stands_still_and_then_goes_on() {
    let terminal = Terminal::open("pause", 80, 24);
    terminal.comes_to(|screen| qps(screen, "orders").is_some(), "rate of orders");
    terminal.press(&["p"]);
    terminal.shows("PAUSED");
    let still = terminal.screen();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(terminal.screen(), still);
    terminal.press(&["p"]);
    terminal.comes_to(|screen| !screen.contains("PAUSED") && *screen != still, "movement");
}

#[test]
fn help_lists_the_keys_and_any_key_leaves_it() {
    let terminal = Terminal::open("help", 80, 24);
    terminal.shows("Services:");
    terminal.press(&["?"]);
    terminal.shows("Help, any key leaves");
    terminal.shows("show only what holds a text");
    terminal.press(&["x"]);
    terminal.comes_to(|screen| !screen.contains("Help, any key leaves"), "screen without help");
}

#[test]
fn a_pane_fills_the_screen_and_a_wider_one_shows_more() {
    let terminal = Terminal::open("panes", 80, 24);
    terminal.shows("Services:");
    terminal.press(&["4"]);
    terminal.comes_to(|screen| screen.contains("response") && !screen.contains("Services:"), "endpoints alone");
    terminal.press(&["1"]);
    terminal.shows("Services:");
    assert!(!terminal.screen().contains("response"));
    terminal.tmux(&["resize-window", "-t", "it", "-x", "140", "-y", "40"]);
    terminal.shows("response");
    terminal.comes_to(|screen| screen.lines().any(|line| line.chars().count() > 130), "wide line");
    terminal.tmux(&["resize-window", "-t", "it", "-x", "80", "-y", "24"]);
    terminal.comes_to(|screen| !screen.contains("response") && screen.contains("orders"), "narrow screen");
}

#[test]
fn q_and_control_c_leave() {
    for key in ["q", "C-c"] {
        let terminal = Terminal::open("leave", 80, 24);
        terminal.shows("Services:");
        terminal.press(&[key]);
        eventually(|| !terminal.is_open());
    }
}
