//! A real seccomp filter that refuses io_uring, set on a child before it runs the binary.

use std::io;

/// `io_uring_setup` has this number on every architecture that has it.
const IO_URING_SETUP: u32 = 425;

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

#[expect(clippy::cast_possible_truncation, reason = "instruction codes have 16 bits")]
const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Load the system call's number; refuse the one with EPERM; allow every other.
static FILTER: [libc::sock_filter; 4] = [
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
    jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, IO_URING_SETUP, 0, 1),
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
];

/// Makes `io_uring_setup` fail with EPERM in this process and what it runs, for ever.
///
/// # Errors
/// When the kernel takes no filter.
pub(super) fn forbid_io_uring() -> io::Result<()> {
    let program = libc::sock_fprog { len: 4, filter: FILTER.as_ptr().cast_mut() };
    #[expect(unsafe_code, reason = "there is no safe interface to a seccomp filter")]
    // SAFETY: both calls take numbers and one pointer to a program that outlives the call; the kernel
    // copies it and does not write to it.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}
