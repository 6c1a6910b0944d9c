//! The `walproof` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // PostgreSQL starts this once for every segment: no parser, no runtime, no TLS on this way.
    if arguments.next().is_some_and(|command| command == "wal-fetch") {
        let arguments: Vec<_> = arguments.collect();
        return walproof::sandbox::direct::wal_fetch::run(&arguments).into();
    }
    // A dependency that brought a second provider along would otherwise make the first connection panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    std::panic::catch_unwind(walproof::cli::main).unwrap_or(walproof::cli::EXIT_BUG).into()
}
