//! Running programs to their end, bounded in time, with everything they said in the panic when they fail. After
//! [`stop_on_signals`] a SIGINT or SIGTERM ends the running program in an orderly way and then panics in the thread
//! that waits for it, so that every guard on its stack is dropped.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(10);
/// How long a program may take to clean up after a signal.
const GRACE: Duration = Duration::from_mins(1);

static SIGNALS_TAKEN: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a program left: its exit code (128 + the signal's number when a signal ended it) and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end. Panics when it takes longer than `limit`.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    check_interrupted();
    if SIGNALS_TAKEN.load(Ordering::SeqCst) {
        // Its own process group: a terminal's SIGINT then reaches only us, and the program gets exactly one signal.
        command.process_group(0);
    }
    let shown = command.get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {shown}: {error}"));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let end = wait(&mut child, limit);
    let finished = |status: ExitStatus| Finished {
        exit_code: status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    };
    match end {
        End::Exited(status) => finished(status),
        End::TooLate(status) => panic!("{shown} did not end within {limit:?}: {:?}", finished(status)),
        End::Interrupted => panic!("interrupted by a signal"),
    }
}

/// Runs a program to its end and returns its standard output. Panics when it fails.
#[track_caller]
pub fn run_successfully(command: &mut Command, limit: Duration) -> String {
    let finished = run(command, limit);
    assert!(
        finished.exit_code == 0,
        "{command:?} failed with exit code {}\n{}{}",
        finished.exit_code,
        finished.stdout,
        finished.stderr
    );
    finished.stdout
}

/// A command that runs as the user `postgres` when this process runs as root (PostgreSQL refuses to run as root), else
/// as oneself.
pub fn as_postgres_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    // The caller's working directory may be closed to the other user.
    command.current_dir("/");
    if let Some(user) = postgres_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env("HOME", "/tmp");
    }
    command
}

/// The user that PostgreSQL runs as when this process runs as root.
pub fn postgres_user() -> Option<User> {
    Uid::effective().is_root().then(|| {
        User::from_name("postgres")
            .unwrap()
            .expect("the user postgres is missing; run scripts/setup to install PostgreSQL")
    })
}

/// Looks again and again until `condition` gives something. Panics with `what` after `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        check_interrupted();
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

/// From now on SIGINT and SIGTERM no longer end this process at once: the waits of this module panic instead, in the
/// thread that waits.
pub fn stop_on_signals() {
    SIGNALS_TAKEN.store(true, Ordering::SeqCst);
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt()).unwrap();
            let mut terminate = signal(SignalKind::terminate()).unwrap();
            ready.send(()).unwrap();
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            INTERRUPTED.store(true, Ordering::SeqCst);
            // Further signals are swallowed: a second Ctrl-C must not leave a server behind.
            std::future::pending::<()>().await;
        });
    });
    is_ready.recv().unwrap();
}

/// True once a signal arrived after [`stop_on_signals`].
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

#[track_caller]
fn check_interrupted() {
    // Guards that are dropped by the first panic still wait for their programs.
    assert!(!is_interrupted() || thread::panicking(), "interrupted by a signal");
}

enum End {
    Exited(ExitStatus),
    TooLate(ExitStatus),
    Interrupted,
}

fn wait(child: &mut Child, limit: Duration) -> End {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let start = Instant::now();
    let mut asked_to_stop = None;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return if asked_to_stop.is_some() { End::Interrupted } else { End::Exited(status) };
        }
        if asked_to_stop.is_none() && is_interrupted() && !thread::panicking() {
            let _ = kill(pid, Signal::SIGTERM);
            asked_to_stop = Some(Instant::now());
        }
        if asked_to_stop.map_or(start.elapsed() > limit, |asked| asked.elapsed() > GRACE) {
            child.kill().unwrap();
            return End::TooLate(child.wait().unwrap());
        }
        thread::sleep(POLL);
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
