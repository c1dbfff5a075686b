//! `[admin]` and `[store]` of base.toml: where the gateway is watched, and what it remembers.
//!
//! In scope: that nobody but this machine reaches the admin listener without a token. Out of scope: serving it, and
//! reading the token's file at each question (`control::admin`).

use std::path::PathBuf;

use super::{Desk, address};
use crate::config::schema::ADMIN_ADDR;
use crate::config::section::Section;
use crate::config::{Admin, Store, Token};
use crate::wall::listen::Listen;

/// A token has at least so many characters.
const TOKEN_BYTES_MIN: usize = 16;
/// And at most so many.
const TOKEN_BYTES_MAX: usize = 512;

/// `None` where it is off, or there is a fault. `others` are the listeners beside it.
pub(super) fn admin(desk: &mut Desk<'_>, others: &[Listen]) -> Option<Admin> {
    let text = desk.section.text("addr");
    if text == "off" {
        return None;
    }
    let given = text != ADMIN_ADDR;
    let token = token(desk);
    let (address, _) = match address::listen(text) {
        Ok(listen) => listen,
        Err((message, help)) => {
            desk.error("addr", message, help);
            return None;
        }
    };
    if !address.ip().is_loopback() && token.is_none() {
        let message = format!("[admin] listens on {address}, which others reach, and has no token");
        desk.error("addr", message, "give token_file or token, or listen on 127.0.0.1");
    }
    if others.iter().any(|other| meet(other, address)) {
        let message = format!("[admin] would listen on {address}, where requests come in");
        if given {
            desk.error("addr", message, "each listener needs a port of its own");
        } else {
            desk.warn("addr", message + "; it is off", "give [admin] an addr of its own");
            return None;
        }
    }
    Some(Admin { address, given, token })
}

fn meet(other: &Listen, address: std::net::SocketAddr) -> bool {
    let everywhere = other.address.ip().is_unspecified() || address.ip().is_unspecified();
    address.port() != 0 && other.address.port() == address.port() && (everywhere || other.address.ip() == address.ip())
}

fn token(desk: &mut Desk<'_>) -> Option<Token> {
    let (text, file) = (desk.section.raw("token"), desk.section.text("token_file"));
    match (text.is_empty(), file.is_empty()) {
        (true, true) => None,
        (false, false) => {
            desk.error("token", "both token and token_file are given".into(), "keep one of them");
            None
        }
        (false, true) => match fit(text) {
            Ok(()) => Some(Token::Text(text.into())),
            Err(why) => {
                desk.error("token", format!("the token {why}"), "for example 32 hexadecimal digits");
                None
            }
        },
        (true, false) => {
            let path = PathBuf::from(file);
            if !path.is_absolute() {
                desk.error("token_file", format!("`{file}` is not an absolute path"), "write it from / on");
                return None;
            }
            let read = std::fs::read_to_string(&path).map_err(|error| format!("cannot be read: {error}"));
            if let Err(why) = read.and_then(|text| fit(text.trim()).map_err(|why| format!("has a token that {why}"))) {
                desk.error("token_file", format!("`{file}` {why}"), "");
            }
            Some(Token::File(path))
        }
    }
}

/// Whether a token can be sent in a field and not be guessed.
fn fit(token: &str) -> Result<(), String> {
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
        return Err(format!("has {} characters, not {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX}", token.len()));
    }
    if token.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err("has a blank or is not ASCII".into()) }
}

/// `None` where it is off.
pub(super) fn store(section: &Section) -> Option<Store> {
    let path = section.text("path");
    (path != "off").then(|| Store {
        path: PathBuf::from(path),
        days_kept: section.int_u32("days_kept"),
        hours_kept: section.int_u32("hours_kept"),
    })
}
