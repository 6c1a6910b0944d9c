//! `walproof wal-fetch`: PostgreSQL's `restore_command`. It asks the drill that runs beside it and leaves with its
//! answer. No runtime, no TLS, no object store in here: it is started once for every segment.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// The drill's answers on the socket.
pub const SERVED: u8 = b'0';
pub const ABSENT: u8 = b'1';
pub const FAILED: u8 = b'2';

/// PostgreSQL takes 1 to 125 for "not in the archive" and ends recovery there, so only a proven absence is 1.
/// Above 125 recovery stops with an error instead of promoting early.
const EXIT_ABSENT: u8 = 1;
const EXIT_FAILED: u8 = 200;

/// `arguments` are socket, file name and destination, as written into `restore_command`. Returns the exit code.
pub fn run(arguments: &[OsString]) -> u8 {
    match ask(arguments) {
        Ok(SERVED) => 0,
        Ok(ABSENT) => EXIT_ABSENT,
        Ok(_) | Err(_) => EXIT_FAILED,
    }
}

fn ask(arguments: &[OsString]) -> std::io::Result<u8> {
    let [socket, name, destination] = arguments else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let mut stream = UnixStream::connect(socket)?;
    let mut request = name.as_encoded_bytes().to_vec();
    request.push(b'\t');
    request.extend_from_slice(destination.as_encoded_bytes());
    request.push(b'\n');
    stream.write_all(&request)?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}
