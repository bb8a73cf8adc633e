//! The sandbox on the running kernel. A child process enters it, tries what it must not be able to
//! do, and tells; this test program is its own child.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

const CHILD: &str = "ANDON_TEST_SANDBOX";

/// What is tried inside; `true` when it worked.
fn attempts(state: &Path, port: u16, other_port: u16) -> Vec<(&'static str, bool)> {
    let (inbox, own) = (state.join("inbox"), state.join("check"));
    let read = |path: &Path| std::fs::File::open(path).is_ok();
    let talk = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])
    };
    vec![
        // must work
        ("write inbox", std::fs::write(inbox.join("f"), b"x").is_ok()),
        ("rename in inbox", std::fs::rename(inbox.join("f"), inbox.join("g")).is_ok()),
        ("make and remove a folder", {
            let folder = inbox.join("folder/deep");
            std::fs::create_dir_all(&folder).is_ok()
                && std::fs::remove_dir_all(inbox.join("folder")).is_ok()
        }),
        ("read own", std::fs::write(own.join("f"), b"x").is_ok() && read(&own.join("f"))),
        ("read hosts", read(Path::new("/etc/hosts"))),
        ("start a thread", std::thread::Builder::new().spawn(|| ()).is_ok()),
        ("talk to the server", talk().is_ok()),
        // must not
        ("! read shadow", read(Path::new("/etc/shadow"))),
        ("! read passwd", read(Path::new("/etc/passwd"))),
        ("! read the host's key", read(&state.join("host.key"))),
        ("! list state", std::fs::read_dir(state).is_ok()),
        ("! write state", std::fs::write(state.join("f"), b"x").is_ok()),
        ("! write tmp", std::fs::write("/tmp/andon-test-sandbox", b"x").is_ok()),
        ("! leave by a link", {
            let link = inbox.join("link");
            std::os::unix::fs::symlink("/etc/shadow", &link).is_ok() && read(&link)
        }),
        ("! start a program", Command::new("/bin/true").status().is_ok()),
        ("! connect elsewhere", TcpStream::connect(("127.0.0.1", other_port)).is_ok()),
        ("! listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("! unix socket", std::os::unix::net::UnixDatagram::unbound().is_ok()),
        ("! other calls", forbidden_calls()),
    ]
}

/// Whether any of the calls that an intruder would want is answered by anything but EPERM.
fn forbidden_calls() -> bool {
    let calls = [
        libc::SYS_ptrace,
        libc::SYS_bpf,
        libc::SYS_mount,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_process_vm_readv,
        libc::SYS_perf_event_open,
        libc::SYS_keyctl,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_kill,
        libc::SYS_pidfd_open,
        libc::SYS_chroot,
        libc::SYS_reboot,
        libc::SYS_setuid,
    ];
    calls.into_iter().any(|call| {
        // SAFETY: every argument is zero or invalid; none of these calls can succeed or touch memory.
        let got = unsafe { libc::syscall(call, usize::MAX, 0, 0, 0, 0, 0) };
        let refused = std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
        if got >= 0 || !refused {
            eprintln!("call {call} was answered by {got}");
        }
        got >= 0 || !refused
    })
}

#[test]
fn inside_the_sandbox() {
    let Ok(given) = std::env::var(CHILD) else { return };
    let mut words = given.split(' ');
    let state = PathBuf::from(words.next().unwrap());
    let mut port = || words.next().unwrap().parse().unwrap();
    let (port, other_port) = (port(), port());
    let lacking = andon_check::sandbox::enter(&[&state.join("inbox"), &state.join("check")], port);
    println!("lacking {lacking:?}");
    for (what, worked) in attempts(&state, port, other_port) {
        println!("tried {what}: {worked}");
    }
}

#[test]
fn sandbox_leaves_two_folders_and_one_server() {
    let state = tempfile::tempdir().unwrap();
    for folder in ["inbox", "check"] {
        std::fs::create_dir(state.path().join(folder)).unwrap();
    }
    std::fs::write(state.path().join("host.key"), b"secret").unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let given = format!("{} {} {}", state.path().display(), port(&server), port(&other));
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut byte = [0];
            let mut stream = stream.unwrap();
            stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).unwrap();
        }
    });
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inside_the_sandbox", "--nocapture", "--test-threads=1"])
        .env(CHILD, given)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let tried: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.split_once("tried ")?.1.rsplit_once(": ")).collect();
    assert_eq!(tried.len(), 19, "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    if let Some(line) = text.lines().find(|line| line.contains("this kernel")) {
        eprintln!("skipped: this kernel confines only a part: {line}");
        return;
    }
    assert!(text.contains("lacking []"), "{text}");
    for (what, worked) in tried {
        assert_eq!(worked == "true", !what.starts_with('!'), "{what}\n{text}");
    }
    assert!(!Path::new("/tmp/andon-test-sandbox").exists());
}
