//! What a `rediss://` URL says about certificates, under the names that redis-py uses.
//!
//! `ssl_ca_certs` is a file of authorities to trust instead of the system's; `ssl_certfile` and `ssl_keyfile`, together, are what this
//! process shows. The server's certificate and its host name are always checked: there is no parameter that would not. Files are
//! read at every connection, so that renewed ones are used.

use std::fs;

use redis::{ClientTlsConfig, TlsCertificates};
use url::Url;

use crate::error::{Error, Result};

const AUTHORITIES: &str = "ssl_ca_certs";
const CERTIFICATE: &str = "ssl_certfile";
const KEY: &str = "ssl_keyfile";

/// What the URL names, `None` where that is nothing; a URL that cannot be read is for others to refuse.
pub(crate) fn certificates(url: &str) -> Result<Option<TlsCertificates>> {
    let Ok(url) = Url::parse(url) else { return Ok(None) };
    let secure = matches!(url.scheme(), "rediss" | "valkeys");
    if secure && url.fragment().is_some() {
        return Err(refused("no fragment: certificates are always checked", "(hidden)"));
    }
    let mut named = [None, None, None];
    for (name, value) in url.query_pairs().filter(|(name, _)| name.starts_with("ssl_")) {
        let Some(at) = [AUTHORITIES, CERTIFICATE, KEY].iter().position(|known| *known == name) else {
            return Err(refused("ssl_ca_certs, ssl_certfile and ssl_keyfile only", &name));
        };
        if !secure {
            return Err(refused("rediss:// where it names certificates", &name));
        }
        named[at] = Some(read(&value)?);
    }
    let [root_cert, certificate, key] = named;
    let client_tls = match (certificate, key) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(refused("ssl_certfile and ssl_keyfile together", "one of them")),
    };
    Ok((root_cert.is_some() || client_tls.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
}

/// Whether an error of the client library says that the connection could not be made secure. It comes as an input error whose
/// kind says nothing, so its text must; a test holds it to what the library says.
pub(crate) fn is_insecure(text: &str) -> bool {
    const SAID: [&str; 3] = ["invalid peer certificate", "received fatal alert", "received corrupt message"];
    SAID.iter().any(|said| text.contains(said))
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| refused(format!("naming a readable file, {}", error.kind()), path))
}

fn refused(limit: impl Into<String>, value: &str) -> Error {
    Error::invalid("redis_url", limit, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_need_tls() {
        for url in ["redis://h/?ssl_ca_certs=/a", "unix:///s?ssl_ca_certs=/a", "rediss://h/?ssl_certfile=/dev/null"] {
            assert!(matches!(certificates(url), Err(Error::Invalid { .. })), "{url}");
        }
    }

    #[test]
    fn checking_cannot_be_switched_off() {
        for url in ["rediss://h/#insecure", "rediss://h/?ssl_cert_reqs=none", "rediss://h/?ssl_check_hostname=false"] {
            assert!(matches!(certificates(url), Err(Error::Invalid { .. })), "{url}");
        }
    }

    #[test]
    fn without_parameters_the_systems_authorities_are_trusted() {
        for url in ["redis://h/", "rediss://u:p@h:1/0", "unix:///s?user=a&pass=b"] {
            assert!(certificates(url).unwrap().is_none(), "{url}");
        }
        assert!(certificates("rediss://h/?ssl_ca_certs=/dev/null").unwrap().is_some());
    }
}
