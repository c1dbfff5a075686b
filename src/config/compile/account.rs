//! `base.user` and `base.group` → the numbers that the process takes on, from this machine's account files.
//!
//! In scope: names in /etc/passwd and /etc/group, and plain numbers. Out of scope: accounts of a directory service,
//! which are written as numbers, and taking them on (`control::privileges`).

use std::fs;

use super::Desk;
use crate::config::Account;

/// The account that the two keys name; `None` where both are empty or there is a fault.
pub(super) fn account(desk: &mut Desk<'_>) -> Option<Account> {
    let (user, group) = (desk.section.text("user").to_owned(), desk.section.text("group").to_owned());
    if user.is_empty() && group.is_empty() {
        return None;
    }
    // A file that is not there names nobody.
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    match find(&text("/etc/passwd"), &text("/etc/group"), &user, &group) {
        Ok(account) => Some(account),
        Err((key, message)) => {
            desk.error(key, message, "write a name of this machine, or a number");
            None
        }
    }
}

fn find(passwd: &str, groups: &str, user: &str, group: &str) -> Result<Account, (&'static str, String)> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number != u32::MAX);
    let row = rows(passwd).find(|row| !user.is_empty() && (row[0] == user || row.get(2) == Some(&user)));
    let uid = row.as_ref().and_then(|row| number(row.get(2)?)).or_else(|| number(user));
    if !user.is_empty() && uid.is_none() {
        return Err(("user", format!("there is no user `{user}`")));
    }
    let own_group = row.as_ref().and_then(|row| number(row.get(3)?));
    let gid = if group.is_empty() {
        own_group.or(uid).expect("a user is named where no group is")
    } else {
        let row = rows(groups).find(|row| row[0] == group);
        let gid = row.and_then(|row| number(row.get(2)?)).or_else(|| number(group));
        gid.ok_or_else(|| ("group", format!("there is no group `{group}`")))?
    };
    let own_name = row.as_ref().map(|row| row[0]);
    let member = |row: &Vec<&str>| row.get(3).is_some_and(|names| names.split(',').any(|name| Some(name) == own_name));
    let mut all: Vec<u32> = rows(groups).filter(member).filter_map(|row| number(row.get(2)?)).collect();
    all.push(gid);
    all.sort_unstable();
    all.dedup();
    Ok(Account { uid, gid, groups: all })
}

/// The fields of each line.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# no one\ngate:x:900:901::/:/bin/false\nbroken\n";
    const GROUPS: &str = "root:x:0:\ngate:x:901:\nlogs:x:902:other,gate\nmore:x:903:gate\nempty\n";

    fn found(user: &str, group: &str) -> (Option<u32>, u32, Vec<u32>) {
        let account = find(PASSWD, GROUPS, user, group).expect("an account");
        (account.uid, account.gid, account.groups)
    }

    #[test]
    fn a_user_brings_its_group_and_those_it_is_a_member_of() {
        assert_eq!(found("gate", ""), (Some(900), 901, vec![901, 902, 903]));
        assert_eq!(found("gate", "logs"), (Some(900), 902, vec![902, 903]));
    }

    #[test]
    fn a_number_is_the_user_of_that_number_or_stands_for_itself() {
        assert_eq!(found("900", ""), (Some(900), 901, vec![901, 902, 903]));
        assert_eq!(found("7", ""), (Some(7), 7, vec![7]));
        assert_eq!(found("7", "8"), (Some(7), 8, vec![8]));
        assert_eq!(found("", "902"), (None, 902, vec![902]));
    }

    #[test]
    fn nobody_of_that_name_is_a_fault_of_that_key() {
        assert_eq!(find(PASSWD, GROUPS, "nobody", "").map_err(|(key, _)| key), Err("user"));
        assert_eq!(find(PASSWD, GROUPS, "gate", "nogroup").map_err(|(key, _)| key), Err("group"));
        assert_eq!(find(PASSWD, GROUPS, "broken", "").map_err(|(key, _)| key), Err("user"));
        assert_eq!(find(PASSWD, GROUPS, "4294967295", "").map_err(|(key, _)| key), Err("user"));
    }
}
