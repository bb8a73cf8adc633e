//! One plain HTTP/1.1 request after another to one address, within one time limit for all of them. What
//! comes is believed by its signature, so there is no TLS here; and no resolver.
use crate::config::Link;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Largest head of an answer, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long until a server that did not answer is asked again: the link may just be coming up.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A server and when to give up on it.
pub(crate) struct Client {
    server: SocketAddr,
    until: Instant,
}

impl Client {
    pub(crate) fn new(server: SocketAddr, limit: Duration) -> Client {
        Client { server, until: Instant::now() + limit }
    }

    /// The body of a file.
    pub(crate) fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        loop {
            match self.once(path, limit) {
                Err(why) if is_not_there_yet(&why) && self.left() > AGAIN_AFTER => {
                    std::thread::sleep(AGAIN_AFTER);
                }
                answer => return answer.map_err(|why| format!("{path}: {why}")),
            }
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn once(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let left = |what: &str| match self.left() {
            Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, what.to_owned())),
            left => Ok(left),
        };
        let mut stream = TcpStream::connect_timeout(&self.server, left("no time is left")?)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.server);
        stream.set_write_timeout(Some(left("no time is left")?))?;
        stream.write_all(request.as_bytes())?;
        let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            stream.set_read_timeout(Some(left("the answer takes too long")?))?;
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => answer.extend(chunk.get(..count).unwrap_or_default()),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
            if answer.len() > HEAD_BYTES_MAX + limit {
                return Err(wrong("is too large"));
            }
        }
        body(&answer, limit).map(<[u8]>::to_vec)
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer {what}"))
}

fn is_not_there_yet(why: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(why.kind(), ConnectionRefused | HostUnreachable | NetworkDown | NetworkUnreachable)
}

/// The body of an answer with status 200 that came whole.
fn body(answer: &[u8], limit: usize) -> io::Result<&[u8]> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or_else(|| wrong("has no end of its head"))?;
    let (head, rest) = answer.split_at(end);
    let body = rest.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| wrong("has a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5));
    if status != Some("200") {
        return Err(wrong(&format!("has status {}", status.unwrap_or("none"))));
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) if length == body.len() && length <= limit => Ok(body),
        Some(_) => Err(wrong("is not as long as it says, or too long")),
        None => Err(wrong("does not say how long it is")),
    }
}

/// Gives an interface its address and way out, as `ip address add` and `ip route add` do; what is there
/// already stays (RFC 3549; Linux, include/uapi/linux/rtnetlink.h).
pub(crate) fn bring_up(link: &Link) -> Result<(), String> {
    let path = format!("/sys/class/net/{}/ifindex", link.interface);
    let index = crate::disk::bounded(path.as_ref(), 32).map_err(|why| format!("{path}: {why}"))?;
    let index: u32 = String::from_utf8_lossy(&index).trim().parse().unwrap_or(0);
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    );
    let socket = socket.map_err(|why| format!("open netlink: {why}"))?;
    let address = link.address.octets();
    let mut all = vec![
        ("set it up", interface_up(index)),
        ("give it an address", with_address(index, link.prefix, address)),
    ];
    all.extend(
        link.gateway.map(|gateway| ("add its gateway", with_gateway(index, gateway.octets()))),
    );
    for (what, message) in all {
        ask(&socket, &message).map_err(|why| format!("{}: {what}: {why}", link.interface))?;
    }
    Ok(())
}

const REQUEST_ACK_CREATE: u16 = 0x1 | 0x4 | 0x400;
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const ERROR: u16 = 2;
const IPV4: u8 = 2;

fn message(kind: u16, body: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; 16];
    out.extend(body);
    for (name, value) in attributes {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        out.extend(length.to_ne_bytes());
        out.extend(name.to_ne_bytes());
        out.extend(*value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_ne_bytes());
    out[4..6].copy_from_slice(&kind.to_ne_bytes());
    out[6..8].copy_from_slice(&REQUEST_ACK_CREATE.to_ne_bytes());
    out[8..12].copy_from_slice(&1_u32.to_ne_bytes());
    out
}

/// `struct ifinfomsg`: flags and mask IFF_UP.
fn interface_up(index: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(1_u32.to_ne_bytes());
    body.extend(1_u32.to_ne_bytes());
    message(NEW_LINK, &body, &[])
}

/// `struct ifaddrmsg`; IFA_ADDRESS 1, IFA_LOCAL 2.
fn with_address(index: u32, prefix: u8, address: [u8; 4]) -> Vec<u8> {
    let mut body = vec![IPV4, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    message(NEW_ADDRESS, &body, &[(1, &address), (2, &address)])
}

/// `struct rtmsg`: main table, by boot, universe, unicast; RTA_OIF 4, RTA_GATEWAY 5.
fn with_gateway(index: u32, gateway: [u8; 4]) -> Vec<u8> {
    let body = [IPV4, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    message(NEW_ROUTE, &body, &[(4, &index.to_ne_bytes()), (5, &gateway)])
}

/// Sends a request and reads its acknowledgement; that it is so already is as good.
fn ask(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    rustix::net::sendto(socket, message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 1024];
    let (count, _) = rustix::net::recv(socket, &mut answer, rustix::net::RecvFlags::empty())?;
    let answer = answer.get(..count).unwrap_or_default();
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => {
            let why = io::Error::from_raw_os_error(code.wrapping_neg());
            if why.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(why) }
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "netlink gives no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(body(whole, 2).unwrap(), b"ok");
        for (answer, limit) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], 1),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 9),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok", 9),
            (b"HTTP/1.1 200 OK\r\n\r\nok", 9),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2", 9),
            (b"", 9),
        ] {
            assert!(body(answer, limit).is_err(), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn a_server_that_never_ends_its_answer_costs_the_time_limit_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _head = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
            // Until the client has gone.
            let _end = stream.read_to_end(&mut Vec::new());
        });
        let (told, heard) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let client = Client::new(address, Duration::from_millis(200));
            let _gone = told.send(client.get("/x", 9).unwrap_err());
        });
        let why = heard.recv_timeout(Duration::from_secs(20)).expect("it waits without end");
        assert!(why.starts_with("/x: "), "{why}");
        server.join().unwrap();
    }
}
