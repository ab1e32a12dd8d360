//! Who may read the page: a request must name this machine in its Host header.
//!
//! Floor: doors. Otherwise any web page could have a name of its own point to 127.0.0.1 (DNS rebinding) and read the
//! status through the browser of whoever visits it. Names cannot be told apart by their address, so only addresses
//! and `localhost` pass.

use std::net::{IpAddr, SocketAddr};

/// Whether `host`, a Host header's value, means this listener: the loopback, the address it listens on, or, when it
/// listens on all of them, any literal address.
pub fn is_ours(host: &str, listening: SocketAddr) -> bool {
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(address) = name.parse::<IpAddr>() else { return false };
    address.is_loopback() || address == listening.ip() || listening.ip().is_unspecified()
}

fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_this_machine_is_ours() {
        let loopback = "127.0.0.1:8088".parse().unwrap();
        let lan = "192.168.1.5:8088".parse().unwrap();
        let all = "0.0.0.0:8088".parse().unwrap();
        #[rustfmt::skip]
        let table = [
            ("127.0.0.1:8088", loopback, true),
            ("127.0.0.1", loopback, true),
            ("localhost:8088", loopback, true),
            ("LOCALHOST", loopback, true),
            ("[::1]:8088", loopback, true),
            ("evil.example:8088", loopback, false),
            ("localhost.evil.example", loopback, false),
            ("127.0.0.1.evil.example", loopback, false),
            ("192.168.1.5:8088", loopback, false),
            ("", loopback, false),
            ("[", loopback, false),
            ("192.168.1.5:8088", lan, true),
            ("192.168.1.6:8088", lan, false),
            ("192.168.1.5:8088", all, true),
            ("box.branch:8088", all, false),
        ];
        for (host, listening, expected) in table {
            assert_eq!(is_ours(host, listening), expected, "{host} on {listening}");
        }
    }
}
