//! `/etc/hosts`, read anew for each lookup so that an edit takes effect without a restart.

use std::net::IpAddr;

/// Every address the hosts file gives a name, sorted; none where it is not listed. Blocks.
pub(super) fn addresses_of(name: &str) -> Vec<IpAddr> {
    listed(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), name)
}

/// The file format of hosts(5): an address, then names; `#` begins a comment.
fn listed(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n127.0.0.1 localhost here # not origin\n\n::1\tlocalhost\n10.0.0.2 Origin o.local\n\
                        10.0.0.1 origin\nnonsense origin\nfe80::1%eth0 origin\n";

    fn of(name: &str) -> Vec<String> {
        listed(TEXT, name).iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn every_address_of_a_name_is_found_in_order() {
        assert_eq!(of("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("origin"), ["10.0.0.1", "10.0.0.2"]);
    }

    #[test]
    fn case_and_a_final_dot_do_not_matter() {
        assert_eq!(of("ORIGIN."), ["10.0.0.1", "10.0.0.2"]);
    }

    #[test]
    fn comments_and_parts_of_names_do_not_count() {
        assert!(of("not").is_empty());
        assert!(of("local").is_empty());
    }
}
